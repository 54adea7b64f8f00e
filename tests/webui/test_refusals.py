"""Refusals of a VAE that a setting, a start or the API asks for: their mark, their sentence, their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.library.vaes import sha256, vae
from tests.shown import codes_in
from tests.webui.host import PlainHost, unfit
from tests.webui.seen import ENTRY
from tests.webui.test_page import do, is_shown, text, wait_for, write_catalogue
from tests.wording import says, worded
from vae_manager.maintenance import key_of
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Ignored, Refusal
from vae_manager.webui.ui.page import EVERYWHERE, Page

MARK = "✗\N{NO-BREAK SPACE}" + worded("was-refused", vae="bad.safetensors")
CHOSEN, OTHER_FAMILY = worded("by-choice"), worded("option-of-other-family")
GUESSED_SDXL = worded("guessed-family", family="SDXL")


def refuse(host: PlainHost, serial: int = 1) -> None:
    path = str(host.vaes / "bad.safetensors")
    host.listed = {"bad.safetensors": path}
    host.refused_vae = Refusal(path, unfit("bad.safetensors"), serial)


def title(page: Page, tab: str = "txt2img") -> str:
    closed: str = page.state({})["titles"][tab]
    return closed


# -- a refusal -----------------------------------------------------------------------------------------------------
def test_a_refusal_is_marked_until_it_is_dismissed(page: Page, host: PlainHost) -> None:
    before = page.state({})["sync"]
    refuse(host)
    assert title(page) == f"VAE — Built-in · SD 1.x / 2.x · {worded('none-by-name')} · {MARK}"
    assert MARK in title(page, "img2img")
    assert text(page, "status").count(str(unfit("bad.safetensors"))) == 1
    assert page.state({})["sync"] != before, "the WebUI's own dropdown has to be put right"
    do(page, do="dismiss-refusal", serial=1)
    assert MARK not in title(page)
    assert str(unfit("bad.safetensors")) not in text(page, "status")
    refuse(host, serial=2)
    assert MARK in title(page), "it was asked for again"


def test_a_refused_setting_is_not_called_pending(page: Page, host: PlainHost) -> None:
    refuse(host)
    host.word = "bad.safetensors"
    assert title(page) == f"VAE — Built-in · SD 1.x / 2.x · {MARK}"
    assert is_shown(page, "status", "because-refused", "bad.safetensors")
    assert str(unfit("bad.safetensors")) in text(page, "status")
    do(page, do="dismiss-refusal", serial=1)
    assert title(page) == f"VAE — Built-in · SD 1.x / 2.x · {worded('because-refused', vae='bad.safetensors')}"


def test_a_choice_that_failed_is_told_once(page: Page, host: PlainHost) -> None:
    host.listed = {"bad.safetensors": "bad.safetensors"}
    page.pick("bad.safetensors", EVERYWHERE)
    wait_for(lambda: str(unfit("bad.safetensors")) in text(page, "status"))
    job = page.facts().choosing
    assert job is not None
    assert job.error is not None
    page.service.choice_at_refusal = ("Automatic", 1)
    host.refused_vae = Refusal("bad.safetensors", job.error, 1)
    assert text(page, "status").count(str(unfit("bad.safetensors"))) == 1
    assert title(page).count("✗") == 1
    do(page, do="dismiss", job=job.key)
    assert str(unfit("bad.safetensors")) not in text(page, "status")
    assert "✗" not in title(page)


def test_a_refusal_elsewhere_ends_an_older_one_of_the_page(page: Page, host: PlainHost) -> None:
    host.listed = {"bad-choice.safetensors": "bad-choice.safetensors"}
    page.pick("bad-choice.safetensors", EVERYWHERE)
    wait_for(lambda: str(unfit("bad-choice.safetensors")) in text(page, "status"))
    refuse(host)
    assert str(unfit("bad-choice.safetensors")) not in text(page, "status")
    assert title(page).endswith(MARK)


# -- files beside the VAE ------------------------------------------------------------------------------------------
def test_a_file_that_does_nothing_is_named(page: Page, host: PlainHost) -> None:
    host.ignored = (Ignored("style.safetensors", unfit("style.safetensors")),)
    assert title(page).endswith(" · !\N{NO-BREAK SPACE}" + worded("not-used", file="style.safetensors"))
    assert str(unfit("style.safetensors")) in text(page, "status")


# -- the family ----------------------------------------------------------------------------------------------------
def use(host: PlainHost, path: Path) -> None:
    host.refresh()
    host.word, host.loaded = path.name, str(path)


def test_the_family_is_that_of_the_file(page: Page, host: PlainHost, service: Service) -> None:
    path = vae(host.vaes / "mine.safetensors")
    write_catalogue(host, ENTRY.format(family="sdxl", sha256=sha256(path)))
    service.stores.hashes.compute(path)
    use(host, path)
    wait_for(lambda: title(page) == f"VAE — mine · SDXL · {OTHER_FAMILY} · {CHOSEN}")
    assert is_shown(page, "status", "families-differ", "SDXL", "SD 1.x / 2.x")
    host.family = "sdxl"
    assert title(page) == f"VAE — mine · SDXL · {CHOSEN}"
    assert not is_shown(page, "status", "families-differ")


def test_an_unknown_file_has_no_family(page: Page, host: PlainHost) -> None:
    use(host, vae(host.vaes / "mine.safetensors"))
    wait_for(lambda: title(page) == f"VAE — mine · {CHOSEN}")
    line = text(page, "status").partition("Compare")[0]
    assert "SD 1.x" not in line


@pytest.mark.parametrize(("name", "is_other"), [("noise.safetensors", True), ("same.safetensors", False)])
def test_a_guess_is_worded_as_one(page: Page, host: PlainHost, name: str, is_other: bool) -> None:
    path = vae(host.vaes / name)
    use(host, path)
    do(page, do="try-file", file=key_of(path))
    other = f"{GUESSED_SDXL} · {worded('option-probably-of-other-family')}"
    family = other if is_other else worded("guessed-family", family="SD 1.x / 2.x")
    wait_for(lambda: title(page) == f"VAE — {path.stem} · {family} · {CHOSEN}")
    assert is_shown(page, "status", "families-differ", GUESSED_SDXL, "SD 1.x / 2.x") is is_other
    status = text(page, "status")
    assert not says(status, "noise-expected") and not says(status, "probably-other-family")


# -- the lines of the dropdown -------------------------------------------------------------------------------------
def test_the_first_lines_are_sorted(page: Page, host: PlainHost) -> None:
    host.listed = {name: name for name in ("b.pt", "C.pt", "a.pt")}
    assert page.first_labels()[0][2:] == ["a.pt", "b.pt", "C.pt"]


def test_a_row_says_its_size_once(page: Page) -> None:
    rows = page.facts().rows
    html = page.state({})["regions"]["offers"]
    assert rows
    known = [row.entry.estimated_size is not None for row in rows]
    assert (html.count(" MB"), codes_in(html).count("size-not-known")) == (known.count(True), known.count(False))
