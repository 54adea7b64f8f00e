"""`python -m tests.host.demo`: the page of the stand-in WebUI with the real extension, a loopback hub and tiny VAEs.

The hub serves the tiny VAEs under the names of real entries, as their stand-ins: their hashes are in a catalogue of the
demo's own, which takes the place of the built-in one.
"""

from __future__ import annotations

import argparse
import hashlib
import socket
import webbrowser
from pathlib import Path
from typing import Any, Final

import yaml
from safetensors.numpy import load_file, save

from tests.host.fixtures import free_port, start_webui
from tests.host.forking import end_with_parent
from tests.hub import Hub, Link
from tests.vaes import BASE, TUNED
from vae_manager.catalogue import HubSource
from vae_manager.catalogue import load as load_catalogue
from vae_manager.catalogue.loader import BUILT_IN, CATALOGUE_VARIABLE

BYTES_PER_SECOND: Final = 250_000
"""Slow, so that a file of a megabyte is seen arriving."""
STAND_IN: Final = "a tiny stand-in of this demo, 1 MB; the real one is not fetched"
NOT_OF_A_STAND_IN: Final = ("evaluations", "advice", "aliases")
"""Fields of an entry that are true of the real file alone."""


def stand_ins() -> dict[str, bytes]:
    """Content by the id of the entry that it stands in for: two decoders that are seen to differ."""
    base, tuned = load_file(BASE), load_file(TUNED)
    half = {name: (tensor + tuned[name]) / 2 for name, tensor in base.items()}
    return {"ft-mse": TUNED.read_bytes(), "ft-ema": save(half)}


def write_catalogue(file: Path, hub: Hub) -> None:
    """Put the stand-ins on the hub, under the paths of the real files, and write their catalogue."""
    known, nodes = load_catalogue(), yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    entries: list[dict[str, Any]] = []
    for id, content in stand_ins().items():
        node = next(node for node in nodes if node["id"] == id)
        kept = {key: value for key, value in node.items() if key not in NOT_OF_A_STAND_IN}
        digest = hashlib.sha256(content).hexdigest()
        entries.append({**kept, "purpose": STAND_IN, "sha256": digest, "size": len(content)})
        for source in known.entry(id).sources:
            assert isinstance(source, HubSource)
            hub.add(source.repo, source.path, content, revision=source.revision)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True), encoding="utf-8")


def port_to_take(wanted: int) -> int:
    """The wanted one, or a free one if something listens there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
    return wanted


def main() -> None:
    end_with_parent()
    parser = argparse.ArgumentParser(prog="python -m tests.host.demo", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where the demo keeps its files")
    parser.add_argument("--port", type=int, default=7860, help="if it is free; else another one is taken")
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    port = port_to_take(options.port)
    if port != options.port:
        print(f"Port {options.port} is taken; the demo uses {port}.", flush=True)
    catalogue = options.data.resolve() / "demo-catalogue.yaml"
    with Hub(link=Link(rate_total=BYTES_PER_SECOND)) as hub:
        write_catalogue(catalogue, hub)
        print("Starting the stand-in WebUI …", flush=True)
        environment = {"HF_ENDPOINT": hub.endpoint, CATALOGUE_VARIABLE: str(catalogue)}
        with start_webui(options.data, "--api", "--step-seconds", "0.1", env=environment, port=port) as webui:
            print(f"Open {webui.url} — the accordion VAE in txt2img. Ctrl-C ends the demo.", flush=True)
            if not options.no_browser:
                webbrowser.open(webui.url)
            try:
                webui.process.wait()
            except KeyboardInterrupt:
                print("The demo is over; its files stay in", options.data)


if __name__ == "__main__":
    main()
