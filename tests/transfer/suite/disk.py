"""The folder: full, read-only, gone; what became of a partial file; clocks, processes, threads."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transfer.ordering import MB, REPO, some_bytes
from tests.transfer.tap import Op, Tap
from vae_manager.errors import DiskError, RefusedError
from vae_manager.transfer import DownloadResult

from .case import A_LITTLE, MORE, SLOW, WHOLE, Case, Step, both, midway
from .world import World

ROOT = Path(__file__).parents[3]
KEPT = 3 * MB
AFTER_KEEPING = KEPT + 2 * MORE


# -- the system says no ----------------------------------------------------------------------------------------------
def says(number: int, when: Callable[[Op], bool], *, once: bool = False) -> Step:
    """The system answers so to what is tried in the folder."""

    def fail(world: World) -> None:
        left = [1] if once else [1] * 100_000

        def before(op: Op) -> None:
            if when(op) and left:
                left.pop()
                raise OSError(number, os.strerror(number))

        Tap(world.folder, world.patch, before)

    return fail


def opens_part(op: Op) -> bool:
    return op.kind in ("create", "open") and ".part" in op.name


def opens_journal(op: Op) -> bool:
    return op.kind in ("create", "open") and ".journal" in op.name


def opens_anything(op: Op) -> bool:
    return op.kind in ("create", "open")


def syncs(op: Op) -> bool:
    return op.kind == "sync"


def syncs_folder(op: Op) -> bool:
    return op.kind == "sync folder"


def publishes(op: Op) -> bool:
    return op.kind == "rename" and not op.new_name.startswith(".")


def full_at(count: int) -> Step:
    """The disk takes so many bytes and no more."""

    def fail(world: World) -> None:
        written = [0]

        def before(op: Op) -> None:
            written[0] += len(op.data)
            if op.kind == "write" and written[0] > count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        Tap(world.folder, world.patch, before)

    return fail


def little_room(world: World) -> None:
    world.patch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": MB}))


def small_disk(world: World) -> None:
    """A real one, which only root may mount."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(world.folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    world.others.append(lambda: subprocess.run(["umount", "-l", str(world.folder)], check=True))


def looks_large(world: World) -> None:
    world.patch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 60}))


# -- the folder ------------------------------------------------------------------------------------------------------
def file_instead(world: World) -> None:
    world.folder.rmdir()
    world.folder.write_bytes(b"")


def is_unharmed(world: World) -> None:
    assert world.folder.read_bytes() == b""


def no_folder(world: World) -> None:
    shutil.rmtree(world.folder.parent)


def vanish(world: World) -> None:
    shutil.rmtree(world.folder)


def other_file(world: World) -> None:
    world.allowed.append(b"mine")
    world.target.write_bytes(b"mine")


def is_still_mine(world: World) -> None:
    assert world.target.read_bytes() == b"mine"
    world.target.unlink()


# -- what became of the partial file ---------------------------------------------------------------------------------
def partial(change: Callable[[Path], object]) -> Step:
    """A partial file is left behind, and then this happens to it."""

    def fail(world: World) -> None:
        change(world.keep(KEPT).path)

    return fail


def journal(change: Callable[[Path], object]) -> Step:
    return partial(lambda path: change(path.with_suffix(".journal")))


def cut_to(share: float) -> Callable[[Path], object]:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def other_bytes(path: Path) -> None:
    path.write_bytes(some_bytes(path.stat().st_size, seed=5))


def one_other_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(KEPT // 2)
        byte = file.read(1)
        file.seek(KEPT // 2)
        file.write(bytes([byte[0] ^ 255]))


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more than there should be" * 1000)


def link_to_something(path: Path) -> None:
    precious = path.parent.parent / "precious"
    precious.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(precious)


def precious_is_unharmed(world: World) -> None:
    assert (world.folder.parent / "precious").read_bytes() == b"precious"
    assert not world.target.is_symlink()


def from_the_future(path: Path) -> None:
    later = time.time() + 400 * 86400
    for one in path.parent.glob(".*"):
        os.utime(one, (later, later))


def edited(**changes: object) -> Callable[[Path], object]:
    """The journal's fields; those that it does not have are none of our business."""

    def edit(path: Path) -> None:
        found = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(found | changes), encoding="utf-8")

    return edit


# -- clocks, processes, threads --------------------------------------------------------------------------------------
def clock(seconds: float) -> Step:
    """Everybody's clock is set."""

    def fail(world: World) -> None:
        real = time.time
        world.patch.setattr(time, "time", lambda: real() + seconds)

    return fail


def with_another_process(world: World) -> None:
    world.hub.repository(REPO).gated = False
    command = [sys.executable, "-m", "tests.transfer.process", world.hub.endpoint, str(world.folder)]
    process = subprocess.Popen([*command, str(world.order.sha256)], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def wait() -> None:
        out, _ = process.communicate(timeout=30)
        assert "error" not in json.loads(out), out

    world.others.append(wait)
    while not world.hub.requests:
        time.sleep(0.01)


def in_two_threads(world: World) -> DownloadResult:
    found: list[DownloadResult] = []
    other = threading.Thread(target=lambda: found.append(world.get()))
    other.start()
    mine = world.get()
    other.join()
    assert len(found) == 1
    assert {mine.already_there, found[0].already_there} == {True, False}
    return mine


FULL = [
    Case("full when the file is made", says(errno.ENOSPC, opens_part), DiskError, "nothing", MORE, code="disk-full"),
    Case("full in the middle", full_at(KEPT), DiskError, "hidden", MORE + KEPT, code="disk-full"),
    Case("full at the first byte", full_at(0), DiskError, "hidden", MORE, code="disk-full"),
    Case("full when the disk is to hold it", says(errno.ENOSPC, syncs), DiskError, "hidden", WHOLE, code="disk-full"),
    Case(
        "full when the journal is made", says(errno.ENOSPC, opens_journal), DiskError, "hidden", WHOLE, code="disk-full"
    ),
    Case(
        "over the quota in the middle",
        says(errno.EDQUOT, lambda op: op.offset > KEPT),
        DiskError,
        "hidden",
        WHOLE,
        code="disk-full",
    ),
    Case(
        "an error of the disk in the middle",
        says(errno.EIO, lambda op: op.offset > KEPT),
        DiskError,
        "hidden",
        WHOLE,
        code="disk-reports",
    ),
    Case("an error of the disk when it is to hold it", says(errno.EIO, syncs), DiskError, "hidden", WHOLE),
    Case("too little room", little_room, DiskError, "nothing", 0, code="no-space"),
    Case("a small disk", small_disk, DiskError, "nothing", 0, code="no-space", heals=False),
    Case(
        "a small disk that looks large",
        both(small_disk, looks_large),
        DiskError,
        "hidden",
        16 * MB,
        code="disk-full",
        heals=False,
    ),
    Case("a disk that cannot sync", says(errno.EINVAL, syncs), twice=0),
    Case("a folder that cannot be synced", says(errno.EINVAL, syncs_folder), twice=0),
]

FOLDER = [
    *[
        Case(
            f"a folder that may not be written: {errno.errorcode[number]}",
            says(number, opens_anything),
            DiskError,
            "nothing",
            MORE,
            code="not-writable",
        )
        for number in (errno.EACCES, errno.EROFS, errno.EPERM)
    ],
    Case("a final name that is refused", says(errno.EACCES, publishes), DiskError, "partial", A_LITTLE),
    Case(
        "a file instead of the folder",
        file_instead,
        DiskError,
        "nothing",
        0,
        code="not-a-folder",
        heals=False,
        check=is_unharmed,
    ),
    Case("no folder yet", no_folder, twice=0),
    Case("the folder vanishes in the middle", midway(vanish), (DiskError, None), "nothing", WHOLE, link=SLOW),
    Case("another file under the name", other_file, RefusedError, "file", 0, check=is_still_mine),
    Case(
        "another file under the name in the middle",
        midway(other_file),
        RefusedError,
        "file",
        WHOLE,
        link=SLOW,
        check=is_still_mine,
    ),
]

PARTIAL = [
    Case("stopped in the middle", partial(lambda _: None), twice=MORE),
    Case("a partial file that was cut to half", partial(cut_to(0.5)), twice=AFTER_KEEPING),
    Case("a partial file that was emptied", partial(cut_to(0)), twice=AFTER_KEEPING),
    Case("a partial file that is gone", partial(Path.unlink), twice=AFTER_KEEPING),
    Case("a partial file of other bytes", partial(other_bytes), twice=WHOLE + KEPT),
    Case("a partial file with one other byte", partial(one_other_byte), twice=WHOLE + KEPT),
    Case("a partial file that became longer", partial(longer), twice=AFTER_KEEPING),
    Case("a partial file that is a link", partial(link_to_something), twice=AFTER_KEEPING, check=precious_is_unharmed),
    Case("a journal that is a link", journal(link_to_something), twice=AFTER_KEEPING, check=precious_is_unharmed),
    Case("a journal that is gone", journal(Path.unlink), twice=AFTER_KEEPING),
    Case("a journal that is empty", journal(cut_to(0)), twice=AFTER_KEEPING),
    Case("a journal that was cut to half", journal(cut_to(0.5)), twice=AFTER_KEEPING),
    Case("a journal of other bytes", journal(other_bytes), twice=AFTER_KEEPING),
    Case("a journal from the future", journal(from_the_future), twice=MORE),
    Case("a journal of a later version", journal(edited(version=99)), twice=AFTER_KEEPING),
    *[
        Case(f"a journal that counts {segments}", journal(edited(segments=segments)), twice=WHOLE + KEPT)
        for segments in (
            [[0, 7 * MB]],
            [[0, 10**30]],
            [[-5, MB]],
            [[MB, 0]],
            [[0, MB], [500, 2 * MB]],
            [[0, 1.5]],
            [[0]],
            "all",
            [[0, 2 * MB], [MB, 3 * MB], [0, MB]],
            [[5 * MB, 8 * MB]],
            [["0", "9"]],
            None,
            [[0, True]],
            {"0": 9},
        )
    ],
    *[
        Case(f"a journal with the ETag {etag!r}", journal(edited(etag=etag)), twice=AFTER_KEEPING)
        for etag in ('"other"', "a\r\nX-Evil: 1", "é\udcff", "", 5, ["a"], "\0")
    ],
    *[
        Case(f"a journal with a total of {total}", journal(edited(total=total)), twice=AFTER_KEEPING)
        for total in (5, -1, 10**30, "many", None)
    ],
]

TOGETHER = [
    Case("a clock that is set back a day", midway(clock(-86400)), link=SLOW, twice=A_LITTLE),
    Case("a clock that is set forward a day", midway(clock(86400)), link=SLOW, twice=A_LITTLE),
    Case("two processes", with_another_process, link=SLOW, twice=A_LITTLE),
    Case("two threads", get=in_two_threads, link=SLOW, twice=A_LITTLE),
]

CASES = [*FULL, *FOLDER, *PARTIAL, *TOGETHER]
