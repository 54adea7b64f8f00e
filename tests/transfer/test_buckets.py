"""Objects in buckets, with fsspec's own bucket in memory and drivers that fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.failing import fails_with
from vae_manager.catalogue.entry import BucketSource
from vae_manager.errors import (
    IntegrityError,
    NetworkError,
    NotFoundError,
    RefusedError,
    TransientNetworkError,
    UsageError,
    VaeManagerError,
)
from vae_manager.transfer import buckets, unfinished
from vae_manager.transfer.buckets import open_bucket_range, resolve_bucket
from vae_manager.transfer.resume_journal import Journal, read_journal

from .ordering import MB, NAME, Desk, sha256, some_bytes

DATA = some_bytes(2 * MB)
SOURCE = BucketSource("memory", "bucket", "vaes/a b.safetensors")


@pytest.fixture(autouse=True)
def bucket() -> Iterator[Any]:
    """fsspec's file system in memory, which is one for the process."""
    import fsspec

    files = fsspec.filesystem("memory")
    files.pipe_file("bucket/vaes/a b.safetensors", DATA)
    yield files
    files.store.clear()


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "SLICE", 300_000)


# -- locate and open_at --------------------------------------------------------------------------------------------
def test_the_size_and_no_hash() -> None:
    location = resolve_bucket(SOURCE)
    assert (location.size, location.sha256, location.source) == (len(DATA), None, SOURCE)


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (5, None), (0, 300_000), (299_999, 600_001), (7, 7), (len(DATA), None), (5, 10**9)]
)
@pytest.mark.usefixtures("slices")
def test_a_range(start: int, end: int | None) -> None:
    total, chunks = open_bucket_range(SOURCE, start, end)
    assert total == len(DATA)
    assert b"".join(chunks) == DATA[start:end]


@pytest.mark.usefixtures("slices")
def test_an_object_that_became_shorter_meanwhile(bucket: Any) -> None:
    _, chunks = open_bucket_range(SOURCE, 0, None)
    next(chunks)
    bucket.pipe_file("bucket/vaes/a b.safetensors", DATA[:400_000])
    with fails_with(TransientNetworkError, "broke-off"):
        list(chunks)


@pytest.mark.parametrize("path", ["nothing", "vaes"])
def test_what_is_not_a_file(path: str) -> None:
    with fails_with(NotFoundError, "no-such-file", source=BucketSource("memory", "bucket", path)):
        resolve_bucket(BucketSource("memory", "bucket", path))


# -- what a driver can do ------------------------------------------------------------------------------------------
class NoCredentialsError(Exception):
    """As botocore has one."""


class EndpointConnectionError(Exception):
    """As botocore has one."""


class _Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def info(self, path: str) -> dict[str, Any]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("hunter2"), NotFoundError),
        (IsADirectoryError("hunter2"), NotFoundError),
        (PermissionError("hunter2"), RefusedError),
        (NoCredentialsError("hunter2"), RefusedError),
        (OSError("hunter2"), TransientNetworkError),
        (TimeoutError("hunter2"), TransientNetworkError),
        (EndpointConnectionError("hunter2"), TransientNetworkError),
        (ValueError("hunter2"), NetworkError),
    ],
)
def test_its_errors_are_ours_and_its_texts_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[VaeManagerError]
) -> None:
    monkeypatch.setattr("fsspec.filesystem", lambda scheme: _Failing(error))
    with pytest.raises(VaeManagerError) as caught:
        resolve_bucket(BucketSource("s3", "bucket", "a.pt"))
    assert type(caught.value) is kind
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scheme: str) -> None:
        raise ImportError(f"Install {scheme}")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with fails_with(UsageError, "driver-missing", package="s3fs"):
        resolve_bucket(BucketSource("s3", "bucket", "a.pt"))


def test_fsspec_itself_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with fails_with(UsageError, "driver-missing", package="s3fs"):
        resolve_bucket(BucketSource("s3", "bucket", "a.pt"))


@pytest.mark.parametrize("scheme", ["file", "local", "http", "sftp", "zip", "simplecache", "hf"])
def test_other_schemes_open_nothing(scheme: str) -> None:
    """Whoever made the source: only those of `DRIVERS` reach fsspec."""
    with pytest.raises(UsageError):
        resolve_bucket(BucketSource(scheme, "etc", "passwd"))


# -- delivery ------------------------------------------------------------------------------------------------------
def test_a_file_of_a_bucket_is_delivered(desk: Desk) -> None:
    delivery = desk.get(desk.order(DATA, SOURCE))
    assert (delivery.proven, delivery.fetched) == (True, len(DATA))
    assert desk.target.read_bytes() == DATA


def test_nobody_publishes_a_hash_for_it(desk: Desk) -> None:
    assert not desk.get(desk.order(DATA, SOURCE, known=False)).proven


def test_wrong_bytes_are_thrown_away(desk: Desk, bucket: Any) -> None:
    bucket.pipe_file("bucket/vaes/a b.safetensors", DATA[:-1] + b"!")
    with fails_with(IntegrityError, "wrong-bytes"):
        desk.get(desk.order(DATA, SOURCE))
    assert desk.names == []


def test_an_object_of_another_size(desk: Desk) -> None:
    with pytest.raises(IntegrityError):
        desk.get(desk.order(DATA, SOURCE, size=len(DATA) + 1))


def test_without_a_driver_the_next_source_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def some(scheme: str) -> Any:
        if scheme == "s3":
            raise ImportError
        return real(scheme)

    real = fsspec.filesystem
    monkeypatch.setattr("fsspec.filesystem", some)
    assert desk.get(desk.order(DATA, BucketSource("s3", "bucket", "a.pt"), SOURCE)).proven


@pytest.mark.usefixtures("slices")
def test_it_goes_on_after_a_failure(desk: Desk, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = type(bucket).cat_file, []

    def cat_file(self: Any, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        calls.append(start)
        if len(calls) > 3 and broken:
            raise OSError("gone")
        data: bytes = real(self, path, start, end, **more)
        return data

    broken = True
    monkeypatch.setattr(type(bucket), "cat_file", cat_file)
    with fails_with(NetworkError, "unreachable"):
        desk.get(desk.order(DATA, SOURCE))
    [left] = unfinished(desk.folder)
    assert left.request.sources == (SOURCE,)
    assert left.done > 0
    broken = False
    assert desk.get(left.request).fetched == len(DATA) - left.done


def test_public_only_reads_no_bucket(desk: Desk) -> None:
    with fails_with(RefusedError, "bucket-not-public"):
        desk.get(desk.order(DATA, SOURCE), desk.network(public_only=True))


def test_the_journal_knows_it(desk: Desk) -> None:
    journal = Journal(desk.order(DATA, SOURCE), sha256(DATA), source=SOURCE)
    path = desk.folder / ".x.journal"
    path.write_text(journal.to_json())
    assert read_journal(path) == journal
    path.write_text(journal.to_json().replace("memory://", "file://"))
    assert read_journal(path) is None
    assert desk.names == [".x.journal"]
    assert journal.request.file_name == NAME
