"""The database of records: two writers, kills, no locks, and the time of ten thousand files.

    python tasks.py prove records [-- --before FOLDER] [--records N] [--kills N] [--files N]

Two processes write records one by one into one database; all of them must be there. A process that writes is killed
(SIGKILL) at random moments; the database must open each time, pass SQLite's integrity check and hold each record that
was reported as committed. In a process whose calls for locks fail with ENOLCK (a seccomp filter: no such mount is at
hand), all records must stay in memory with one notice.

With `--before`, a checkout of an earlier version lists the same files in the same run, in turn with this one, and the
ratio is given: a cold list, a warm one, a warm one of a new process, and a look of an idle page, in time of the
processor.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SEED = 20261129
TIMES = 5
GROUP = 50
"""Files that a page has looked at before they are written."""
LATEST_KILL_S = 0.15


def main() -> None:
    options = parser().parse_args()
    if options.inside:
        print(json.dumps(listed(options.inside, options.place)))
        return
    from bench.results import write

    checkouts = {"after": ROOT, **({"before": options.before.resolve()} if options.before else {})}
    result = {
        "two_writers": two_writers(options.records),
        "kills": kills(options.kills),
        "without_locks": without_locks(),
        "files": {"count": options.files, **files(checkouts, options.files)},
    }
    print(write("records", result).read_text(encoding="utf-8"))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove records")
    options.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier version")
    options.add_argument("--records", type=int, default=10_000, help="records of each of two processes")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--files", type=int, default=10_000)
    options.add_argument("--inside", choices=["cold", "cold in groups", "warm", "new process"], help=argparse.SUPPRESS)
    options.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return options


# -- writing and killing -------------------------------------------------------------------------------------------
def two_writers(count: int) -> dict[str, Any]:
    from tests.records.killing import Writer
    from tests.records.reading import paths, sql

    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        writers = [Writer(Path(place), name, count=count, threads=1) for name in "ab"]
        statuses = [writer.wait() for writer in writers]
        seconds = time.monotonic() - began
        found = len(paths(Path(place), "hashes"))
        healthy = sql(Path(place), "PRAGMA integrity_check") == [("ok",)]
        size = sum(path.stat().st_size for path in Path(place).iterdir())
    assert statuses == [0, 0]
    return {
        "records_of_each": count,
        "found": found,
        "lost": 2 * count - found,
        "integrity_check": healthy,
        "seconds": round(seconds, 1),
        "milliseconds_of_each_commit": round(1000 * seconds / (2 * count), 2),
        "bytes_of_the_database": size,
    }


def kills(count: int) -> dict[str, Any]:
    from tests.records.killing import Writer
    from tests.records.reading import paths, sql
    from vae_manager.records import RecordStore

    chance, lost, damaged, journals, written = random.Random(SEED), 0, 0, 0, 0
    opened: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        for number in range(count):
            writer = Writer(data, f"k{number}-", count=1_000_000, threads=1, reports=True)
            committed = written + writer.kill_after(chance.uniform(0.0, LATEST_KILL_S))
            journals += any(data.glob("*-journal"))
            began = time.perf_counter()
            store = RecordStore(data)
            store.load()
            opened.append((time.perf_counter() - began) * 1000)
            written = len(store.hashes.all_keys())
            lost += max(0, committed - written)
            damaged += sql(data, "PRAGMA integrity_check") != [("ok",)]
            damaged += written > 0 and len(paths(data, "hashes")) != written
        set_aside = len(list(data.glob("*.damaged-*")))
    return {
        "kills": count,
        "with_a_journal_left": journals,
        "records_committed": written,
        "committed_and_lost": lost,
        "databases_damaged": damaged,
        "set_aside": set_aside,
        "milliseconds_to_open": figures(opened),
    }


def without_locks() -> dict[str, Any]:
    script = (
        "import json, sys, time; from pathlib import Path; from tests.records.no_locks import refuse_locks\n"
        "assert refuse_locks()\n"
        "from tests.records.killing import identity; from vae_manager.files.state_file import damage_notices\n"
        "from vae_manager.records import HashRecord, RecordStore\n"
        "data, waits = Path(sys.argv[1]), []; store = RecordStore(data); began = time.monotonic()\n"
        "while time.monotonic() - began < 12:\n"
        "    then = time.monotonic(); store.hashes.put(HashRecord(identity(f'/{then}'), 'a' * 64))\n"
        "    store.hashes.revision; waits.append(time.monotonic() - then); time.sleep(0.01)\n"
        "print(json.dumps({'records': len(waits), 'in_memory': len(store.hashes.all_keys()),"
        "'notices': len(damage_notices(data)), 'longest_wait_s': round(max(waits), 2)}))"
    )
    with tempfile.TemporaryDirectory() as place:
        given = subprocess.check_output([sys.executable, "-c", script, place], cwd=ROOT, text=True)
    found: dict[str, Any] = json.loads(given)
    assert found["notices"] == 1
    assert found["in_memory"] == found["records"]
    return {"how": "fcntl and flock fail with ENOLCK by a seccomp filter", **found}


# -- ten thousand files --------------------------------------------------------------------------------------------
def files(checkouts: dict[str, Path], count: int) -> dict[str, Any]:
    from bench.load import idle, make_files

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "VAE"
        folder.mkdir()
        make_files(folder, count)
        found: dict[str, Any] = {}
        for what, rounds in (("cold", TIMES), ("cold in groups", 1), ("warm", TIMES), ("new process", TIMES)):
            times: dict[str, list[float]] = {name: [] for name in checkouts}
            for _ in range(rounds):
                for name, checkout in checkouts.items():
                    times[name].append(in_checkout(checkout, what, Path(place)))
            found[f"cpu_milliseconds_to_list_{what.replace(' ', '_')}"] = compared(times)
        found["idle_page"] = [idle(checkouts, count, str(folder)) for _ in range(3)]
    return found


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    found: dict[str, Any] = {name: figures(each) for name, each in times.items()}
    if "before" in times:
        found["ratio"] = round(statistics.median(times["before"]) / statistics.median(times["after"]), 2)
    return found


def in_checkout(checkout: Path, what: str, place: Path) -> float:
    """Run this script on the code of a checkout, in a process of its own; return milliseconds of the processor."""
    command = [sys.executable, str(Path(__file__).resolve()), "--inside", what, "--place", str(place)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    given = subprocess.check_output(command, env=environment, cwd=checkout, text=True)
    found: dict[str, Any] = json.loads(given.splitlines()[-1])
    print(checkout, found, file=sys.stderr, flush=True)
    assert found["code"] == str(checkout), "another checkout was measured"
    return float(found["milliseconds"])


# -- in a process of its own, on any checkout ----------------------------------------------------------------------
def listed(what: str, place: Path) -> dict[str, Any]:
    """List all files: nothing is known (cold; in groups that are written, as for a page), or all is."""
    sys.path = [path for path in sys.path if Path(path or ".").resolve() != ROOT / "bench"]
    import vae_manager
    from vae_manager.library import Folder, scan
    from vae_manager.library.index import Index

    code = Path(vae_manager.__file__).resolve().parents[1]

    def index(data: Path | None) -> Any:
        try:
            from vae_manager.records import RecordStore
        except ImportError:
            return Index(data)  # type: ignore[arg-type]
        return Index(RecordStore(data))

    def look(by: Any) -> None:
        assert by.inspect_all(scan([Folder(place / "VAE")]))

    if what == "cold":
        fresh = index(None)
        return {"code": str(code), "milliseconds": milliseconds(lambda: look(fresh))}
    if what == "cold in groups":
        with tempfile.TemporaryDirectory() as own:
            fresh, files = index(Path(own)), scan([Folder(place / "VAE")])
            groups = [files[start : start + GROUP] for start in range(0, len(files), GROUP)]
            return {
                "code": str(code),
                "milliseconds": milliseconds(lambda: [fresh.inspect_all(group) for group in groups]),
            }
    data = place / f"data of {code.name}"
    known = index(data)
    if what == "warm" or not data.exists():
        look(known)
    if what == "new process":
        known = index(data)
    return {"code": str(code), "milliseconds": milliseconds(lambda: look(known))}


def milliseconds(work: Callable[[], object]) -> float:
    """Time of the processor: the machine may be busy."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def figures(times: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(times), 1),
        "fastest": round(min(times), 1),
        "slowest": round(max(times), 1),
    }


if __name__ == "__main__":
    main()
