"""What the messages of the tab "VAE" do, on a plain host with real files."""

from __future__ import annotations

import os
import re
import struct
import sys
import threading
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.failing import fails_with
from tests.files.samples import ldm, safetensors
from tests.hub import Hub
from tests.library.vaes import left_behind, rot, sha256, tree, vae
from tests.shown import shows
from tests.webui.host import PlainHost
from tests.webui.seen import ENTRY, bar, bar_shows, details, details_show, finish, library, plain, row, row_shows
from tests.webui.test_page import actions, do, wait_for, write_catalogue
from tests.wording import says, worded
from vae_manager.downloads import DownloadOutcome, PastDownload
from vae_manager.errors import NameTakenError, NotFoundError, RefusedError, UsageError
from vae_manager.files import FileRecord, inspect
from vae_manager.jobs import JobState
from vae_manager.library import Folder, index, operations, scan
from vae_manager.library.operations import Journal
from vae_manager.library.verification import Outcome
from vae_manager.maintenance import OWN, key_of
from vae_manager.messages import megabytes, msg
from vae_manager.records.verdict import A1111
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.ui.library_view_model import read_library
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.rendering import Question


# -- files ---------------------------------------------------------------------------------------------------------
def test_rename_and_the_page_follows(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    do(page, do="set-family", file=key_of(own), family="sd1")
    do(page, do="rename-file", file=key_of(own), name="better")
    new = own.with_name("better.safetensors")
    assert new.is_file()
    assert not own.exists()
    assert list(host.listed) == ["better.safetensors"]
    assert library(page, selected=own)["selected"] == key_of(new), "an open page still has the old key"
    shown = read_library(host, service, scan(host.folders()), key_of(new)).selected
    assert shown is not None and shown.record is not None
    assert (shown.record.is_family_own, shown.record.family.family) == (True, "sd1"), "what is known goes along"
    do(page, do="rename-file", file=key_of(own), name=own.name)
    assert library(page, selected=new)["selected"] == key_of(own)
    for name in ("../out.pt", "", "a/b.safetensors", "con.safetensors"):
        with pytest.raises((RefusedError, UsageError)):
            do(page, do="rename-file", file=key_of(own), name=name)
    vae(host.vaes / "there.safetensors", seed=1)
    with pytest.raises(NameTakenError):
        do(page, do="rename-file", file=key_of(own), name="there.safetensors")
    assert own.is_file()


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_page_that_asks_in_the_middle_of_a_move_keeps_its_file(
    page: Page, own: Path, host: PlainHost, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    vae(host.vaes / "in-use.safetensors", seed=1)
    move, seen = operations.move, []

    def watched(source: Path, target: Path, **how: Any) -> None:
        if at == "after":
            move(source, target, **how)
        seen.append(library(page, selected=own)["selected"])
        if at == "before":
            move(source, target, **how)

    monkeypatch.setattr(operations, "move", watched)
    do(page, do="rename-file", file=key_of(own), name="better")
    new = own.with_name("better.safetensors")
    assert seen == [key_of(own if at == "before" else new)]


def test_a_move_that_fails_leaves_the_page_with_its_file(
    page: Page, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(source: Path, target: Path, **how: Any) -> None:
        raise RefusedError(msg("The disk is full.", code="full"))

    monkeypatch.setattr(operations, "move", failing)
    with pytest.raises(RefusedError):
        do(page, do="rename-file", file=key_of(own), name="better")
    assert library(page, selected=own)["selected"] == key_of(own)


def family_of(service: Service, path: Path, host: PlainHost) -> tuple[str | None, bool]:
    """The family that the tab shows for a file, and whether it is the person's own."""
    files = scan(host.folders())
    service.maintenance.inspect(files, timeout=15)
    record = service.maintenance.records(files)[path]
    assert record.sha256 is None, "nobody has hashed it"
    return record.family.family, record.is_family_own


def test_family_of_a_file_without_a_hash_goes_along(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    do(page, do="set-family", file=key_of(own), family="sdxl")
    do(page, do="rename-file", file=key_of(own), name="better")
    new = own.with_name("better.safetensors")
    assert family_of(service, new, host) == ("sdxl", True)
    assert family_of(Service(host.data_folder), new, host) == ("sdxl", True), "the next process knows it too"


def test_cleared_family_does_not_come_back_with_the_old_name(
    page: Page, own: Path, host: PlainHost, service: Service
) -> None:
    do(page, do="set-family", file=key_of(own), family="sdxl")
    do(page, do="rename-file", file=key_of(own), name="better")
    new = own.with_name("better.safetensors")
    do(page, do="set-family", file=key_of(new), family="")
    do(page, do="rename-file", file=key_of(new), name=own.name)
    assert family_of(service, own, host) == (None, False)


def test_what_a_killed_process_left_half_done_is_ended_and_told(page: Page, own: Path, host: PlainHost) -> None:
    (host.vaes / "own.png").write_text("belongs to it")
    (host.vaes / ".0123456789abcdef.vae-manager.writing").write_text("half a copy")
    left_behind(Journal(host.data_folder), host.vaes, "own", "new", ".safetensors", ".png")
    own.rename(host.vaes / "new.safetensors")
    library(page)
    assert tree(host.vaes) == ["new.png", "new.safetensors"]
    assert says(bar(page), "operation-ended")


def test_the_command_lines_half_done_work_too(page: Page, own: Path, host: PlainHost) -> None:
    """The command line keeps its state in the VAE folder if it finds no WebUI."""
    (host.vaes / "own.png").write_text("belongs to it")
    left_behind(Journal(host.vaes / OWN), host.vaes, "own", "new", ".safetensors", ".png")
    own.rename(host.vaes / "new.safetensors")
    library(page)
    assert [name for name in tree(host.vaes) if not name.startswith(".")] == ["new.png", "new.safetensors"]


def test_move_to_another_folder(page: Page, own: Path, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Move" not in details(page, own), "there is one folder only"
    far = host.root / "far"
    far.mkdir()
    monkeypatch.setattr(host, "folders", lambda: [Folder(host.vaes, "vae"), Folder(far, "vae")])
    assert str(far) in details(page, own)
    for folder in ("2", "-1", "x", "", "²"):
        with pytest.raises(UsageError):
            do(page, do="move-file", file=key_of(own), folder=folder)
    do(page, do="move-file", file=key_of(own), folder="1")
    assert (far / own.name).is_file()
    assert library(page, selected=own)["selected"] == key_of(far / own.name)


@pytest.fixture
def own_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the system's trash."""
    monkeypatch.setitem(sys.modules, "send2trash", None)


def trash(page: Page) -> list[str]:
    """Names of the entries in the list, the newest first."""
    return re.findall(r"<strong><bdi>(.*?)</bdi>", library(page)["regions"]["trash"])


def entries(service: Service) -> dict[str, str]:
    """Entries of the trash by the names of their files."""
    return {gone.file.name: gone.place.name for gone, _ in service.maintenance.removed.all() if gone.place is not None}


@pytest.mark.usefixtures("own_trash")
def test_two_are_deleted_and_both_come_back(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    other = vae(host.vaes / "other.safetensors", seed=1)
    assert trash(page) == []
    for path in (own, other):
        do(page, do="delete-file", file=key_of(path))
    assert host.listed == {}
    assert set(trash(page)) == {own.name, other.name}
    assert bar_shows(page, "in-trash", "other.safetensors", "Restore")
    for name, entry in entries(service).items():
        do(page, do="restore-file", entry=entry, name="")
        assert name in host.listed
    assert (own.is_file(), other.is_file(), trash(page)) == (True, True, [])
    with pytest.raises(NotFoundError):
        do(page, do="restore-file", entry="../own.safetensors", name="")


@pytest.mark.usefixtures("own_trash")
def test_the_trash_of_earlier_processes_is_listed(page: Page, own: Path, host: PlainHost) -> None:
    do(page, do="delete-file", file=key_of(own))
    later = Page(host, Service(host.data_folder))
    assert trash(later) == [own.name]
    assert str(own.parent) in plain(library(later)["regions"]["trash"])
    [entry] = entries(later.service).values()
    assert bar(page)
    do(later, do="restore-file", entry=entry, name="")
    assert own.is_file()
    assert trash(page) == []
    assert page.service.maintenance.notice is None, "what was said of the trash is not true any more"


@pytest.mark.usefixtures("own_trash")
def test_a_taken_name_is_asked_about(page: Page, own: Path, service: Service) -> None:
    do(page, do="delete-file", file=key_of(own))
    vae(own, 7)
    [entry] = entries(service).values()
    with pytest.raises(Question) as asked:
        do(page, do="restore-file", entry=entry, name="")
    assert asked.value.action == {"do": "restore-file", "entry": entry, "name": "own-2.safetensors"}
    do(page, **asked.value.action)
    assert own.with_name("own-2.safetensors").is_file()


@pytest.mark.usefixtures("own_trash")
def test_the_trash_is_emptied_once_that_is_confirmed(page: Page, own: Path, service: Service) -> None:
    with pytest.raises(NotFoundError):
        do(page, do="empty-trash", sure=False)
    size = megabytes(own.stat().st_size)
    do(page, do="delete-file", file=key_of(own))
    with pytest.raises(Question, match=size) as asked:
        do(page, do="empty-trash", sure=False)
    assert trash(page) == [own.name]
    do(page, **asked.value.action)
    assert (trash(page), own.exists()) == ([], False)


def test_the_systems_trash_is_named(page: Page, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "has_system_trash", lambda: True)
    monkeypatch.setattr(operations, "send_to_system_trash", lambda files: [path.unlink() for path in files] != [])
    do(page, do="delete-file", file=key_of(own))
    assert bar_shows(page, "in-system-trash", "own.safetensors")
    regions = library(page)["regions"]
    assert actions(regions["library-bar"], "restore-file") == []
    assert shows(regions["trash"], "system-trash")
    assert trash(page) == []


@pytest.mark.parametrize("action", ["rename-file", "delete-file"])
def test_what_is_in_use_or_chosen_stays(page: Page, own: Path, host: PlainHost, action: str) -> None:
    more = {"name": "x.safetensors"} if action == "rename-file" else {}
    host.loaded = str(own)
    with fails_with(RefusedError, "file-in-use", file="own.safetensors"):
        do(page, do=action, file=key_of(own), **more)
    host.loaded, host.word = None, own.name
    with fails_with(RefusedError, "file-in-use", file="own.safetensors"):
        do(page, do=action, file=key_of(own), **more)
    assert own.is_file()
    region = library(page, selected=own)["regions"]["file"]
    assert ("<form" in region, actions(region, "delete-file")) == (False, [])


def test_where_files_must_not_be_changed(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    host.shared_with_others = True
    host.refused[Permission.CHANGE_FILES] = msg("Not here.", code="not-here")
    host.refused[Permission.ADOPT_FILES] = host.refused[Permission.CHANGE_FILES]
    for action in (
        {"do": "rename-file", "name": "x.safetensors"},
        {"do": "move-file", "folder": "0"},
        {"do": "delete-file"},
        {"do": "restore-file", "entry": "x", "name": ""},
        {"do": "empty-trash", "sure": True},
        {"do": "convert-file", "use": False},
        {"do": "set-family", "family": "sdxl"},
    ):
        with fails_with(RefusedError, "not-here"):
            do(page, file=key_of(own), **action)
    with fails_with(RefusedError, "not-here"):
        do(page, do="adopt-file", path=str(own), how="copy", folder="0")
    shown = library(page, selected=own)["regions"]
    assert str(own) not in unescape(shown["file"]), "a path tells strangers about this machine"
    assert (shown["library-forms"], shown["trash"]) == ("", "")
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    [file] = scan(host.folders())
    assert service.stores.verifications.of(file) is not None


def test_a_message_names_no_other_file(page: Page, host: PlainHost) -> None:
    outside = vae(host.root / "outside.safetensors")
    for key in (key_of(outside), str(outside), "", "../outside.safetensors"):
        with pytest.raises(NotFoundError):
            do(page, do="delete-file", file=key)
    assert outside.is_file()


def test_adopt(page: Page, host: PlainHost, service: Service) -> None:
    outside = vae(host.root / "from elsewhere.safetensors")
    do(page, do="adopt-file", path=f' "{outside}" ', how="copy", folder="0")
    finish(service, page)
    assert says(bar(page), "adopted", file="from elsewhere.safetensors")
    assert "Use" in bar(page)
    assert "from elsewhere.safetensors" in host.listed
    page_file = host.root / "page.safetensors"
    page_file.write_bytes(b"<html>")
    do(page, do="adopt-file", path=str(page_file), how="move", folder="0")
    finish(service, page)
    assert says(bar(page), "web-page", file="page.safetensors")
    assert page_file.is_file()
    with pytest.raises(UsageError):
        do(page, do="adopt-file", path=str(outside), how="burn", folder="0")


# -- work ----------------------------------------------------------------------------------------------------------
def test_duplicates(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    vae(host.vaes / "again.safetensors", note="x")
    vae(host.vaes / "third.safetensors", seed=3)
    do(page, do="find-duplicates")
    finish(service, page)
    assert bar_shows(page, "more-than-once", "1")
    assert row_shows(page, own, "same-weights", "again.safetensors")
    assert not row_shows(page, host.vaes / "third.safetensors", "same-weights")


def test_duplicates_found_while_files_are_still_being_inspected(
    page: Page, own: Path, host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower inspection brings records from before the fingerprints were taken."""
    vae(host.vaes / "again.safetensors", note="x")
    waiting, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> FileRecord:
        record = inspect(path)
        if not waiting.is_set():
            waiting.set()
            go_on.wait(10)
        return record

    monkeypatch.setattr(index, "inspect", slow)
    page.state({}, ("", ""))
    assert waiting.wait(10)
    do(page, do="find-duplicates")
    finish(service, page)
    go_on.set()
    wait_for(lambda: not service.maintenance.is_inspecting)
    assert bar_shows(page, "more-than-once", "1")
    assert row_shows(page, own, "same-weights", "again.safetensors")
    assert details_show(page, own, "same-weights-as", "again.safetensors")


def test_verify_all_counts_and_names_what_is_not_right(
    page: Page, own: Path, host: PlainHost, service: Service
) -> None:
    cut = vae(host.vaes / "cut.safetensors")
    os.truncate(cut, cut.stat().st_size - 8)
    (host.vaes / "kl-f8.safetensors").write_bytes(b"abc")
    nan = vae(host.vaes / "nan.safetensors", seed=1)
    nan.write_bytes(nan.read_bytes()[:-4] + struct.pack("<f", float("nan")))
    found = verified(page, service)
    assert found == {
        own.name: Outcome.UNVERIFIED,
        "cut.safetensors": Outcome.DAMAGED,
        "kl-f8.safetensors": Outcome.NOT_A_VAE,
        "nan.safetensors": Outcome.DAMAGED,
    }
    told = service.maintenance.notice
    assert told is not None
    assert [file.name for file, _ in told.problems] == ["cut.safetensors", "kl-f8.safetensors", "nan.safetensors"]
    assert bar_shows(page, "files-checked", "4")
    for code, count in (("count-unverified", 1), ("count-damaged", 2), ("count-not-a-vae", 1)):
        assert bar_shows(page, code, worded(code, count=count))
    for name in ("cut.safetensors", "kl-f8.safetensors", "nan.safetensors"):
        assert f'data-vae-key="problem {key_of(host.vaes / name)}"' in library(page)["regions"]["library-bar"]
    assert row(page, nan).endswith("✗ damaged"), "neither used nor compared"
    assert verified(page, service)[own.name] is Outcome.VERIFIED, "the bytes of the first reading"


def test_verify_judges_for_the_webui_that_runs(page: Page, host: PlainHost, service: Service) -> None:
    safetensors(host.vaes / "style.safetensors", {"lora_unet_mid_block.lora_down.weight": (4, 8)})
    assert verified(page, service)["style.safetensors"] is Outcome.NOT_A_VAE
    host.capability = replace(A1111, own_layouts=frozenset({"lora"}))
    assert verified(page, service)["style.safetensors"] is Outcome.VERIFIED


def verified(page: Page, service: Service) -> dict[str, Outcome]:
    """Verify all files; the outcomes by name."""
    do(page, do="verify-all")
    finish(service, page)
    return {
        file.name: one.outcome
        for file in scan(page.host.folders())
        if (one := service.stores.verifications.of(file)) is not None
    }


def test_bytes_that_changed_by_themselves_are_found(page: Page, own: Path, service: Service) -> None:
    verified(page, service)
    rot(own, service.stores.hashes)
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    assert says(details(page, own), "changed-bytes", file=own.name)
    assert bar_shows(page, "one-file-checked", worded("count-changed", count=1))
    assert "✗ changed" in row(page, own)


def outcome_of(service: Service, path: Path) -> Outcome | None:
    [file] = [file for file in scan([Folder(path.parent)]) if file.path == path]
    found = service.stores.verifications.of(file)
    return found.outcome if found is not None else None


def offers_to_keep(page: Page, path: Path) -> bool:
    return "keep-file" in library(page, selected=path)["regions"]["file"]


def test_the_owner_keeps_what_has_changed(page: Page, own: Path, service: Service) -> None:
    verified(page, service)
    assert not offers_to_keep(page, own)
    rot(own, service.stores.hashes)
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    assert offers_to_keep(page, own)
    do(page, do="keep-file", file=key_of(own))
    finish(service, page)
    assert bar_shows(page, "kept")
    assert (outcome_of(service, own), offers_to_keep(page, own)) == (Outcome.VERIFIED, False)
    assert verified(page, service)[own.name] is Outcome.VERIFIED
    assert page.facts().past == [], "it is no download"


def test_a_file_that_is_damaged_meanwhile_is_not_kept(page: Page, own: Path, service: Service) -> None:
    verified(page, service)
    rot(own, service.stores.hashes)
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    own.write_bytes(own.read_bytes()[:-1])
    do(page, do="keep-file", file=key_of(own))
    finish(service, page)
    assert outcome_of(service, own) is Outcome.DAMAGED
    assert not bar_shows(page, "kept")


def test_a_file_adopted_under_the_name_of_a_download_is_the_reference(
    page: Page, own: Path, host: PlainHost, service: Service, tmp_path: Path
) -> None:
    delivered = PastDownload(
        1.0, "x", "new.safetensors", str(host.vaes), (), DownloadOutcome.DELIVERED, 1, "ab" * 32, proven=True
    )
    service.history.add(delivered)
    mine = vae(tmp_path / "elsewhere" / "new.safetensors", seed=5)
    do(page, do="adopt-file", path=str(mine), folder="0", how="copy")
    finish(service, page)
    assert verified(page, service)["new.safetensors"] is Outcome.VERIFIED
    mine.write_bytes(mine.read_bytes())
    (host.vaes / "new.safetensors").unlink()
    vae(host.vaes / "new.safetensors", seed=6)
    assert verified(page, service)["new.safetensors"] is Outcome.CHANGED
    assert says(details(page, host.vaes / "new.safetensors"), "other-than-kept", file="new.safetensors")


def test_what_is_known_of_a_file_comes_back_from_the_trash_with_it(
    page: Page, own: Path, host: PlainHost, service: Service, own_trash: None
) -> None:
    do(page, do="set-family", file=key_of(own), family="sdxl")
    verified(page, service)
    before = known_of(service, host)
    assert before.sha256 == sha256(own)
    assert before.fingerprints is not None
    do(page, do="delete-file", file=key_of(own))
    [entry] = entries(service).values()
    do(page, do="restore-file", entry=entry, name="")
    after = known_of(service, host)
    assert (after.sha256, after.fingerprints) == (before.sha256, before.fingerprints)
    [file] = scan(host.folders())
    library(page)
    assert service.maintenance.records([file])[own].family.family == "sdxl"
    verification = service.stores.verifications.of(file)
    assert verification is not None
    assert verification.sha256 == before.sha256


def known_of(service: Service, host: PlainHost) -> FileRecord:
    [record] = service.stores.index.inspect_all(scan(host.folders()))
    return record


def test_work_shows_how_far_it_is_and_can_be_cancelled(
    page: Page, own: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_manager.library import verification

    waiting, go_on = threading.Event(), threading.Event()

    def slow(path: Path, *, report: Any, stop: threading.Event) -> str:
        report(path.stat().st_size // 2)
        waiting.set()
        go_on.wait(10)
        report(path.stat().st_size)
        return "0" * 64

    monkeypatch.setattr(verification, "sha256_of", slow)
    do(page, do="verify-all")
    assert waiting.wait(10)
    assert actions(library(page)["regions"]["library-bar"], "stop-work") == [{"do": "stop-work", "job": "verify-all"}]
    assert 0 < page.pace()["jobs"]["verify-all"]["percent"] < 100
    assert page.state({}, ("", ""))["library"]["active"]
    do(page, do="stop-work", job="verify-all")
    assert "Cancelling" in bar(page)
    go_on.set()
    finish(service, page)
    [job] = service.maintenance.views()
    assert job.state is JobState.STOPPED
    assert "Verifying" not in bar(page)


# -- conversion ----------------------------------------------------------------------------------------------------
@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A VAE in a layout that the WebUI cannot load, outside the library."""
    return safetensors(tmp_path / "theirs.safetensors", ldm(prefix="first_stage_model."))


def test_a_conversion_makes_a_second_file(page: Page, host: PlainHost, theirs: Path, service: Service) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    content = path.read_bytes()
    host.refresh()
    do(page, do="convert-file", file=key_of(path), use=True)
    finish(service, page)
    made = host.vaes / "theirs-2.safetensors"
    assert bar_shows(page, "converted-from", "theirs-2.safetensors", "theirs.safetensors")
    assert path.read_bytes() == content
    wait_for(lambda: host.word == made.name)
    assert row_shows(page, made, "usable", "✓")


def test_the_result_of_an_earlier_conversion_is_found_and_used(
    page: Page, host: PlainHost, theirs: Path, service: Service
) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    host.refresh()
    for _ in range(2):
        host.word = "None"
        do(page, do="convert-file", file=key_of(path), use=True)
        finish(service, page)
        wait_for(lambda: host.word == "theirs-2.safetensors")
    assert tree(host.vaes) == ["theirs-2.safetensors", "theirs.safetensors"]
    assert bar_shows(page, "converted-before", "theirs-2.safetensors", "theirs.safetensors")
    host.word, host.loaded = "None", None
    assert row(page, path).endswith("✓ converted: theirs-2.safetensors Use theirs-2.safetensors")
    assert key_of(host.vaes / "theirs-2.safetensors") in library(page)["rows"][key_of(path)]
    assert details_show(page, path, "use-converted", "theirs-2.safetensors")


def test_metadata_that_the_weights_contradict_are_not_believed(
    page: Page, host: PlainHost, theirs: Path, service: Service
) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    host.refresh()
    do(page, do="convert-file", file=key_of(path), use=False)
    finish(service, page)
    made = host.vaes / "theirs-2.safetensors"
    key = key_of(path)
    assert key_of(made) in library(page)["rows"][key]
    content = bytearray(made.read_bytes())
    content[-1] ^= 1
    made.write_bytes(content)
    for one in (path, made):
        service.stores.index.fingerprints_of(one)
    host.refresh()
    assert key_of(made) not in library(page)["rows"][key]


def test_the_result_of_a_conversion_is_of_the_family_that_the_person_has_set(
    page: Page, host: PlainHost, theirs: Path, service: Service
) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    host.refresh()
    do(page, do="set-family", file=key_of(path), family="sdxl")
    do(page, do="convert-file", file=key_of(path), use=False)
    finish(service, page)
    files = scan(host.folders())
    service.maintenance.inspect(files)
    record = service.maintenance.records(files)[host.vaes / "theirs-2.safetensors"]
    assert (record.family.family, record.is_family_own) == ("sdxl", True)


def test_a_result_that_is_damaged_is_not_used(page: Page, host: PlainHost, theirs: Path, service: Service) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    host.refresh()
    do(page, do="convert-file", file=key_of(path), use=False)
    finish(service, page)
    made = host.vaes / "theirs-2.safetensors"
    made.write_bytes(made.read_bytes()[:-1] + b"\x01")
    do(page, do="convert-file", file=key_of(path), use=False)
    finish(service, page)
    assert tree(host.vaes) == ["theirs-2.safetensors", "theirs-3.safetensors", "theirs.safetensors"]


@pytest.mark.parametrize("wanted", [True, False])
def test_after_a_download_the_setting_decides(
    page: Page, host: PlainHost, theirs: Path, hub: Hub, service: Service, wanted: bool
) -> None:
    hub.add("owner/repo", "theirs.safetensors", theirs.read_bytes())
    host.endpoint_address, host.converting = hub.endpoint, wanted
    entry = ENTRY.format(family="sd1", sha256=sha256(theirs))
    offered = f"{entry}  purpose: for this test\n  licence: MIT\n  source: hub:owner/repo/theirs.safetensors\n"
    write_catalogue(host, offered)
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: all(one.job.state.ended for one in service.downloads.views()))
    finish(service, page)
    names = {path.name for path in host.vaes.iterdir()}
    assert names == {"theirs.safetensors", *(["theirs-2.safetensors"] if wanted else [])}


def test_the_status_offers_the_conversion(page: Page, host: PlainHost, theirs: Path) -> None:
    path = theirs.rename(host.vaes / "theirs.safetensors")
    host.refresh()
    library(page)
    host.word = path.name
    status = page.state({})["regions"]["status"]
    assert shows(status, "needs-conversion", "theirs.safetensors")
    assert [action["use"] for action in actions(status, "convert-file")] == [True]
    host.shared_with_others = True
    host.refused[Permission.CHANGE_FILES] = msg("Not here.", code="not-here")
    assert actions(page.state({})["regions"]["status"], "convert-file") == []
