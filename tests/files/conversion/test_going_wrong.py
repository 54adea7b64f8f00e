"""What goes wrong on the way of a conversion: nothing is left behind, whatever it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.files.whole_vaes import vae, write
from vae_manager.errors import BrokenFileError, Cancelled, DiskError, FileChangedError, IntegrityError
from vae_manager.files import conversion as module
from vae_manager.files import disk
from vae_manager.files.conversion import convert

from .folders import left


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_stop_leaves_nothing(source: Path, target: Path, share: float) -> None:
    stop = threading.Event()

    def report(done: int, total: int) -> None:
        if done > share * total:
            stop.set()

    with pytest.raises(Cancelled):
        convert(source, target, report=report, stop=stop)
    assert left(target) == []


@pytest.mark.parametrize("value", [b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff"], ids=["nan", "infinity"])
def test_a_source_with_no_numbers_becomes_no_file(source: Path, target: Path, value: bytes) -> None:
    """A conversion reads each number, so it finds what the header cannot tell."""
    data = bytearray(source.read_bytes())
    data[-4:] = value
    source.write_bytes(data)
    with pytest.raises(BrokenFileError) as caught:
        convert(source, target)
    assert caught.value.code == "nan"
    assert left(target) == []


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_a_source_that_changes(source: Path, target: Path, share: float) -> None:
    def report(done: int, total: int) -> None:
        if done > share * total:
            os.utime(source, ns=(5, 5))

    with pytest.raises(FileChangedError):
        convert(source, target, report=report)
    assert left(target) == []


def test_a_disk_that_lies(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit flips between the writing and the reading back."""

    def flip(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, bytes([os.pread(descriptor, 1, size - 1)[0] ^ 1]), size - 1)

    monkeypatch.setattr(module, "sync", flip)
    with fails_with(IntegrityError, "disk-gave-other-bytes"):
        convert(source, target)
    assert left(target) == []


def test_no_room(source: Path, target: Path) -> None:
    """A checkpoint whose VAE would be a million million bytes: all of it is a hole."""
    size = 10**12
    with source.open("wb") as file:
        big = write(source.with_name("x"), {"vae." + name: one for name, one in vae().items()})
        raw = big.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        end = max(one["data_offsets"][1] for one in header.values())
        header["vae.decoder.up.0.attn.0.q.weight"] = {
            "dtype": "F16", "shape": [size // 2], "data_offsets": [end, end + size]
        }  # fmt: skip
        text = json.dumps(header).encode()
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end + size)
    with pytest.raises(DiskError, match=r"free, but 1000\.0 GB are needed"):
        convert(source, target)
    assert left(target) == []


FULL = """
import resource, sys
from pathlib import Path
from vae_manager.errors import DiskError
from vae_manager.files.conversion import convert
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
except DiskError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_the_disk_is_full_on_the_way(source: Path, target: Path) -> None:
    """The system itself refuses to let the file grow."""
    process = subprocess.run(
        [sys.executable, "-c", FULL, source, target], capture_output=True, text=True, check=True, timeout=30
    )
    assert "is full" in process.stdout, process.stdout + process.stderr
    assert left(target) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(source: Path, target: Path) -> None:
    target.parent.chmod(0o500)
    with fails_with(DiskError, "not-writable"):
        convert(source, target)
    target.parent.chmod(0o700)


def test_no_such_folder(source: Path, target: Path) -> None:
    target.parent.rmdir()
    with fails_with(DiskError, "not-a-folder"):
        convert(source, target)


def test_what_is_being_written_is_left_alone(target: Path) -> None:
    with disk.partial_file(target.parent) as (path, _):
        with disk.partial_file(target.parent) as (other, _):
            assert left(target) == sorted([path.name, other.name])
            assert all(name.startswith(".") for name in left(target))
        assert left(target) == [path.name]
    assert left(target) == []
