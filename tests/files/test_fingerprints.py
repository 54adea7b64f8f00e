from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from vae_manager.errors import Cancelled, DiskError, NotFoundError
from vae_manager.files import record, sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    path.write_bytes(os.urandom(10_000))
    return path


def expected(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "CHUNK", 4096)


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 9000])
@pytest.mark.usefixtures("small_chunks")
def test_the_hash_of_any_size(tmp_path: Path, size: int) -> None:
    file = tmp_path / "x"
    file.write_bytes(os.urandom(size))
    assert sha256_of(file) == expected(file)


@pytest.mark.usefixtures("small_chunks")
def test_progress_counts_all_bytes(file: Path) -> None:
    seen: list[int] = []
    sha256_of(file, report=seen.append)
    assert seen == [4096, 8192, 10_000]


@pytest.mark.usefixtures("small_chunks")
def test_it_stops_within_a_chunk(file: Path) -> None:
    stop = threading.Event()
    seen: list[int] = []

    def report(done: int) -> None:
        seen.append(done)
        stop.set()

    with pytest.raises(Cancelled):
        sha256_of(file, report=report, stop=stop)
    assert seen == [4096]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        sha256_of(tmp_path / "none")
    with pytest.raises(DiskError):
        sha256_of(tmp_path)
