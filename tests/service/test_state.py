"""What the service keeps: the user's catalogue, accepted terms, hashes; and that it makes nothing unasked."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from vae_manager.jobs import JobState
from vae_manager.library import Folder, scan
from vae_manager.service import AcceptedLicences, Service, the_service

SOON = 10.0


def entry_text(id: str, data: bytes = b"mine") -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    return f"- {{id: {id}, name: Mine, family: sd1, sha256: {sha256}, source: 'hub:me/vaes/{id}.safetensors'}}\n"


def write(service: Service, text: str) -> None:
    service.catalogue_file.parent.mkdir(parents=True, exist_ok=True)
    service.catalogue_file.write_text(text, encoding="utf-8")


def ids(service: Service) -> set[str]:
    """Of the user's own entries."""
    return {entry.id for entry in service.catalogue.entries if entry.evidence == "user"}


# -- the catalogue -------------------------------------------------------------------------------------------------
def test_without_a_file_of_the_user_there_are_the_built_in_entries(service: Service) -> None:
    assert service.catalogue.entry("ft-mse").offered
    assert ids(service) == set()
    assert service.catalogue.problems == ()


def test_the_users_file_is_read_again_when_it_appears_changes_and_goes(service: Service, data_folder: Path) -> None:
    assert service.catalogue_file == data_folder / "catalogue.yaml"
    assert ids(service) == set()
    write(service, entry_text("one"))
    assert ids(service) == {"one"}
    write(service, entry_text("one") + entry_text("two"))
    assert ids(service) == {"one", "two"}
    service.catalogue_file.unlink()
    assert ids(service) == set()


def test_a_change_of_the_same_length_is_seen_too(service: Service) -> None:
    write(service, entry_text("one"))
    assert ids(service) == {"one"}
    write(service, entry_text("two"))
    os.utime(service.catalogue_file, (1, 1))
    assert ids(service) == {"two"}


def test_what_has_not_changed_is_not_read_again(service: Service) -> None:
    write(service, entry_text("one"))
    assert service.catalogue is service.catalogue


def test_a_broken_line_is_told_and_goes_when_it_is_mended(service: Service) -> None:
    write(service, entry_text("one") + "- {id: two}\n")
    assert ids(service) == {"one"}
    assert {(problem.file, problem.line) for problem in service.catalogue.problems} == {(service.catalogue_file, 2)}
    write(service, entry_text("one"))
    assert service.catalogue.problems == ()


# -- accepted terms ------------------------------------------------------------------------------------------------
@pytest.fixture
def terms_file(data_folder: Path) -> Path:
    return data_folder / "accepted-terms.json"


def test_accepted_terms_are_remembered(service: Service, data_folder: Path) -> None:
    assert "klf8-anime" not in service.accepted
    service.accepted.add("klf8-anime")
    service.accepted.add("trinart")
    service.accepted.add("trinart")
    for later in (service, Service(data_folder)):
        assert "klf8-anime" in later.accepted
        assert "trinart" in later.accepted
        assert "sdxl-vae" not in later.accepted


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[", b"\xff\xfe", b'["klf8-ani', b"null", b"5", b"true", b"[[1]]", b'[1, {"a": 2}]', b'"klf8-anime"'],
)
def test_a_damaged_file_means_that_it_is_asked_again(terms_file: Path, content: bytes) -> None:
    terms_file.parent.mkdir(parents=True)
    terms_file.write_bytes(content)
    terms = AcceptedLicences(terms_file)
    assert "klf8-anime" not in terms
    terms.add("klf8-anime")
    assert "klf8-anime" in AcceptedLicences(terms_file)


def test_terms_accepted_at_once_are_all_kept(service: Service, data_folder: Path) -> None:
    threads = [threading.Thread(target=service.accepted.add, args=(f"vae-{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"vae-{number}" in Service(data_folder).accepted for number in range(16))
    assert [path.name for path in data_folder.iterdir()] == ["accepted-terms.json"]


# -- nothing unasked -----------------------------------------------------------------------------------------------
def test_looking_makes_nothing(service: Service, data_folder: Path, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"a")
    before = set(tmp_path.rglob("*"))
    assert service.catalogue.entries
    assert service.recognise(file) is None
    assert "ft-mse" not in service.accepted
    assert service.downloads.views() == ()
    assert service.history.entries() == ()
    assert service.keys.all() == {}
    assert service.downloads.left_over(folder) == ()
    assert (service.downloads.views(), service.choices.views(), service.background.views()) == ((), (), ())
    assert set(tmp_path.rglob("*")) == before
    assert not data_folder.exists()


def test_a_service_has_no_thread_before_it_has_work() -> None:
    before = set(threading.enumerate())
    Service(Path("nowhere"))
    assert set(threading.enumerate()) == before


def test_the_service_of_a_folder_is_one(tmp_path: Path) -> None:
    assert the_service(tmp_path / "a") is the_service(tmp_path / "a")
    assert the_service(tmp_path / "a") is not the_service(tmp_path / "b")


# -- files ---------------------------------------------------------------------------------------------------------
def test_hashes_are_computed_in_the_background_and_recognised(service: Service, folder: Path) -> None:
    write(service, entry_text("one", b"one"))
    folder.mkdir(parents=True)
    (folder / "renamed.safetensors").write_bytes(b"one")
    (folder / "stranger.safetensors").write_bytes(b"other")
    files = scan([Folder(folder)])
    service.hash_in_background(file.path for file in files)
    for file in files:
        view = service.background.wait(str(file.path), SOON)
        assert view is not None
        assert (view.title, view.state, view.done, view.total) == (file.name, JobState.DONE, file.size, file.size)
    found = [service.recognise(file.path) for file in files]
    assert [entry and entry.id for entry in found] == ["one", None]
    assert service.stores.hashes.known(files[1].path) == hashlib.sha256(b"other").hexdigest()


def test_what_is_known_is_not_hashed_again(service: Service, data_folder: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"a")
    files = scan([Folder(folder)])
    service.hash_in_background(file.path for file in files)
    service.background.wait(str(files[0].path), SOON)
    for later in (service, Service(data_folder)):
        later.background.forget(str(files[0].path))
        later.hash_in_background(file.path for file in files)
        assert later.background.views() == ()


def test_a_changed_file_is_no_longer_recognised(service: Service, folder: Path) -> None:
    write(service, entry_text("one", b"one"))
    folder.mkdir(parents=True)
    path = folder / "a.safetensors"
    path.write_bytes(b"one")
    service.stores.hashes.compute(path)
    entry = service.recognise(path)
    assert entry is not None
    assert entry.id == "one"
    path.write_bytes(b"other")
    assert service.recognise(path) is None


def test_what_cannot_be_hashed_is_not_tried_over_and_over(service: Service, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = folder / "a.safetensors"
    path.write_bytes(b"a")
    files = scan([Folder(folder)])
    path.unlink()
    path.mkdir()
    service.hash_in_background(file.path for file in files)
    first = service.background.wait(str(path), SOON)
    assert first is not None
    assert first.state is JobState.FAILED
    service.hash_in_background(file.path for file in files)
    assert service.background.view(str(path)) == first
