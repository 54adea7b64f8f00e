"""CPU time of many jobs and files: a long queue of downloads, and an idle page over ten thousand files.

    python tasks.py prove load [-- --before FOLDER] [--files N]

CPU seconds, of the whole process with its threads. With `--before`, a checkout of an earlier version is measured by the
same script in the same run, in turn with this one, and the ratio is given.

Queue: many downloads are requested while the network never answers, then listed once. Page: all small VAE files are
scanned first; then the route answers again and again, as for an open page, while the files stay the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
QUEUES = (800, 3200)
QUADRATIC = 800
"""Before, the cost grew with the square and more: longer queues are not measured on an earlier version."""
LOOKS = 10


def main() -> None:
    options = parser().parse_args()
    if options.inside:
        print(json.dumps(measure(options.inside, options.count, options.place)))
        return
    from bench.results import write

    checkouts = {"after": ROOT, **({"before": options.before.resolve()} if options.before else {})}
    result: dict[str, Any] = {
        "queue": {count: compared(checkouts, "queue", count) for count in options.queue},
    }
    with tempfile.TemporaryDirectory() as place:
        make_files(Path(place), options.files)
        result["idle_page"] = {"files": options.files, "looks": LOOKS, **idle(checkouts, options.files, place)}
    print(write("load", result).read_text(encoding="utf-8"))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove load")
    options.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier version")
    options.add_argument("--files", type=int, default=10_000)
    options.add_argument("--queue", type=int, nargs="+", default=QUEUES, help="downloads")
    options.add_argument("--inside", choices=["queue", "page"], help=argparse.SUPPRESS)
    options.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    options.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return options


def compared(checkouts: dict[str, Path], what: str, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: in_checkout(checkout, what, count)["seconds"]
        for name, checkout in checkouts.items()
        if name == "after" or count <= QUADRATIC
    }
    if "before" in found:
        found["ratio"] = round(found["before"] / found["after"], 1)
    return found


def idle(checkouts: dict[str, Path], count: int, place: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: in_checkout(checkout, "page", count, place) for name, checkout in checkouts.items()}
    if "before" in found:
        found["ratio"] = {
            name: round(found["before"][name]["median_ms"] / found["after"][name]["median_ms"], 1)
            for name in found["after"]
        }
    return found


def in_checkout(checkout: Path, what: str, count: int, place: str | None = None) -> dict[str, Any]:
    """Run this script on the code of a checkout, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--inside", what, "--count", str(count)]
    command += ["--place", place] if place else []
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    given = subprocess.check_output(command, env=environment, cwd=checkout, text=True)
    found: dict[str, Any] = json.loads(given.splitlines()[-1])
    print(checkout, what, count, found, file=sys.stderr, flush=True)
    assert found.pop("code") == str(checkout), "another checkout was measured"
    return found


# -- in a process of its own, on any checkout ----------------------------------------------------------------------
def measure(what: str, count: int, place: Path | None) -> dict[str, Any]:
    sys.path = [path for path in sys.path if Path(path or ".").resolve() != ROOT / "bench"]
    import vae_manager

    found = queue(count) if place is None else page(place)
    return {"code": str(Path(vae_manager.__file__).resolve().parents[1]), **found}


def queue(count: int) -> dict[str, Any]:
    from vae_manager.catalogue import HubSource
    from vae_manager.downloads import DownloadItem
    from vae_manager.service import Service
    from vae_manager.transfer import DownloadRequest, Network

    def network() -> Network:
        threading.Event().wait()
        raise AssertionError

    with tempfile.TemporaryDirectory() as place:
        service = Service(Path(place) / "data")
        folder = Path(place) / "VAE"

        def work() -> None:
            for number in range(count):
                digest = hashlib.sha256(f"{number}".encode()).hexdigest()
                order = DownloadRequest(
                    (HubSource("a/b", f"{number}.safetensors"),), folder, f"{number}.safetensors", digest
                )
                service.downloads.get(DownloadItem(order, f"{number}"), network)
            assert len(service.downloads.views()) == count

        seconds = cpu(work)
    return {"seconds": round(seconds, 2)}


def page(place: Path) -> dict[str, Any]:
    """The route's answers as they go out: the whole page's, and the tab's with its rows."""
    from tests.webui.host import PlainHost
    from vae_manager.service import Service
    from vae_manager.webui import api
    from vae_manager.webui.ui.page import Page

    with tempfile.TemporaryDirectory() as own:
        host = PlainHost(Path(own))
        host.vaes.rmdir()
        host.vaes.symlink_to(place)
        host.refresh()
        service = Service(host.data_folder)
        shown = Page(host, service)
        files = len(host.files())
        shown.state({}, library=("", ""))
        while service.maintenance.is_inspecting or service.hashing():
            time.sleep(0.2)
        stamp = shown.state({}, library=("", ""))["library"]["stamp"]
        time.sleep(3)  # the folder's time is no longer that of a moment ago
        answers: dict[str, Callable[[], object]] = {
            "state": lambda: api._answer(shown.state({})),
            "library": lambda: api._answer(shown.state({}, library=(stamp, ""))),
        }
        assert len(shown.state({}, library=("", ""))["library"]["rows"]) == files
        return {name: looks(answer) for name, answer in answers.items()}


def looks(answer: Callable[[], object]) -> dict[str, float]:
    answer()
    times = [cpu(answer) * 1000 for _ in range(LOOKS)]
    return {"median_ms": round(statistics.median(times), 2), "slowest_ms": round(max(times), 2)}


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def make_files(folder: Path, count: int) -> None:
    """VAE files of the WebUI's layout, a few kilobytes each, no two alike."""
    from tests.library.vaes import vae

    for number in range(count):
        vae(folder / f"vae {number:05}.safetensors", number % 256, number=str(number))


if __name__ == "__main__":
    main()
