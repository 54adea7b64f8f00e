"""Processes that write records, and can be killed: `python -m tests.records.killing DATA NAME COUNT THREADS`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from vae_manager.files import Identity
from vae_manager.records import HashRecord, RecordStore
from vae_manager.records import store as stores

ROOT = Path(__file__).parents[2]
READY = b"ready\n"


def identity(path: str) -> Identity:
    """The identity of a file that is not there."""
    return Identity(path, 1, 2, 3, 4)


class Writer:
    """A process that writes `count` records in each of its threads, one by one."""

    def __init__(self, data: Path, name: str, *, count: int, threads: int, reports: bool = False) -> None:
        command = [sys.executable, "-m", "tests.records.killing", str(data), name, str(count), str(threads)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE if reports else subprocess.DEVNULL)

    def wait(self) -> int:
        return self._process.wait(600)

    def kill_after(self, seconds: float) -> int:
        """Kill it that long after its first record; return the number of records that it reported as committed."""
        output = self._process.stdout
        assert output is not None
        assert output.readline() == READY
        time.sleep(seconds)
        self._process.kill()
        lines = output.read()
        self._process.wait()
        output.close()
        return lines.count(b"\n")


def write(store: RecordStore, name: str, count: int) -> None:
    for number in range(count):
        store.hashes.put(HashRecord(identity(f"/{name}/{number}"), f"{number:064x}"))
        if not store.unwritten:
            print(number, flush=True)


def main() -> None:
    data, name, count, threads = sys.argv[1:]
    # The files of these records do not exist: without room for them, a sweep removes some.
    stores.MAX_GONE = 1_000_000  # type: ignore[misc]
    store = RecordStore(Path(data))
    store.load()
    print("ready", flush=True)
    running = [
        threading.Thread(target=write, args=(store, f"{name}{thread}", int(count))) for thread in range(int(threads))
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    until = time.monotonic() + 60
    while store.unwritten and time.monotonic() < until:  # it was locked for a moment
        time.sleep(0.1)
        store.refresh()
    sys.exit(store.unwritten != 0)


if __name__ == "__main__":
    main()
