"""The tab "VAE" on a plain host, with real files: what it says of them, and what its messages do."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.files.samples import ldm, safetensors
from tests.hub import Hub
from tests.library.vaes import sha256, vae
from tests.webui.host import PlainHost
from tests.webui.test_page import do, wait_for, write_catalogue
from vae_manager.errors import NameTakenError, NotFoundError, RefusedError, UsageError
from vae_manager.jobs import JobState
from vae_manager.library import Folder
from vae_manager.sentences import say
from vae_manager.service import Service
from vae_manager.upkeep import key_of
from vae_manager.webui import api
from vae_manager.webui.hosts.acts import Act
from vae_manager.webui.ui.page import EVERYWHERE, Page

ENTRY = """
- id: mine
  name: Mine
  family: {family}
  sha256: {sha256}
"""


def library(page: Page, stamp: str = "", selected: Path | None = None) -> Any:
    """What a browser that has `stamp` gets, once all files have been looked at."""
    key = key_of(selected) if selected is not None else ""
    wait_for(lambda: "not looked at yet" not in json.dumps(page.state({}, ("", key))["library"]["rows"]))
    return page.state({}, (stamp, key))["library"]


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def row(page: Page, path: Path) -> str:
    return plain(library(page)["rows"][key_of(path)])


def details(page: Page, path: Path) -> str:
    return plain(library(page, selected=path)["regions"]["file"])


def bar(page: Page) -> str:
    return plain(library(page)["regions"]["library-bar"])


def finish(service: Service, page: Page) -> None:
    wait_for(lambda: all(job.state.ended for job in service.upkeep.views()))


@pytest.fixture
def own(host: PlainHost) -> Path:
    path = vae(host.vaes / "own.safetensors")
    host.refresh()
    return path


# -- what is said --------------------------------------------------------------------------------------------------
def test_a_row_says_what_a_file_is(page: Page, own: Path, host: PlainHost) -> None:
    assert re.fullmatch(r"own\.safetensors 4 channels ldm fp32 \S+ kB not hashed ✓ can be used Use", row(page, own))
    assert "This is a VAE with 4 latent channels that the catalogue does not know." in details(page, own)
    assert bar(page).startswith("1 file · ")
    (host.vaes / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>")
    safetensors(host.vaes / "prefixed.ckpt", ldm(prefix="first_stage_model."))
    assert row(page, host.vaes / "page.safetensors").endswith("✗ a web page")
    assert "page.safetensors is a web page" in details(page, host.vaes / "page.safetensors")
    assert bar(page).startswith("3 files · ")
    assert "2 with problems" in bar(page)


def test_nothing_is_looked_at_until_somebody_looks(page: Page, own: Path, service: Service) -> None:
    assert "library" not in page.state({})
    assert "library" in page.state({}, ("", ""))


def test_the_file_in_use_is_shown_until_another_is_selected(page: Page, own: Path, host: PlainHost) -> None:
    other = vae(host.vaes / "other.safetensors", seed=1)
    assert library(page)["selected"] == ""
    page.pick(own.name, EVERYWHERE)
    wait_for(lambda: host.loaded == str(own))
    assert library(page)["selected"] == key_of(own)
    assert "✓ in use" in row(page, own)
    assert library(page, selected=other)["selected"] == key_of(other)


def test_recognised_by_its_bytes_and_by_its_weights(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    write_catalogue(host, ENTRY.format(family="sdxl", sha256=sha256(own)))
    twin = vae(host.vaes / "cool_anime.safetensors", note="the same weights in other bytes")
    host.refresh()
    do(page, do="verify-all")
    finish(service, page)
    assert "Mine SDXL ldm" in row(page, own)
    assert "✓ proven" in row(page, own)
    assert "This is Mine, byte for byte as it was published." in details(page, own)
    assert "weights of Mine SDXL" in row(page, twin)
    assert "This is Mine in another file" in details(page, twin)
    assert "It was made for SDXL, the loaded checkpoint is SD 1.x / 2.x" in details(page, twin)
    assert "! other family" in row(page, twin)


def test_the_persons_word_wins_and_is_asked_about(page: Page, own: Path, host: PlainHost) -> None:
    assert "This is SDXL" in details(page, own)
    do(page, do="set-family", file=key_of(own), family="sdxl")
    assert "SDXL your word" in row(page, own)
    page.pick(own.name, EVERYWHERE)
    wait_for(lambda: "was made for SDXL" in plain(page.state({})["regions"]["status"]))
    assert host.loaded is None
    do(page, do="set-family", file=key_of(own), family="")
    assert "4 channels" in row(page, own)
    with pytest.raises(UsageError):
        do(page, do="set-family", file=key_of(own), family="sd99")


def test_two_of_one_name_are_pointed_out(page: Page, own: Path, host: PlainHost) -> None:
    (host.vaes / "more").mkdir()
    twin = vae(host.vaes / "more" / own.name, seed=2)
    host.refresh()
    assert row(page, twin).startswith("more/own.safetensors")
    assert "! name taken twice" in row(page, own)
    assert f"{own} has the same name" in details(page, twin)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x onerror=alert(1)>.pt", "&lt;img src=x onerror=alert(1)&gt;.pt"),
        ("\"quoted\" & 'single'.pt", "&quot;quoted&quot; &amp; &#x27;single&#x27;.pt"),
        ("\u202egnp.exe.pt", "\ufffdgnp.exe.pt"),
        ("{count} {file}.pt", "{count} {file}.pt"),
        ("👩‍🚀 é.pt", "👩‍🚀 é.pt"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_are_text(page: Page, host: PlainHost, name: str, shown: str) -> None:
    path = host.vaes / name
    path.write_bytes(b"<html>")
    host.refresh()
    answer = library(page, selected=path)
    for html in (answer["rows"][key_of(path)], *answer["regions"].values()):
        assert "<img" not in html
        assert "\u202e" not in html
        assert not re.search(r"=\"[^\"]*<", html)
    assert f"<bdi>{shown}</bdi>" in answer["rows"][key_of(path)]
    do(page, do="rename-file", file=key_of(path), name="tame.pt")
    assert [file.name for file in host.vaes.iterdir()] == ["tame.pt"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names as Unicode")
def test_a_name_that_is_no_text_breaks_no_answer(page: Page, host: PlainHost) -> None:
    path = Path(os.fsdecode(os.fsencode(host.vaes) + b"/\xff\xfe.safetensors"))
    path.write_bytes(b"<html>")
    host.refresh()
    library(page)
    body = api._answer(page.state({}, ("", ""))).body
    assert key_of(path) in json.loads(body)["library"]["rows"]


# -- files ---------------------------------------------------------------------------------------------------------
def test_rename_and_the_page_follows(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    do(page, do="set-family", file=key_of(own), family="sd1")
    do(page, do="rename-file", file=key_of(own), name="better")
    new = own.with_name("better.safetensors")
    assert new.is_file()
    assert not own.exists()
    assert list(host.listed) == ["better.safetensors"]
    assert library(page, selected=own)["selected"] == key_of(new), "an open page still has the old key"
    assert "your word" in row(page, new), "what is known goes along"
    do(page, do="rename-file", file=key_of(own), name=own.name)
    assert library(page, selected=new)["selected"] == key_of(own)
    for name in ("../out.pt", "", "a/b.safetensors", "con.safetensors"):
        with pytest.raises((RefusedError, UsageError)):
            do(page, do="rename-file", file=key_of(own), name=name)
    vae(host.vaes / "there.safetensors", seed=1)
    with pytest.raises(NameTakenError):
        do(page, do="rename-file", file=key_of(own), name="there.safetensors")
    assert own.is_file()


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


def test_delete_and_undo(page: Page, own: Path, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "send2trash", None)
    content = own.read_bytes()
    do(page, do="delete-file", file=key_of(own))
    assert not own.exists()
    assert host.listed == {}
    assert "own.safetensors is in the trash folder of VAE Manager. Undo" in bar(page)
    do(page, do="undo-delete")
    assert own.read_bytes() == content
    assert "Undo" not in bar(page)
    with pytest.raises(NotFoundError):
        do(page, do="undo-delete")


@pytest.mark.parametrize("action", ["rename-file", "delete-file"])
def test_what_is_in_use_or_chosen_stays(page: Page, own: Path, host: PlainHost, action: str) -> None:
    more = {"name": "x.safetensors"} if action == "rename-file" else {}
    host.loaded = str(own)
    with pytest.raises(RefusedError, match=r"own\.safetensors is in use"):
        do(page, do=action, file=key_of(own), **more)
    host.loaded, host.word = None, own.name
    with pytest.raises(RefusedError, match=r"own\.safetensors is in use"):
        do(page, do=action, file=key_of(own), **more)
    assert own.is_file()
    assert "cannot be renamed" in details(page, own)


def test_where_files_must_not_be_changed(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    host.refused[Act.CHANGE_FILES] = say("This WebUI was started for other machines to reach.")
    host.refused[Act.ADOPT_FILES] = host.refused[Act.CHANGE_FILES]
    for action in (
        {"do": "rename-file", "name": "x.safetensors"},
        {"do": "move-file", "folder": "0"},
        {"do": "delete-file"},
        {"do": "convert-file", "use": False},
        {"do": "set-family", "family": "sdxl"},
    ):
        with pytest.raises(RefusedError, match="other machines"):
            do(page, file=key_of(own), **action)
    with pytest.raises(RefusedError, match="other machines"):
        do(page, do="adopt-file", path=str(own), how="copy", folder="0")
    shown = library(page, selected=own)["regions"]
    assert str(own) not in unescape(shown["file"]), "a path tells strangers about this machine"
    assert shown["library-forms"] == ""
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    assert "It was verified on" in details(page, own)


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
    assert "from elsewhere.safetensors is in the library now. Use" in bar(page)
    assert "from elsewhere.safetensors" in host.listed
    page_file = host.root / "page.safetensors"
    page_file.write_bytes(b"<html>")
    do(page, do="adopt-file", path=str(page_file), how="move", folder="0")
    finish(service, page)
    assert "is a web page" in bar(page)
    assert page_file.is_file()
    with pytest.raises(UsageError):
        do(page, do="adopt-file", path=str(outside), how="burn", folder="0")


# -- work ----------------------------------------------------------------------------------------------------------
def test_duplicates(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    vae(host.vaes / "again.safetensors", note="x")
    vae(host.vaes / "third.safetensors", seed=3)
    do(page, do="find-duplicates")
    finish(service, page)
    assert "1 more than once" in bar(page)
    assert "same weights as again.safetensors" in row(page, own)
    assert "same weights" not in row(page, host.vaes / "third.safetensors")


def test_bytes_that_changed_by_themselves_are_found(page: Page, own: Path, service: Service) -> None:
    do(page, do="verify-all")
    finish(service, page)
    assert "not as they should be" not in bar(page)
    before = own.stat()
    content = bytearray(own.read_bytes())
    content[-1] ^= 1
    own.write_bytes(content)
    os.utime(own, ns=(before.st_atime_ns, before.st_mtime_ns))
    do(page, do="verify-file", file=key_of(own))
    finish(service, page)
    assert "has other bytes than when it was last read" in details(page, own)
    assert "1 of 1 files are not as they should be." in bar(page)


def test_work_shows_how_far_it_is_and_can_be_cancelled(
    page: Page, own: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from vae_manager import files

    waiting, go_on = threading.Event(), threading.Event()

    def slow(path: Path, *, report: Any, stop: threading.Event) -> str:
        report(path.stat().st_size // 2)
        waiting.set()
        go_on.wait(10)
        report(path.stat().st_size)
        return "0" * 64

    monkeypatch.setattr(files, "sha256_of", slow)
    do(page, do="verify-all")
    assert waiting.wait(10)
    assert "Verifying all files" in bar(page)
    assert 0 < page.pace()["jobs"]["verify-all"]["percent"] < 100
    assert page.state({}, ("", ""))["library"]["active"]
    do(page, do="stop-work", job="verify-all")
    assert "Cancelling" in bar(page)
    go_on.set()
    finish(service, page)
    [job] = service.upkeep.views()
    assert job.state is JobState.STOPPED
    assert "Verifying" not in bar(page)


# -- what is sent --------------------------------------------------------------------------------------------------
def test_only_what_has_changed_is_sent_again(page: Page, own: Path, host: PlainHost) -> None:
    other = vae(host.vaes / "other.safetensors", seed=1)
    first = library(page)
    assert first["order"] == [key_of(other), key_of(own)]
    again = library(page, first["stamp"])
    assert (again["rows"], again["order"], again["stamp"]) == ({}, None, first["stamp"])
    do(page, do="set-family", file=key_of(own), family="sd1")
    third = library(page, first["stamp"])
    assert (list(third["rows"]), third["order"]) == ([key_of(own)], None)
    other.unlink()
    fourth = library(page, third["stamp"])
    assert (fourth["rows"], fourth["order"]) == ({}, [key_of(own)])
    assert list(library(page, first["stamp"])["rows"]) == [key_of(own)], "another browser is not that far yet"
    for stamp in ("", "nonsense", "0.1", f"{fourth['stamp']}9x"):
        assert library(page, stamp)["order"] == [key_of(own)]


def test_a_language_changes_every_row(page: Page, own: Path, host: PlainHost) -> None:
    stamp = library(page)["stamp"]
    host.spoken = "zh_CN"
    assert "可以使用" in plain(library(page, stamp)["rows"][key_of(own)])


def test_a_thousand_files_stay_quick(page: Page, host: PlainHost) -> None:
    """28 ms of a processor on the machine where this was written, with nothing changed."""
    content = vae(host.vaes / "0.safetensors").read_bytes()
    for number in range(1, 1000):
        (host.vaes / f"{number}.safetensors").write_bytes(content)
    host.refresh()
    stamp = library(page)["stamp"]
    times = []
    for _ in range(5):
        began = time.thread_time()
        answer = page.state({}, (stamp, ""))
        times.append(time.thread_time() - began)
    assert answer["library"]["rows"] == {}
    assert min(times) < 0.1


# -- the dropdown --------------------------------------------------------------------------------------------------
def test_the_dropdown_has_badges_and_puts_last_what_does_not_fit(page: Page, own: Path, host: PlainHost) -> None:
    vae(host.vaes / "a-xl.safetensors", seed=1)
    safetensors(host.vaes / "b-flux.safetensors", ldm(16))
    safetensors(host.vaes / "c-prefixed.safetensors", ldm(prefix="first_stage_model."))
    (host.vaes / "d-page.safetensors").write_bytes(b"<html>")
    host.refresh()
    do(page, do="set-family", file=key_of(host.vaes / "a-xl.safetensors"), family="sdxl")
    do(page, do="set-family", file=key_of(own), family="sd1")
    library(page)
    token = page.state({})["sync"]
    labels = page.labels(page.facts())
    assert labels[2:] == [
        "own.safetensors · SD 1.x / 2.x",
        "a-xl.safetensors · SDXL · ⚠ other family",
        "b-flux.safetensors · ⚠ cannot be loaded",
        "c-prefixed.safetensors · ⚠ needs converting",
        "d-page.safetensors · ⚠ cannot be loaded",
    ]
    assert page.word_of(labels[-1]) == "d-page.safetensors"
    host.word = "d-page.safetensors"
    assert page.labels(page.facts())[2].startswith("d-page"), "what is chosen stays where it was chosen"
    host.word = "Automatic"
    assert page.state({})["sync"] == token
    host.family = "sdxl"
    assert page.state({})["sync"] != token, "an open page has to be told"
    assert page.labels(page.facts())[2] == "a-xl.safetensors · SDXL"


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
    assert "theirs-2.safetensors was made from theirs.safetensors: " in bar(page)
    assert path.read_bytes() == content
    wait_for(lambda: host.word == made.name)
    assert row(page, made).endswith("✓ can be used")


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
    assert "theirs.safetensors cannot be loaded as it is." in plain(status)
    assert "Convert and use" in status
    host.refused[Act.CHANGE_FILES] = say("This WebUI was started for other machines to reach.")
    assert "Convert and use" not in page.state({})["regions"]["status"]


@pytest.mark.parametrize(
    ("name", "ours", "family"),
    [
        ("same.safetensors", "sd1", "SD 1.x / 2.x"),
        ("noise.safetensors", "sd1", "SDXL"),
        ("same.safetensors", "sdxl", "SDXL"),
        ("noise.safetensors", "sdxl", "SD 1.x / 2.x"),
    ],
)
def test_the_latent_test_gives_a_guess_with_its_figure(
    host: PlainHost, page: Page, name: str, ours: str, family: str
) -> None:
    host.family = ours
    path = vae(host.vaes / name)
    host.refresh()
    assert "Try it out" in details(page, path)
    do(page, do="try-file", file=key_of(path))
    wait_for(lambda: "guess" in row(page, path))
    assert f"{family} guess" in row(page, path)
    assert f"is probably made for {family}" in bar(page)
    figure = "29.0" if name.startswith("same") else "8.0"
    assert f"a guess from the latent test, which gave {figure} dB" in details(page, path)
    do(page, do="set-family", file=key_of(path), family="sd1")
    assert "You said that this is a VAE for SD 1.x / 2.x" in details(page, path)
    assert "Try it out" not in details(page, path)


def test_only_families_that_look_alike_can_be_tried(host: PlainHost, page: Page) -> None:
    host.family = "sd3"
    path = vae(host.vaes / "any.safetensors")
    host.refresh()
    assert "Try it out" not in details(page, path)
    with pytest.raises(RefusedError, match="Load one"):
        do(page, do="try-file", file=key_of(path))
