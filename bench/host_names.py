"""Start a WebUI that lacks a name, for each name that the extension uses; check the start, a picture and the page.

    python tasks.py prove host_names [--host HOST …] [--all] [--at-a-time N]

The recorded signatures (tests/host/signatures-*.json) list what was read of each WebUI. Names are hidden from the
extension one at a time; `--all` also hides those that its source does not mention. Each process starts the extension
anew for a share of the names (tests/host/without.py). Forge's stand-in runs on gradio 4, if that environment is there.

The result goes to bench/results/host_names.json.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.results import FOLDER, write
from tests.host.removal import ROOT, names_in_use
from tests.host.signatures import names_of
from tests.host.starts import is_right, outcomes

HOSTS = {"webui": None, "reforge": "reforge", "forge": "forge"}
GRADIO_4 = ROOT / ".envs" / "webui-gradio4" / "bin" / "python"
SHARE = 40
"""Names for one process: what is imported anew each time adds up."""


def python_for(host: str) -> str:
    return str(GRADIO_4) if host == "forge" and GRADIO_4.exists() else sys.executable


def _shares(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), SHARE):
        yield names[start : start + SHARE]


def _earlier() -> dict[str, Any]:
    """The result of the last run: a run over one host leaves those of the others."""
    path = FOLDER / "host_names.json"
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return earlier


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tasks.py prove host_names")
    parser.add_argument("--host", choices=HOSTS, action="append")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--at-a-time", type=int, default=2)
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for host in options.host or HOSTS:
        like, began = HOSTS[host], time.monotonic()
        names = ["", *(names_of(like) if options.all else names_in_use(like))]
        work = functools.partial(outcomes, host, python=python_for(host))
        with ThreadPoolExecutor(options.at_a_time) as pool:
            found = [outcome for share in pool.map(work, _shares(names)) for outcome in share]
        wrong = [outcome for outcome in found if not is_right(outcome)]
        figures[host] = {
            "names": len(found) - 1,
            "started": sum(outcome["started"] for outcome in found) - found[0]["started"],
            "made a picture": sum(outcome.get("picture") == 200 for outcome in found[1:]),
            "noticed nothing": sum(not outcome.get("faults") and is_right(outcome) for outcome in found[1:]),
            "told in the page": sum(bool(outcome.get("faults")) and is_right(outcome) for outcome in found[1:]),
            "another adapter": sum(outcome.get("adapter") == "unknown" for outcome in found[1:]),
            "wrong": wrong,
            "seconds": round(time.monotonic() - began),
        }
        print(host, json.dumps(figures[host], indent=1), flush=True)
    earlier = {host: kept for host, kept in _earlier().items() if host in HOSTS}
    print(write("host_names", {**earlier, **figures}))


if __name__ == "__main__":
    main()
