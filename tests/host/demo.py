"""`python -m tests.host.demo`: the page of the stand-in WebUI with the real extension, a loopback hub and tiny VAEs."""

from __future__ import annotations

import argparse
import hashlib
import webbrowser
from pathlib import Path

from tests.host.fixtures import start_webui
from tests.hub import Hub, Link
from tests.vaes import BASE, TUNED

REPOSITORY = "demo/tiny-vaes"
BYTES_PER_SECOND = 250_000
"""Slow, so that a file of a megabyte is seen arriving."""

ENTRY = """\
- id: {id}
  name: {name}
  family: sd1
  purpose: {purpose}
  licence: MIT
  sha256: {sha256}
  size: {size}
  source: hub:{repository}/{file}
"""

OFFERED = {
    TUNED: ("demo-tuned", "Tiny, tuned", "The tiny VAE with its decoder trained further"),
    BASE: ("demo-base", "Tiny, base", "The one that the demo's checkpoints carry"),
}


def write_catalogue(data: Path, hub: Hub) -> None:
    """Put the tiny VAEs on the hub and into the user's own catalogue."""
    entries = []
    for path, (entry, name, purpose) in OFFERED.items():
        hub.add(REPOSITORY, path.name, path)
        content = path.read_bytes()
        entries.append(
            ENTRY.format(
                id=entry,
                name=name,
                purpose=purpose,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                repository=REPOSITORY,
                file=path.name,
            )
        )
    folder = data / "vae-manager"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.yaml").write_text("".join(entries), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.host.demo", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where the demo keeps its files")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    with Hub(link=Link(rate_total=BYTES_PER_SECOND)) as hub:
        write_catalogue(options.data, hub)
        print("Starting the stand-in WebUI …", flush=True)
        environment = {"HF_ENDPOINT": hub.endpoint}
        with start_webui(options.data, "--api", "--step-seconds", "0.1", env=environment, port=options.port) as webui:
            print(f"Open {webui.url} — the accordion VAE in txt2img. Ctrl-C ends the demo.", flush=True)
            if not options.no_browser:
                webbrowser.open(webui.url)
            try:
                webui.process.wait()
            except KeyboardInterrupt:
                print("The demo is over; its files stay in", options.data)


if __name__ == "__main__":
    main()
