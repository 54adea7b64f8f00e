"""Source files of the product whose functions run for *Get and use* and for one state of the page.

    python tasks.py prove executed [-- --before FOLDER]

A page of the tests' plain host and a loopback hub run in one process; every thread reports each function that it calls.
The execution of a module by its import does not count. With `--before`, a checkout of an earlier version runs the same
steps with its own tests' host, and its figures stand beside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove executed")
    options.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier version")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.inside:
        print(json.dumps(executed()))
        return
    from bench.results import write

    checkouts = {"after": ROOT, **({"before": chosen.before.resolve()} if chosen.before else {})}
    print(write("executed", {name: inside(folder) for name, folder in checkouts.items()}).read_text(encoding="utf-8"))


def inside(checkout: Path) -> Any:
    """Run the steps with the code of `checkout`; returns the files by the step's name."""
    command = [sys.executable, str(ROOT / "bench" / "executed.py"), "--inside"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return json.loads(subprocess.check_output(command, cwd=checkout, env=environment, text=True))


def executed() -> dict[str, Any]:
    """The files by the step's name, with their number."""
    sys.path[:] = [str(Path.cwd()), *(place for place in sys.path if Path(place) != ROOT / "bench")]
    from tests.hub import Hub
    from tests.webui import test_page as steps
    from tests.webui.host import PlainHost
    from vae_manager.service import Service
    from vae_manager.webui.ui.page import Page

    product, calls = Path.cwd() / "vae_manager", Calls()
    with tempfile.TemporaryDirectory() as folder, Hub() as hub:
        host = PlainHost(Path(folder))
        page = Page(host, Service(host.data_folder))
        hub.add("owner/repo", "mine.safetensors", steps.BYTES)
        host.endpoint_address = hub.endpoint
        steps.write_catalogue(host, steps.ENTRY)
        found = {"first state": calls.of(lambda: page.state({}))}
        until(lambda: not page.state({})["active"])
        found["state"] = calls.of(lambda: page.state({}))
        found["state with the tab VAE"] = calls.of(lambda: page.state({}, library=("", "")))

        def get_and_use() -> None:
            steps.do(page, do="get", entry="mine", use=True, accept=False)
            until(lambda: host.word == "mine.safetensors")

        found["get and use"] = calls.of(get_and_use)
    return {step: {"count": len(files), "files": files} for step, files in named(found, product).items()}


def named(found: dict[str, set[str]], product: Path) -> dict[str, list[str]]:
    """Paths below the product's folder, sorted."""
    return {
        step: sorted(Path(file).relative_to(product).as_posix() for file in files if product in Path(file).parents)
        for step, files in found.items()
    }


class Calls:
    """The files of all functions that any thread calls during `of`. Made before the threads are."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        threading.setprofile(self._called)
        sys.setprofile(self._called)

    def _called(self, frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            self._files.add(frame.f_code.co_filename)

    def of(self, work: Callable[[], object]) -> set[str]:
        self._files = set()
        work()
        return self._files


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


if __name__ == "__main__":
    main()
