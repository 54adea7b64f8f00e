"""Kill operations on files before each system call that changes a disk, and check the files after a listing.

Part of `python tasks.py prove kills`. Needs strace and the right to attach it; fails without strace.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.results import write
from tests.library.killing import WAYS, Rounds, far_folder
from tests.library.scenes import SCENES, Stage, clear

CALLS = (
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir",
    "mkdirat", "rmdir", "fsync", "fdatasync", "ftruncate", "write", "pwrite64", "utimensat", "chmod", "fchmod",
    "fchmodat", "copy_file_range", "sendfile", "fallocate", "openat",
)  # fmt: skip
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
_WRITING = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC)")


class Child:
    """A process that waits until strace has it, then carries out an operation."""

    def __init__(self, rounds: Rounds, stage: Stage, way: str) -> None:
        reading, self._go = os.pipe()
        self.process = os.fork()
        if not self.process:
            with suppress(BaseException):
                os.close(self._go)
                os.read(reading, 1)
                WAYS[way]()
                rounds.act(stage)
                os._exit(0)
            os._exit(1)
        os.close(reading)

    def run(self, *options: str) -> int:
        """Continue under strace; return its exit status."""
        command = ["strace", "-f", "-p", str(self.process), "-e", f"trace={','.join(CALLS)}", *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as strace:
            assert strace.stderr is not None
            line = strace.stderr.readline()
            assert "attached" in line, line
            os.close(self._go)
            strace.stderr.read()
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)


def points(rounds: Rounds, way: str) -> Iterator[tuple[str, int]]:
    """The calls of an operation that change the disk, each with its number among those of its name and thread."""
    stage = rounds.stage()
    with tempfile.NamedTemporaryFile("r") as log:
        status = Child(rounds, stage, way).run("-o", log.name)
        lines = log.read().splitlines()
    clear(stage)
    assert status == 0, f"{rounds.scene.name} ends with {status}"
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], None] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:  # an exit, or the end of a call that was begun above
            continue
        thread, call, arguments = match.groups()
        counts[thread, call] += 1
        if call != "openat" or _WRITING.search(arguments):
            found[call, counts[thread, call]] = None
    yield from found


def killed(rounds: Rounds, way: str, call: str, number: int) -> tuple[bool, list[str]]:
    """Kill an operation right before a call; return True if it was hit, and the problems that were found afterwards."""
    stage = rounds.stage()
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    status = Child(rounds, stage, way).run("-o", "/dev/null", "-e", inject)
    assert status in (0, -signal.SIGKILL), f"{rounds.scene.name} ends with {status}"
    name = f"{rounds.scene.name}, {way}, {call} {number}"
    return status != 0, [f"{name}: {text}" for text in rounds.judged(stage)]


def kind_of(folder: Path) -> str:
    """`ext4`, `tmpfs`, …"""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def prove() -> bool:
    """Kill all operations and write the result; return True if no problem was found."""
    if shutil.which("strace") is None:
        print("strace is not installed: operations on files were not killed.", file=sys.stderr)
        return False
    began = time.monotonic()
    kills: dict[str, Counter[str]] = {}
    late, looks, wrong = 0, 0, []
    memory, temporary = far_folder(), Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(dir=memory) as near, tempfile.TemporaryDirectory() as far:
        for scene in SCENES:
            rounds = Rounds(scene, Path(near), Path(far))
            counts = kills[scene.name] = Counter()
            for way in scene.ways:
                for call, number in points(rounds, way):
                    hit, found = killed(rounds, way, call, number)
                    counts[call] += hit
                    late += not hit
                    wrong += found
                    for line in found:
                        print(line, flush=True)
            looks += rounds.looks_cut_off
            print(f"{scene.name}: {sum(counts.values())} kills, {len(wrong)} bad states so far", flush=True)
    path = write(
        "kills-operations",
        {
            "kills": sum(sum(counts.values()) for counts in kills.values()),
            "kills_that_came_too_late": late,
            "listings_after_them_cut_off_too": looks,
            "bad_states": wrong,
            "file_systems": {"library": kind_of(memory or temporary), "the other one": kind_of(temporary)},
            "ways_to_give_a_name": list(WAYS),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "kills_by_operation_and_call": {name: dict(sorted(counts.items())) for name, counts in kills.items()},
        },
    )
    print(path.read_text(encoding="utf-8"))
    return not wrong


if __name__ == "__main__":
    sys.exit(not prove())
