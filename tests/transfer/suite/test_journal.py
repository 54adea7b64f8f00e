"""A journal that is garbled at any byte costs bytes, never correctness."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub import Hub, Link
from tests.transfer.ordering import COMMIT, NAME, PINNED, QUICK, REPO, sha256, some_bytes
from vae_manager.errors import Cancelled
from vae_manager.transfer import DownloadRequest, Network, download_file, unfinished

DATA = some_bytes(400_000)
STEP = 24
"""Each so-manieth place is tried over the network; of those that tell what is there, all that still make sense."""

Garbling = Callable[[bytes, int], bytes]


def with_byte(value: int) -> Garbling:
    return lambda data, at: data[:at] + bytes([value]) + data[at + 1 :]


GARBLINGS: dict[str, Garbling] = {
    "cut": lambda data, at: data[:at],
    "cut and filled with zeros": lambda data, at: data[:at].ljust(len(data), b"\0"),
    "zeros before": lambda data, at: bytes(at) + data[at:],
    "a byte flipped": lambda data, at: data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :],
    "a bit flipped": lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    "a digit": with_byte(ord("9")),
    "a minus": with_byte(ord("-")),
    "a quote": with_byte(ord('"')),
    "a line end": with_byte(ord("\n")),
    "a byte missing": lambda data, at: data[:at] + data[at + 1 :],
    "a byte twice": lambda data, at: data[: at + 1] + data[at:],
}


class Shop:
    """A hub and a folder in which a partial file lies."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.order = DownloadRequest((PINNED,), folder, NAME, sha256(DATA))
        hub.add(REPO, NAME, DATA, revision=COMMIT)

    @property
    def has_notes(self) -> bool:
        """True if both notes are beside the partial file. On a busy machine the journal may be alone for a while."""
        return any(path.suffix == ".recent" for path in self.folder.iterdir())

    def download_file(self, stop_at: int | None = None) -> None:
        stop = threading.Event()
        download_file(
            self.order,
            network=Network(endpoint=self.hub.endpoint, connections=2, read_timeout=2, retry_policy=QUICK),
            report=lambda told: stop.set() if stop_at is not None and told.done >= stop_at and self.has_notes else None,
            stop=stop,
        )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr("vae_manager.transfer.partial_file.SAVE_BYTES", 20_000)
    folder = tmp_path / "VAE"
    folder.mkdir()
    with Hub() as hub:
        yield Shop(hub, folder)


@pytest.mark.parametrize("garbling", GARBLINGS)
@pytest.mark.parametrize("suffix", [".journal", ".recent"])
def test_garbled_at_any_byte(shop: Shop, suffix: str, garbling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = a_partial_file(shop)
    [garbled] = [name for name in kept if name.endswith(suffix)]
    whole = kept[garbled]
    telling = max(0, whole.find(b'"sha256"'))
    monkeypatch.setattr("os.fsync", lambda _: None)  # what the disk holds is not the question here
    tried = 0
    for at in range(len(whole)):
        data = GARBLINGS[garbling](whole, at)
        for name, right in kept.items():
            (shop.folder / name).write_bytes(data if name == garbled else right)
        makes_sense = bool(unfinished(shop.folder)) and data != whole
        if at % STEP and not (makes_sense and at >= telling):
            continue
        tried += 1
        shop.download_file()
        assert (shop.folder / NAME).read_bytes() == DATA
        assert [path.name for path in shop.folder.iterdir()] == [NAME]
        (shop.folder / NAME).unlink()
    assert tried >= len(whole) // STEP


@pytest.mark.parametrize("number", [b"Infinity", b"NaN", b"-1", b"1e999", b"null"])
def test_a_number_that_is_none(shop: Shop, number: bytes) -> None:
    """JSON's own readers take the first two."""
    kept = a_partial_file(shop)
    for garbled in (name for name in kept if name.endswith((".journal", ".recent"))):
        for found in re.finditer(rb"(?<=[ \[])\d+(?=[,\]\n])", kept[garbled]):
            whole = kept[garbled]
            for name, right in kept.items():
                (shop.folder / name).write_bytes(right)
            (shop.folder / garbled).write_bytes(whole[: found.start()] + number + whole[found.end() :])
            unfinished(shop.folder)
            shop.download_file()
            assert (shop.folder / NAME).read_bytes() == DATA
            (shop.folder / NAME).unlink()


def a_partial_file(shop: Shop) -> dict[str, bytes]:
    """The hidden files that a stop in the middle leaves."""
    shop.hub.cdn.link = Link(rate_total=250_000)  # the notes are written before the end, on a busy machine too
    with pytest.raises(Cancelled):
        shop.download_file(stop_at=150_000)
    shop.hub.settle()
    shop.hub.cdn.link = Link()
    assert unfinished(shop.folder)
    return {path.name: path.read_bytes() for path in shop.folder.iterdir() if not path.name.endswith(".lock")}
