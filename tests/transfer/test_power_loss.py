"""The power goes: whatever the disk then holds, the next start ends with the right file.

The changes of the folder are recorded during real deliveries, and replayed into other folders up to any point, with
whatever a disk may have made of them by then (see `powercut`).
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hub import Fault, Hub, Link
from vae_manager.errors import Cancelled
from vae_manager.transfer import DownloadRequest, Network, download_file, unfinished

from .ordering import COMMIT, NAME, PINNED, QUICK, REPO, sha256, some_bytes
from .powercut import Taste, after_cut
from .tap import Op, Tap

KB = 1000
DATA = some_bytes(600 * KB)
NOTE, SYNC = 40 * KB, 100 * KB
SHARE = 1 << 16
"""Small, so that four connections have something to do."""
MOST_LOST = 2 * SYNC + 4 * SHARE
"""Bytes: what four connections hold in hand comes to that."""
SEED = 20261123
LEAST_CUTS = 300
"""For each story."""
WAYS: tuple[tuple[Taste, float | None], ...] = (
    ("none", 0.0),
    ("none", 1.0),
    ("all", 0.0),
    ("all", 1.0),
    ("some", 1.0),
    ("some", 1.0),
    ("some", None),
)
"""How much of what was not synced is there: of the bytes, and of the changes of names (None: by chance)."""


@dataclass
class Shop:
    """One hub for all folders."""

    hub: Hub

    def download_file(self, folder: Path, stop_at: int | None = None, connections: int = 4) -> None:
        stop = threading.Event()
        download_file(
            DownloadRequest((PINNED,), folder, NAME, sha256(DATA)),
            network=Network(endpoint=self.hub.endpoint, connections=connections, read_timeout=2, retry_policy=QUICK),
            report=lambda told: stop.set() if stop_at is not None and told.done >= stop_at else None,
            stop=stop,
        )

    def sent(self) -> int:
        self.hub.settle()
        return self.hub.cdn.sent()


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for name, value in (("SAVE_BYTES", NOTE), ("SAVE_SECONDS", 0.02), ("SYNC_BYTES", SYNC), ("SYNC_SECONDS", 1)):
        monkeypatch.setattr(f"vae_manager.transfer.partial_file.{name}", value)
    for name, value in (("MIN_SEGMENT_BYTES", SHARE), ("MAX_SEGMENT_BYTES", 2 * SHARE)):
        monkeypatch.setattr(f"vae_manager.transfer.range_requests.{name}", value)
    monkeypatch.setattr(sys.modules["vae_manager.transfer.delivery"], "REPORT_INTERVAL_S", 0.0)
    with Hub(link=Link(rate_per_connection=4_000 * KB)) as hub:
        hub.add(REPO, NAME, DATA, revision=COMMIT)
        yield Shop(hub)


# -- what is recorded ------------------------------------------------------------------------------------------------
def straight(shop: Shop, folder: Path) -> None:
    shop.download_file(folder)


def with_cuts(shop: Shop, folder: Path) -> None:
    shop.hub.cdn.fail_next(*[Fault.reset_after(90 * KB)] * 3)
    shop.download_file(folder)


def stopped_and_gone_on(shop: Shop, folder: Path) -> None:
    with pytest.raises(Cancelled):
        shop.download_file(folder, stop_at=200 * KB)
    shop.download_file(folder)


def with_a_wrong_byte(shop: Shop, folder: Path) -> None:
    shop.hub.cdn.fail_next(Fault.flip(400 * KB), covering=400 * KB)
    shop.download_file(folder)


STORIES: dict[str, Callable[[Shop, Path], None]] = {
    "straight on": straight,
    "with cuts of the line": with_cuts,
    "stopped, and gone on": stopped_and_gone_on,
    "with a wrong byte": with_a_wrong_byte,
}
MAY_KEEP_WRONG_BYTES = {"with a wrong byte"}


def record(shop: Shop, folder: Path, story: str) -> Tap:
    with pytest.MonkeyPatch.context() as patch:
        tap = Tap(folder, patch)
        STORIES[story](shop, folder)
    assert (folder / NAME).read_bytes() == DATA
    everything = after_cut([*tap.ops, Op("sync folder")], tap.start, "all", random.Random(), 1.0)
    assert tap.escaped(everything) == [], "every change was seen"
    return tap


# -- what is replayed ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("story", STORIES)
def test_after_a_power_cut(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
    first = tmp_path / "first"
    first.mkdir()
    tap = record(shop, first, story)
    shop.hub.cdn.link = Link()
    the_machine_starts_anew(monkeypatch)
    chance = random.Random(SEED)
    cuts, seen = 0, set()
    for point in range(len(tap.ops) + 1):
        for taste, share in WAYS:
            names = chance.random() if share is None else share
            files = after_cut(tap.ops[:point], tap.start, taste, chance, names)
            cuts += 1
            state = tuple((name, hash(data)) for name, data in sorted(files.items()))
            if state in seen:
                continue
            seen.add(state)
            folder = tmp_path / f"{cuts}"
            folder.mkdir()
            for name, data in files.items():
                (folder / name).write_bytes(data)
            where = f"{point} of {len(tap.ops)} changes, bytes {taste}, names {names:.1f}"
            once_more = the_next_start_ends_right(shop, folder, where)
            assert story in MAY_KEEP_WRONG_BYTES or not once_more, f"the journal counts what is not there after {where}"
            (folder / NAME).unlink()
    print(f"{story}: {cuts} cuts, {len(seen)} of them different")
    assert cuts >= LEAST_CUTS


def the_machine_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.transfer.resume_journal.boot_id", lambda: "after the power cut")
    monkeypatch.setattr("os.fsync", lambda _: None)  # the second delivery is not cut


def the_next_start_ends_right(shop: Shop, folder: Path, where: str) -> bool:
    """Says whether what was kept was wrong, so that the whole file had to be fetched."""
    target = folder / NAME
    assert not target.exists() or target.read_bytes() == DATA, f"a wrong file after {where}"
    kept = sum(left.done for left in unfinished(folder))
    already, before = target.exists(), shop.sent()
    shop.download_file(folder, connections=1)  # of several, one may end what another has begun: that costs a little
    assert target.read_bytes() == DATA, where
    assert [path.name for path in folder.iterdir()] == [NAME], where
    fetched = shop.sent() - before
    expected = 0 if already else len(DATA) - kept
    assert fetched in (expected, expected + len(DATA)), f"{fetched} bytes instead of {expected} after {where}"
    return fetched > expected


@pytest.mark.parametrize("story", STORIES)
def test_little_is_lost(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
    """What the disk holds for sure, once it has the names, lies little behind what had arrived."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    shop.hub.cdn.link = Link(rate_total=600 * KB)  # the disk keeps up, on a busy machine too
    tap = record(shop, first, story)
    the_machine_starts_anew(monkeypatch)
    for point, had in enumerate(arrived(tap.ops)):
        files = after_cut(tap.ops[:point], tap.start, "none", random.Random(), 1.0)
        for path in second.iterdir():
            path.unlink()
        for name, data in files.items():
            (second / name).write_bytes(data)
        kept = len(DATA) if NAME in files else sum(left.done for left in unfinished(second))
        assert had - kept <= MOST_LOST, f"{had - kept} bytes of {had} after {point} changes"


def arrived(ops: list[Op]) -> Iterator[int]:
    """How many bytes of the file had been written before each change; none since it was thrown away."""
    part, mask = 0, bytearray(len(DATA))
    for op in ops:
        yield mask.count(1)
        if op.kind == "create" and ".part" in op.name:
            part = op.file
        elif op.kind == "unlink" and op.name.endswith((".journal", ".part")):
            mask = bytearray(len(DATA))
        elif op.kind == "write" and op.file == part:
            mask[op.offset : op.offset + len(op.data)] = b"\1" * len(op.data)
