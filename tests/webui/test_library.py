"""The tab "VAE" on a plain host, with real files: what it says of them, and what its messages do."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.counting import calls
from tests.files.corpus.vaes import WAN
from tests.files.samples import ldm, safetensors
from tests.library.vaes import sha256, vae
from tests.webui.host import PlainHost
from tests.webui.seen import ENTRY, bar, bar_shows, details, details_show, finish, library, plain, row, row_shows
from tests.webui.test_page import do, is_shown, wait_for, write_catalogue
from tests.wording import says, worded
from vae_manager.errors import RefusedError, UsageError
from vae_manager.files import identity_of
from vae_manager.library import scan
from vae_manager.maintenance import key_of
from vae_manager.records.verdict import NEO, VaeSignature
from vae_manager.service import Service
from vae_manager.webui import api
from vae_manager.webui.ui.library_view_model import read_library
from vae_manager.webui.ui.page import EVERYWHERE, Page
from vae_manager.webui.ui.vae_options import can_use
from vae_manager.webui.ui.views.library_table import about


# -- what is said --------------------------------------------------------------------------------------------------
def test_a_row_says_what_a_file_is(page: Page, own: Path, host: PlainHost) -> None:
    said = rf"own\.safetensors not hashed 4 channels ldm fp32 \S+ kB ✓ {worded('usable')} Use Compare"
    assert re.fullmatch(said, row(page, own))
    assert details_show(page, own, "unlisted-of-channels", "4")
    assert bar_shows(page, "one-file")
    (host.vaes / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>")
    safetensors(host.vaes / "prefixed.ckpt", ldm(prefix="first_stage_model."))
    assert row_shows(page, host.vaes / "page.safetensors", "web-page", "✗")
    assert details_show(page, host.vaes / "page.safetensors", "web-page", "page.safetensors")
    assert bar_shows(page, "files", "3")
    assert bar_shows(page, "with-problems", "2")


def test_shapes_that_were_not_compared_are_not_said_to_fit(
    page: Page, own: Path, host: PlainHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.capability = NEO
    wan = safetensors(host.vaes / "wan.safetensors", WAN)

    def said(path: Path) -> set[str]:
        details(page, path)  # waits until it was looked at
        shown = read_library(host, page.service, scan(host.folders()), key_of(path))
        assert shown.selected is not None
        return {message.template for message in about(shown.selected, shown)}

    compared = said(own)
    monkeypatch.setattr(host, "signature", lambda: VaeSignature(None))
    [fits] = compared - said(own)
    assert fits not in said(wan)
    chosen = read_library(host, page.service, scan(host.folders()), key_of(wan)).selected
    assert chosen is not None and can_use(chosen.answer)


def test_nothing_is_looked_at_until_somebody_looks(page: Page, own: Path, service: Service) -> None:
    assert "library" not in page.state({})
    assert "library" in page.state({}, ("", ""))


def test_a_file_that_was_changed_is_not_what_is_in_the_model(
    page: Page, own: Path, host: PlainHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use = replace(host.in_use(), path=str(own), identity=identity_of(own))
    monkeypatch.setattr(host, "in_use", lambda: in_use)
    host.refresh()
    [before] = [one for one in read_library(host, page.service, scan(host.folders()), "").table.rows if one.path == own]
    assert (before.in_use, before.was_changed) == (True, False)
    own.chmod(0o600)
    [same] = [one for one in read_library(host, page.service, scan(host.folders()), "").table.rows if one.path == own]
    assert not same.was_changed, "its mode is not its content"
    own.write_text("text")
    host.refresh()
    [row] = [one for one in read_library(host, page.service, scan(host.folders()), "").table.rows if one.path == own]
    assert (row.in_use, row.was_changed) == (True, True)


def test_the_file_in_use_is_shown_until_another_is_selected(page: Page, own: Path, host: PlainHost) -> None:
    other = vae(host.vaes / "other.safetensors", seed=1)
    assert library(page)["selected"] == ""
    page.pick(own.name, EVERYWHERE)
    wait_for(lambda: host.loaded == str(own))
    assert library(page)["selected"] == key_of(own)
    assert row_shows(page, own, "in-use", "✓")
    assert library(page, selected=other)["selected"] == key_of(other)


def test_recognised_by_its_bytes_and_by_its_weights(page: Page, own: Path, host: PlainHost, service: Service) -> None:
    write_catalogue(host, ENTRY.format(family="sdxl", sha256=sha256(own)))
    twin = vae(host.vaes / "cool_anime.safetensors", note="the same weights in other bytes")
    host.refresh()
    do(page, do="verify-all")
    finish(service, page)
    assert re.search(r"Mine ✓ verified [0-9a-f]{10} SDXL ldm", row(page, own))
    assert details_show(page, own, "as-published", "Mine")
    assert re.search(rf"{worded('weights-of', vae='Mine')} [0-9a-f]{{10}} SDXL", row(page, twin))
    assert details_show(page, twin, "published-weights", "Mine")
    assert details_show(page, twin, "other-family", "cool_anime.safetensors", "SDXL", "SD 1.x / 2.x")
    assert row_shows(page, twin, "other-family", "!")


def test_the_persons_word_wins_and_is_asked_about(page: Page, own: Path, host: PlainHost) -> None:
    assert "This is SDXL" in details(page, own)
    do(page, do="set-family", file=key_of(own), family="sdxl")
    assert f"SDXL {worded('set-by-you')}" in row(page, own)
    page.pick(own.name, EVERYWHERE)
    wait_for(lambda: is_shown(page, "status", "other-family", "SDXL"))
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
    assert "! duplicate name" in row(page, own)
    assert str(own) in details(page, twin)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x onerror=alert(1)>.pt", "&lt;img src=x onerror=alert(1)&gt;.pt"),
        ("\"quoted\" & 'single'.pt", "&#34;quoted&#34; &amp; &#39;single&#39;.pt"),
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
        assert "<img src=x" not in html
        assert "\u202e" not in html
        assert not re.search(r"=\"[^\"]*<", html)
    assert f"<bdi>{shown}</bdi>" in answer["rows"][key_of(path)].replace("<wbr>", "")
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
    """A state in which nothing has changed: what it calls for each file is bounded."""
    content = vae(host.vaes / "0.safetensors").read_bytes()
    for number in range(1, 1000):
        (host.vaes / f"{number}.safetensors").write_bytes(content)
    host.refresh()
    stamp = library(page)["stamp"]
    answers: list[dict[str, Any]] = []

    def is_quick() -> bool:
        """Return True once nothing changes any more: the background work may not have ended yet."""
        return calls(lambda: answers.append(page.state({}, (stamp, "")))) < 60 * 1000

    wait_for(is_quick)
    assert answers[-1]["library"]["rows"] == {}


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
        f"a-xl.safetensors · SDXL · {worded('option-of-other-family')}",
        f"b-flux.safetensors · {worded('option-not-loadable')}",
        f"c-prefixed.safetensors · {worded('option-needs-converting')}",
        f"d-page.safetensors · {worded('option-not-loadable')}",
    ]
    assert page.word_of(labels[-1]) == "d-page.safetensors"
    host.word = "d-page.safetensors"
    assert page.labels(page.facts())[2].startswith("d-page"), "what is chosen stays where it was chosen"
    host.word = "Automatic"
    assert page.state({})["sync"] == token
    host.family = "sdxl"
    assert page.state({})["sync"] != token, "an open page has to be told"
    assert page.labels(page.facts())[2] == "a-xl.safetensors · SDXL"


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
    assert "Test compatibility" in details(page, path)
    do(page, do="try-file", file=key_of(path))
    wait_for(lambda: "guess" in row(page, path))
    assert f"{family} guess" in row(page, path)
    assert says(bar(page), "probably-made-for", family=family)
    figure = "29.0" if name.startswith("same") else "8.0"
    assert f"{figure} dB" in details(page, path)
    do(page, do="set-family", file=key_of(path), family="sd1")
    assert details_show(page, path, "family-set-by-you", "SD 1.x / 2.x")
    assert "Test compatibility" not in details(page, path)


def test_only_families_that_look_alike_can_be_tried(host: PlainHost, page: Page) -> None:
    host.family = "sd3"
    path = vae(host.vaes / "any.safetensors")
    host.refresh()
    assert "Test compatibility" not in details(page, path)
    with pytest.raises(RefusedError, match="Load one"):
        do(page, do="try-file", file=key_of(path))
