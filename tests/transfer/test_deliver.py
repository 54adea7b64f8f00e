"""A delivery from its order to the final name, from a real hub."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.hub import Hub
from vae_manager.catalogue.entry import HttpsSource, HubSource, LocalSource
from vae_manager.errors import IntegrityError, NetworkError, NotFoundError, RefusedError, UsageError
from vae_manager.files import disk
from vae_manager.transfer import DownloadRequest, Progress

from .ordering import COMMIT, MB, NAME, PINNED, REPO, Desk, sha256, some_bytes

DATA = some_bytes(3 * MB)


def test_a_hub_file_arrives_proven(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    delivery = desk.get(desk.order(DATA, size=len(DATA)))
    assert desk.target.read_bytes() == DATA
    assert (delivery.path, delivery.sha256, delivery.size) == (desk.target, sha256(DATA), len(DATA))
    assert (delivery.proven, delivery.already_there, delivery.fetched) == (True, False, len(DATA))
    assert desk.names == [NAME], "nothing else is left in the folder"
    assert desk.sent() == len(DATA)


def test_progress_tells_every_phase(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.cdn.link = dataclasses.replace(hub.cdn.link, rate_per_connection=6 * MB)
    desk.get(desk.order(DATA))
    phases = [progress.phase for progress in desk.told]
    assert phases == ["resolving"] + ["fetching"] * (len(phases) - 2) + ["publishing"]
    fetching = [progress for progress in desk.told if progress.phase == "fetching"]
    assert len(fetching) >= 3
    assert {progress.total for progress in fetching} == {len(DATA)}
    assert [progress.done for progress in fetching] == sorted(progress.done for progress in fetching)
    assert desk.told[-1].done == len(DATA)


def test_a_small_file_that_the_hub_serves_itself(hub: Hub, desk: Desk) -> None:
    """It has no SHA-256 at the hub, and its redirect is relative with a query that must be kept."""
    hub.site.needs_query = True
    hub.add(REPO, NAME, DATA, revision=COMMIT, lfs=False)
    assert desk.get(desk.order(DATA)).proven
    assert desk.target.read_bytes() == DATA


def test_the_folder_is_made_when_the_file_comes(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    desk.folder = desk.folder / "new" / "one"
    desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == DATA


def test_unicode_names_survive(hub: Hub, desk: Desk) -> None:
    source = HubSource(REPO, "模型/ви део é.safetensors", None)
    hub.add(REPO, source.path, DATA)
    desk.get(desk.order(DATA, source, name="ви део é 模型.safetensors"))
    assert (desk.folder / "ви део é 模型.safetensors").read_bytes() == DATA


@pytest.mark.parametrize("name", ["../evil.safetensors", "a/b.safetensors", "a\\b.pt", "nul.safetensors", "", ".."])
def test_a_name_cannot_leave_the_folder(desk: Desk, name: str) -> None:
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA, name=name))
    assert desk.names == []


def test_what_is_no_hash_is_refused(desk: Desk) -> None:
    with fails_with(UsageError, "bad-sha256"):
        desk.get(DownloadRequest((PINNED,), desk.folder, NAME, "735e4c3a447a3255760d7f86845f09f937809baa"))


def test_what_is_no_repository_is_a_sentence(desk: Desk) -> None:
    with fails_with(UsageError, "bad-repository-name"):
        desk.get(desk.order(DATA, HubSource("a/b/c", NAME)))


# -- the final name ------------------------------------------------------------------------------------------------
def test_the_right_file_is_found_without_a_request(hub: Hub, desk: Desk) -> None:
    desk.target.write_bytes(DATA)
    delivery = desk.get(desk.order(DATA))
    assert (delivery.already_there, delivery.proven, delivery.fetched) == (True, True, 0)
    assert hub.requests == []


def test_another_file_under_the_name_is_never_overwritten(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    desk.target.write_bytes(b"mine")
    with fails_with(RefusedError, "name-taken", file="vae.safetensors"):
        desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == b"mine"
    assert desk.names == [NAME]


def test_nor_is_one_that_comes_in_between(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.cdn.link = dataclasses.replace(hub.cdn.link, rate_per_connection=6 * MB)

    def come(told: Progress) -> None:
        if told.phase == "fetching":
            desk.target.write_bytes(b"mine")

    desk.on_progress = come
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == b"mine"


@pytest.mark.parametrize("content", [b"mine", DATA])
def test_nor_is_one_that_comes_at_the_last_moment(
    hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """While the disk is made to hold the bytes, which may take seconds."""
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    real = os.fsync

    def sync(descriptor: int) -> None:
        real(descriptor)
        if any(told.phase == "publishing" for told in desk.told):
            desk.target.write_bytes(content)

    monkeypatch.setattr(os, "fsync", sync)
    if content == DATA:
        assert desk.get(desk.order(DATA)).already_there
        assert desk.names == [NAME]
    else:
        with pytest.raises(RefusedError):
            desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == content


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere")])
def test_nor_a_folder_nor_a_link(desk: Desk, make: object) -> None:
    make(desk.target)  # type: ignore[operator]
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA))


def test_another_file_is_refused_also_where_only_the_hub_knows_the_hash(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA)
    desk.target.write_bytes(b"mine")
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA, HubSource(REPO, NAME), known=False))
    assert desk.sent() == 0


# -- hashes --------------------------------------------------------------------------------------------------------
def test_the_hubs_own_hash_proves_what_the_order_knows_no_hash_of(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA)
    assert desk.get(desk.order(DATA, HubSource(REPO, NAME), known=False)).proven
    assert desk.get(desk.order(DATA, HubSource(REPO, NAME), known=False)).already_there


def test_and_is_held_against_the_bytes(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, sha256=sha256(b"other"))
    with pytest.raises(IntegrityError, match=sha256(DATA)):
        desk.get(desk.order(DATA, HubSource(REPO, NAME), known=False))
    assert desk.names == []


def test_the_hubs_hash_must_agree_with_the_known_one(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    with pytest.raises(IntegrityError) as caught:
        desk.get(desk.order(b"what the catalogue knows"))
    assert sha256(DATA) in str(caught.value)
    assert sha256(b"what the catalogue knows") in str(caught.value)
    assert desk.sent() == 0, "that is known before any byte of it is fetched"


def test_wrong_bytes_are_thrown_away_and_both_hashes_named(hub: Hub, desk: Desk) -> None:
    old = desk.folder / "old.safetensors"
    old.write_bytes(b"old")
    hub.add(REPO, NAME, DATA[:-1] + b"!", revision=COMMIT, sha256=sha256(DATA))
    with pytest.raises(IntegrityError) as caught:
        desk.get(desk.order(DATA))
    assert sha256(DATA) in str(caught.value)
    assert sha256(DATA[:-1] + b"!") in str(caught.value)
    assert desk.names == ["old.safetensors"]
    assert old.read_bytes() == b"old"


def test_an_address_without_any_hash_is_published_as_unproven(hub: Hub, desk: Desk) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    delivery = desk.get(desk.order(DATA, HttpsSource(url), known=False))
    assert (delivery.proven, delivery.sha256) == (False, sha256(DATA))
    assert desk.target.read_bytes() == DATA
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA, HttpsSource(url), known=False))


# -- other sources -------------------------------------------------------------------------------------------------
def test_a_local_file_is_copied_and_proven(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    path.write_bytes(DATA)
    delivery = desk.get(desk.order(DATA, LocalSource(path)))
    assert (desk.target.read_bytes(), delivery.proven, delivery.fetched) == (DATA, True, 0)
    assert path.read_bytes() == DATA
    assert desk.names == [NAME]


def test_an_empty_file_is_told(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    path.write_bytes(b"")
    for source in (LocalSource(path), HttpsSource(hub.publish("/files/vae.safetensors", b""))):
        with pytest.raises(IntegrityError, match="empty"):
            desk.get(desk.order(b"", source, known=False))
        assert desk.names == []


def test_a_wrong_local_file_is_not_published(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    path.write_bytes(DATA)
    with pytest.raises(IntegrityError):
        desk.get(desk.order(b"else", LocalSource(path)))
    with pytest.raises(NotFoundError, match="no file"):
        desk.get(desk.order(DATA, LocalSource(tmp_path / "nothing")))
    assert desk.names == []


def test_the_next_source_is_tried(hub: Hub, desk: Desk) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    hub.add(REPO, NAME, b"they have changed it", revision=COMMIT)
    gone = HubSource("nobody/nothing", NAME)
    dead = HttpsSource("https://127.0.0.1:1/vae.safetensors")
    wrong = HubSource("a/b/c", NAME)  # no name of a repository
    delivery = desk.get(desk.order(DATA, gone, wrong, dead, PINNED, HttpsSource(url)))
    assert (delivery.proven, desk.target.read_bytes()) == (True, DATA)


def test_when_all_fail_one_error_tells_of_each(hub: Hub, desk: Desk) -> None:
    gone, dead = HubSource("nobody/nothing", NAME), HttpsSource("https://localhost:1/vae.safetensors")
    with pytest.raises(NetworkError) as caught:
        desk.get(desk.order(DATA, gone, dead))
    assert "nobody/nothing" in str(caught.value)
    assert "localhost" in str(caught.value)
    with pytest.raises(NotFoundError):
        desk.get(desk.order(DATA, gone, HttpsSource(hub.cdn.address + "/nothing")))
    assert desk.names == []


def test_a_vanished_revision_falls_back_to_main(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA)
    assert desk.get(desk.order(DATA)).proven
    assert [seen.path.split("/")[4] for seen in hub.api.requests] == [COMMIT, "main"]


def test_so_does_a_file_that_has_left_its_revision(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, "readme.md", b"", revision=COMMIT)
    hub.add(REPO, NAME, DATA, revision="9" * 40)
    assert desk.get(desk.order(DATA)).proven


def test_but_not_when_no_hash_decides(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA)
    with pytest.raises(NotFoundError, match=f"no revision {COMMIT}"):
        desk.get(desk.order(DATA, known=False))


def test_the_bytes_and_the_name_are_on_the_disk_before_it_is_done(
    hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, disk._rename_exclusively

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        steps.append("folder" if os.path.samestat(found, desk.folder.stat()) else f"file {found.st_size}")
        real_fsync(descriptor)

    def rename(path: Path, target: Path) -> bool:
        steps.append(f"to {target.name}")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(disk, "_rename_exclusively", rename)
    desk.get(desk.order(DATA))
    assert steps[-3:] == [f"file {len(DATA)}", f"to {NAME}", "folder"]
