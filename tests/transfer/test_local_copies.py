"""Files of this machine that are taken instead of a download."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.failing import fails_with, has
from tests.files.gadgets import SYSTEM
from tests.files.torch_files import Made, as_zip, call, text
from tests.hub import Hub
from vae_manager.catalogue import HubSource, LocalSource
from vae_manager.errors import Cancelled, NotFoundError, RefusedError
from vae_manager.files import sha256_of
from vae_manager.library.inspection_cache import Stores
from vae_manager.messages import Message
from vae_manager.transfer import DownloadRequest, DownloadResult, LocalPlaces, Network, Progress, local_copies

from .ordering import NAME, PINNED, QUICK, Desk, sha256, some_bytes

DATA = some_bytes(3_000_000, 3)


@dataclass
class Notices:
    """What was told."""

    messages: list[Message] = field(default_factory=list)

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def codes(self) -> list[str]:
        return [message.code for message in self.messages]


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file with the wanted bytes in another program's folder."""
    path = tmp_path / "ComfyUI" / "models" / "vae" / "theirs.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return path


@pytest.fixture
def places(desk: Desk, other: Path, tmp_path: Path, notices: Notices) -> LocalPlaces:
    desk.hub.add(PINNED.repo, PINNED.path, DATA, revision=PINNED.revision)
    return LocalPlaces([desk.folder], tmp_path / "no cache", [other.parent], notice=notices)


def get(desk: Desk, places: LocalPlaces, order: DownloadRequest | None = None) -> DownloadResult:
    return desk.get(order or desk.order(DATA, size=len(DATA)), desk.network(places=places))


def test_nothing_is_searched_unless_asked(desk: Desk, places: LocalPlaces) -> None:
    result = desk.get(desk.order(DATA, size=len(DATA)))
    assert (result.fetched, result.taken) == (len(DATA), None)


@pytest.mark.parametrize(
    ("name", "codes"),
    [("diffusion_pytorch_model.safetensors", []), ("sdxl_vae.safetensors", ["copy-has-other-bytes"])],
)
def test_a_name_that_any_vae_has_promises_no_bytes(
    desk: Desk, places: LocalPlaces, other: Path, notices: Notices, name: str, codes: list[str]
) -> None:
    desk.hub.add("me/named", f"vae/{name}", DATA)
    other.unlink()
    other.with_name(name).write_bytes(bytes(len(DATA)))
    order = replace(desk.order(DATA, size=len(DATA)), sources=(HubSource("me/named", f"vae/{name}"),))
    assert (get(desk, places, order).fetched, notices.codes) == (len(DATA), codes)


def test_bytes_are_taken(desk: Desk, places: LocalPlaces, other: Path, notices: Notices) -> None:
    result = get(desk, places)
    assert result.taken is not None
    assert (result.taken.path, result.fetched, result.proven, result.already_there) == (other, 0, True, False)
    assert (desk.names, desk.hub.requests, notices.codes) == ([NAME], [], [])
    assert desk.target.read_bytes() == DATA
    assert not os.path.samestat(desk.target.stat(), other.stat())


@pytest.mark.parametrize("fails", ["clone", "link"])
def test_where_blocks_cannot_be_shared_they_are_copied(
    desk: Desk, places: LocalPlaces, other: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(local_copies, "_clone", lambda real, file: False)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    if fails == "link":
        other.chmod(0o444)
    result = get(desk, places)
    assert result.taken is not None
    assert (result.taken.way, desk.target.read_bytes(), desk.names) == ("copied", DATA, [NAME])


def after_the_first_reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]) -> None:
    """Let something happen to a local file once it was hashed."""
    done = threading.Event()

    def hashed(path: Path, **options: object) -> str:
        found = sha256_of(path, **options)  # type: ignore[arg-type]
        if not done.is_set():
            done.set()
            change(path)
        return found

    monkeypatch.setattr(local_copies, "sha256_of", hashed)


def replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(DATA[:-1] + b"x")
    new.replace(path)


def saved_over(path: Path) -> None:
    path.write_bytes(DATA[:-1] + b"x")


@pytest.mark.parametrize("change", [Path.unlink, replaced, saved_over])
@pytest.mark.parametrize("mode", [0o644, 0o444], ids=["copied", "linked"])
def test_a_file_that_changes_meanwhile_is_fetched(
    desk: Desk,
    places: LocalPlaces,
    other: Path,
    notices: Notices,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
    mode: int,
) -> None:
    other.chmod(mode)
    after_the_first_reading(monkeypatch, change)
    hashes = Stores(Path(), lambda: None, is_persistent=False).hashes  # type: ignore[arg-type, return-value]
    result = get(desk, replace(places, hashes=hashes))
    assert (result.fetched, result.taken, desk.names) == (len(DATA), None, [NAME])
    assert desk.target.read_bytes() == DATA
    assert notices.codes in (["copy-changed"], ["copy-unreadable"])
    assert hashes.known(other) is None, "the hash is that of bytes that are gone"


def test_what_is_changed_just_before_the_link_gets_no_name(
    desk: Desk, places: LocalPlaces, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.chmod(0o444)
    real = Path.hardlink_to

    def hardlink_to(self: Path, target: Path) -> None:
        replaced(other)
        real(self, target)

    monkeypatch.setattr(Path, "hardlink_to", hardlink_to)
    result = get(desk, places)
    assert (result.fetched, result.taken, desk.names) == (len(DATA), None, [NAME])
    assert desk.target.read_bytes() == DATA


def test_a_pipe_is_never_opened(desk: Desk, places: LocalPlaces, other: Path) -> None:
    other.unlink()
    os.mkfifo(other.with_name(NAME))
    assert get(desk, places, desk.order(DATA)).fetched == len(DATA)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_cannot_be_read_is_passed_over(
    desk: Desk, places: LocalPlaces, other: Path, notices: Notices
) -> None:
    other.chmod(0)
    assert (get(desk, places).fetched, notices.codes) == (len(DATA), ["copy-unreadable"])


def test_a_file_that_is_still_arriving_is_passed_over(desk: Desk, places: LocalPlaces, other: Path) -> None:
    other.with_name(other.name + ".aria2").touch()
    assert get(desk, places).fetched == len(DATA)


def test_known_hashes_spare_the_reading_but_not_the_proof(desk: Desk, places: LocalPlaces, other: Path) -> None:
    hashes = Stores(Path(), lambda: None, is_persistent=False).hashes  # type: ignore[arg-type, return-value]
    hashes.remember(other, "0" * 64)
    known = LocalPlaces(others=places.others, hashes=hashes)
    assert get(desk, known).fetched == len(DATA), "it is known to have other bytes"
    desk.target.unlink()
    other.write_bytes(DATA[:-1] + b"x")
    hashes.remember(other, sha256(DATA))
    assert get(desk, known).fetched == len(DATA), "a stored hash is no proof"
    assert desk.target.read_bytes() == DATA


def test_a_second_name_in_the_library_loses_no_record(desk: Desk, places: LocalPlaces, other: Path) -> None:
    stores = Stores(Path(), lambda: None, is_persistent=False)  # type: ignore[arg-type, return-value]
    old = desk.folder / "old.safetensors"
    old.write_bytes(DATA)
    stores.hashes.remember(old, sha256(DATA))
    known = LocalPlaces([desk.folder], hashes=stores.hashes, memories=stores.memories())
    result = get(desk, known)
    assert result.taken is not None
    assert (result.taken.way, result.taken.path) == ("linked", old)
    assert stores.hashes.known(old) == stores.hashes.known(desk.target) == sha256(DATA)


def test_what_had_arrived_is_removed(desk: Desk, places: LocalPlaces) -> None:
    order = desk.order(DATA, size=len(DATA))
    desk.keep(order, 1_000_000)
    assert get(desk, places, order).taken is not None
    assert desk.names == [NAME]


def test_a_stop_while_it_is_read(desk: Desk, places: LocalPlaces) -> None:
    desk.on_progress = lambda progress: desk.stop.set() if progress.phase == "proving" else None
    with pytest.raises(Cancelled):
        get(desk, places)
    assert [name for name in desk.names if not name.startswith(".")] == []


def test_progress_counts_no_byte_of_the_network(desk: Desk, places: LocalPlaces) -> None:
    get(desk, places)
    read: list[Progress] = [told for told in desk.told if told.phase == "proving"]
    assert read
    assert all(told.kept == told.done for told in read)


def test_a_pickle_that_is_not_understood_is_refused(desk: Desk, places: LocalPlaces, other: Path) -> None:
    code = as_zip(Made(call(SYSTEM, text("true")), {}))
    other.write_bytes(code)
    with pytest.raises(RefusedError):
        get(desk, places, desk.order(code, size=len(code)))
    assert desk.names == []
    assert other.read_bytes() == code


def test_without_a_source_it_has_to_be_here(desk: Desk, places: LocalPlaces, other: Path) -> None:
    order = DownloadRequest((), desk.folder, NAME, sha256(DATA), len(DATA))
    assert get(desk, places, order).taken is not None
    desk.target.unlink()
    other.unlink()
    with fails_with(NotFoundError, "no-source", file=NAME):
        get(desk, places, order)


def test_the_path_of_a_source_cannot_leave_the_cache(tmp_path: Path) -> None:
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(DATA)
    commit = tmp_path / "hub" / "models--me--vaes" / "snapshots" / ("1" * 40)
    commit.mkdir(parents=True)
    source = HubSource("me/vaes", "../../../../secret.safetensors", "1" * 40)
    assert (commit / source.path).is_file()
    assert local_copies.snapshot_of(source, tmp_path / "hub", pinned_only=True) is None
    wanted = local_copies.Wanted(sha256(DATA), len(DATA), NAME, [source])
    assert list(local_copies.copies_of(wanted, LocalPlaces(hub_cache=tmp_path / "hub"))) == []


@pytest.mark.parametrize(
    "name", ["ae.sft", "ae.bin", "ae.pth", "AE.SAFETENSORS", ".cache/ae.safetensors", "sub/.hidden.sft", "no suffix"]
)
def test_another_programs_file_of_the_wanted_size_is_taken_under_any_name(
    desk: Desk, places: LocalPlaces, other: Path, name: str
) -> None:
    path = other.parent / name
    path.parent.mkdir(exist_ok=True)
    other.rename(path)
    result = get(desk, places)
    assert result.taken is not None
    assert (result.taken.path, result.fetched) == (path, 0)


def test_without_a_size_a_file_of_a_wanted_name_is_taken(desk: Desk, places: LocalPlaces, other: Path) -> None:
    other.rename(other.with_name(NAME.upper()))
    assert get(desk, places, desk.order(DATA)).fetched == 0


def test_what_is_still_arriving_elsewhere_is_passed_over(desk: Desk, places: LocalPlaces, other: Path) -> None:
    hidden = other.rename(other.with_name("ae.sft"))
    hidden.with_name(hidden.name + ".aria2").touch()
    assert get(desk, places).fetched == len(DATA)


def test_folders_of_another_program_that_link_to_each_other_are_entered_once(
    desk: Desk, places: LocalPlaces, other: Path
) -> None:
    (other.parent / "again").symlink_to(other.parent, target_is_directory=True)
    wanted = local_copies.Wanted(sha256(DATA), len(DATA), NAME)
    assert [copy.path for copy in local_copies.copies_of(wanted, places)] == [other]


def test_a_file_of_the_library_with_a_name_elsewhere_is_not_linked(
    desk: Desk, places: LocalPlaces, other: Path
) -> None:
    mine = desk.folder / "mine.safetensors"
    mine.hardlink_to(other)
    result = get(desk, places)
    assert result.taken is not None
    assert (result.taken.path, result.fetched) == (mine, 0)
    assert result.taken.way in ("cloned", "copied")
    other.write_bytes(b"saved over")
    assert desk.target.read_bytes() == DATA


def test_a_file_of_the_library_alone_is_linked_however_many_names_it_has(desk: Desk, places: LocalPlaces) -> None:
    first = desk.folder / "first.safetensors"
    first.write_bytes(DATA)
    (desk.folder / "sub").mkdir()
    (desk.folder / "sub" / "second.safetensors").hardlink_to(first)
    result = get(desk, places)
    assert result.taken is not None
    assert (result.taken.way, desk.target.stat().st_nlink) == ("linked", 3)


def test_a_blob_that_is_in_the_library_is_linked_again(desk: Desk, places: LocalPlaces, tmp_path: Path) -> None:
    blob = tmp_path / "hub" / "models--me--vaes" / "blobs" / sha256(DATA)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(DATA)
    (desk.folder / "mine.safetensors").hardlink_to(blob)
    result = get(desk, replace(places, hub_cache=tmp_path / "hub"))
    assert result.taken is not None
    assert (result.taken.way, blob.stat().st_nlink) == ("linked", 3)


@pytest.mark.parametrize("size", [None, 0, len(DATA)])
def test_a_pipe_as_a_source_is_never_opened(desk: Desk, tmp_path: Path, size: int | None) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with fails_with(NotFoundError, "not-a-file", path=tmp_path / "pipe.safetensors"):
        desk.get(desk.order(DATA, LocalSource(tmp_path / "pipe.safetensors"), size=size))


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of the hub's cache that this user may not enter; root may, so the answer of the system is replaced."""
    folder = tmp_path / "hub" / "models--foreign--vae"
    (folder / "blobs").mkdir(parents=True)
    real_stat, real_path_stat = os.stat, Path.stat

    def refuse(path: object) -> None:
        if str(path).startswith(f"{folder}{os.sep}"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def stat(path: Any, **options: Any) -> os.stat_result:
        refuse(path)
        return real_stat(path, **options)

    def path_stat(self: Path, **options: Any) -> os.stat_result:
        refuse(self)
        return real_path_stat(self, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(Path, "stat", path_stat)
    return folder


def test_a_folder_of_the_cache_without_permission_hinders_no_download(
    desk: Desk, places: LocalPlaces, other: Path, notices: Notices, forbidden: Path
) -> None:
    other.unlink()
    assert get(desk, replace(places, hub_cache=forbidden.parent)).fetched == len(DATA)
    assert notices.codes == ["unreadable"]
    assert has(notices.messages[0], path=forbidden / "blobs")


def test_a_cached_repository_without_permission_counts_as_missing(forbidden: Path) -> None:
    source = HubSource("foreign/vae", NAME, "1" * 40)
    cache = LocalPlaces(hub_cache=forbidden.parent)
    assert local_copies.snapshot_of(source, forbidden.parent, pinned_only=True) is None
    assert not local_copies.is_cached(source, Network(places=cache))


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), ValueError("odd name")])
def test_a_search_that_fails_hinders_no_download(
    desk: Desk, places: LocalPlaces, notices: Notices, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(local_copies, "_every_copy", fail)
    assert get(desk, places).fetched == len(DATA)
    assert notices.codes == ["search-failed"]


def test_a_mirror_that_is_gone(hub: Hub, desk: Desk, places: LocalPlaces, other: Path) -> None:
    assert desk.get(
        desk.order(DATA, size=len(DATA)),
        Network(endpoint="https://nowhere.invalid", retry_policy=QUICK, places=places),
    ).taken
