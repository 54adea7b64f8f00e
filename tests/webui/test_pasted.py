"""A pasted picture: what its pasting takes, what the page says, and until when."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.shown import elements, shows
from tests.webui.host import PlainHost
from tests.webui.test_page import BYTES, ENTRY, SHA256, actions, do, row, wait_for, write_catalogue
from tests.wording import says, worded
from vae_manager.infotext import NamedVae
from vae_manager.messages import msg
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.pasted_pictures import paste
from vae_manager.webui.ui.page import EVERYWHERE, THIS_TAB, Page

NAMED, HASHED = "picture-names", "picture-names-hash"


def put(host: PlainHost, name: str, content: bytes, service: Service | None = None) -> str:
    """Put a file into the VAE folder; with `service`, its hash is known. Gives the digits of an infotext."""
    path = host.vaes / name
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    if service is not None:
        service.stores.hashes.remember(path, digest)
    host.refresh()
    return digest[:10]


def line(page: Page) -> tuple[list[str], str]:
    """The codes and the text of the line about the picture; empty without one."""
    found = elements(page.state({})["regions"]["status"])
    return next(((codes, text) for codes, text in found if codes[0] in (NAMED, HASHED)), ([], ""))


def codes(page: Page) -> list[str]:
    return line(page)[0]


def said(page: Page, *codes: str) -> str:
    """The text about the picture, if these are the codes of its parts."""
    found, text = line(page)
    return text if tuple(found) == codes else ""


def offers_use(page: Page) -> bool:
    return actions(page.state({})["regions"]["status"], "use") != []


def test_as_named_nothing_is_said(page: Page, host: PlainHost, service: Service) -> None:
    digits = put(host, "a.pt", b"a", service)
    assert paste(host, service, NamedVae("a.pt", digits)) == "a.pt"
    assert codes(page) == []
    assert paste(host, service, NamedVae("None")) == "None"
    assert service.picture is None


def test_under_another_name(page: Page, host: PlainHost, service: Service) -> None:
    digits = put(host, "mine.pt", b"a", service)
    assert paste(host, service, NamedVae("theirs.pt", digits)) == "mine.pt"
    told = said(page, HASHED, "here-by-hash", "next-take")
    assert (told.count("theirs.pt"), told.count(digits), told.count("mine.pt")) == (1, 1, 2)
    assert told.endswith("✕") and not offers_use(page)
    assert page.state({})["titles"]["img2img"].endswith(" · " + worded("pasted-picture"))
    do(page, do="dismiss-picture")
    assert codes(page) == []
    assert not says(page.state({})["titles"]["img2img"], "pasted-picture")


def test_the_name_with_other_bytes(page: Page, host: PlainHost, service: Service) -> None:
    digits = put(host, "mine.pt", b"a", service)
    put(host, "theirs.pt", b"b", service)
    assert paste(host, service, NamedVae("theirs.pt", digits)) == "mine.pt"
    assert said(page, HASHED, "other-file-here", "next-take").count("mine.pt") == 2
    assert paste(host, service, NamedVae("theirs.pt", "0123456789")) == "theirs.pt"
    assert said(page, HASHED, "other-hash-here", "next-take").count("theirs.pt") == 3


def test_unknown(page: Page, host: PlainHost, service: Service) -> None:
    put(host, "a.pt", b"a", service)
    assert paste(host, service, NamedVae("b.pt", "0123456789")) is None
    assert codes(page) == [HASHED, "unknown-hash", "next-keep-choice"]
    assert paste(host, service, NamedVae("b.pt")) is None
    assert "b.pt" in said(page, NAMED, "not-here", "next-keep-choice") and not offers_use(page)
    put(host, "b.pt", b"b")
    assert "b.pt" in said(page, NAMED, "here-now") and offers_use(page)


@pytest.mark.parametrize("name", ["mine", "SD15\\mine.pt", "SD15/Mine.PT"])
def test_another_spelling_is_taken_and_told(page: Page, host: PlainHost, service: Service, name: str) -> None:
    put(host, "mine.pt", b"a", service)
    assert paste(host, service, NamedVae.read(name, None)) == "mine.pt"
    told = said(page, NAMED, "here-by-name", "next-take")
    assert worded(NAMED, file=name) in told and not offers_use(page)
    assert worded("here-by-name", file="mine.pt") in told and worded("next-take", file="mine.pt") in told
    assert paste(host, service, NamedVae.read(name, "0123456789")) == "mine.pt"
    assert "mine.pt" in said(page, HASHED, "other-hash-here", "next-take")


def test_a_file_that_has_just_come_is_found(host: PlainHost, service: Service) -> None:
    (host.vaes / "new.pt").write_bytes(b"a")
    assert paste(host, service, NamedVae("new.pt")) == "new.pt"


def test_hashes_are_asked_for_and_not_waited_for(
    page: Page, host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = put(host, "mine.pt", b"a")
    asked: list[Path] = []
    monkeypatch.setattr(service, "hash_in_background", lambda paths: asked.extend(paths))
    assert paste(host, service, NamedVae("theirs.pt", digits)) is None
    assert host.vaes / "mine.pt" in asked
    assert codes(page) == [HASHED, "hash-not-known-yet", "next-keep-choice"]
    assert not says(page.state({})["titles"]["txt2img"], "pasted-picture"), "it may well be as named"
    monkeypatch.undo()
    wait_for(lambda: "mine.pt" in said(page, HASHED, "here-by-hash"))
    assert offers_use(page)


def test_what_is_not_known_to_be_it_is_not_proposed(
    page: Page, host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paste(host, service, NamedVae("a.pt", "0123456789")) is None
    monkeypatch.setattr(service, "hash_in_background", lambda paths: None)
    put(host, "a.pt", b"a")
    assert "hash-not-known-yet" in codes(page)
    assert not offers_use(page)


def test_a_hash_that_becomes_known_in_between_is_seen(
    host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = put(host, "mine.pt", b"a")

    def ended(path: Path) -> bool:
        service.stores.hashes.remember(path, hashlib.sha256(b"a").hexdigest())
        return False

    monkeypatch.setattr(service, "can_be_hashed", ended)
    assert paste(host, service, NamedVae("theirs.pt", digits)) == "mine.pt"


def test_a_name_that_proves_right_is_not_spoken_of(page: Page, host: PlainHost, service: Service) -> None:
    digits = put(host, "a.pt", b"a")
    assert paste(host, service, NamedVae("a.pt", digits)) == "a.pt"
    wait_for(lambda: codes(page) == [])
    assert service.picture is None


def test_a_name_that_proves_wrong_asks_for_another_pasting(page: Page, host: PlainHost, service: Service) -> None:
    digits = put(host, "mine.pt", b"a", service)
    named = NamedVae("theirs.pt", digits)
    put(host, "theirs.pt", b"b")
    (host.vaes / "mine.pt").unlink()
    host.refresh()
    assert paste(host, service, named) == "theirs.pt"
    put(host, "mine.pt", b"a", service)
    assert shows(page.state({})["regions"]["status"], "paste-again", "mine.pt")


def test_where_nothing_may_be_hashed(page: Page, host: PlainHost, service: Service) -> None:
    host.hashing = False
    digits = put(host, "a.pt", b"a")
    assert paste(host, service, NamedVae("a.pt", "0123456789")) == "a.pt"
    assert codes(page) == []
    assert paste(host, service, NamedVae("b.pt", digits)) is None
    assert "unknown-so-far" in codes(page)
    assert service.background.views() == ()


def test_a_file_that_cannot_be_read_is_not_waited_for(page: Page, host: PlainHost, service: Service) -> None:
    put(host, "a.pt", b"a")
    (host.vaes / "a.pt").unlink()
    (host.vaes / "a.pt").mkdir()
    paste(host, service, NamedVae("b.pt", "0123456789"))
    host.listed = {"a.pt": str(host.vaes / "a.pt")}
    wait_for(lambda: "unknown-so-far" in codes(page))


def test_where_a_choice_changes_nothing_nothing_is_done(page: Page, host: PlainHost, service: Service) -> None:
    host.refused[Permission.CHOOSE_FOR_TAB] = msg("It would change nothing.")
    assert paste(host, service, NamedVae("b.pt", "0123456789")) == "b.pt"
    assert codes(page) == []


@pytest.fixture
def offered(host: PlainHost, hub: Hub) -> None:
    hub.add("owner/repo", "mine.safetensors", BYTES)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)


@pytest.mark.usefixtures("offered")
def test_offered_got_and_used(page: Page, host: PlainHost, service: Service) -> None:
    named = NamedVae("theirs.pt", SHA256[:10])
    assert paste(host, service, named) is None
    assert "Mine" in said(page, HASHED, "not-here-but-offered", "next-keep-choice")
    offers = page.state({})["regions"]["offers"]
    assert offers.index('"mine"') < offers.index('"ft-mse"')
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: "mine.safetensors" in said(page, HASHED, "here-by-hash"))
    assert offers_use(page)
    page.pick("mine.safetensors", EVERYWHERE)
    wait_for(lambda: codes(page) == [])
    assert service.picture is None
    assert paste(host, service, named) == "mine.safetensors"


@pytest.mark.usefixtures("offered")
def test_used_in_a_tab_alone(page: Page, host: PlainHost, service: Service) -> None:
    paste(host, service, NamedVae("theirs.pt", SHA256[:10]))
    put(host, "mine.safetensors", BYTES, service)
    page.pick("other.pt", THIS_TAB)
    assert offers_use(page)
    page.pick("mine.safetensors", THIS_TAB)
    assert codes(page) == []


@pytest.mark.usefixtures("offered")
def test_one_for_another_family_can_be_got_and_not_used(page: Page, host: PlainHost, service: Service) -> None:
    host.family = "sdxl"
    paste(host, service, NamedVae("theirs.pt", SHA256[:10]))
    family = "made-for-other-family"
    assert worded(family, theirs="SD 1.x / 2.x", ours="SDXL") in said(
        page, HASHED, "not-here-but-offered", family, "next-keep-choice"
    )
    assert "Get" in row(page)
    assert "use" not in row(page)
    do(page, do="dismiss-picture")
    assert "mine" not in page.state({})["regions"]["offers"]


def test_names_of_a_picture_are_not_html(page: Page, host: PlainHost, service: Service) -> None:
    paste(host, service, NamedVae("<img src=x onerror=alert(1)>"))
    assert "&lt;img src=x" in page.state({})["regions"]["status"]
    assert "<img" not in page.state({})["regions"]["status"]


def test_in_chinese(page: Page, host: PlainHost, service: Service) -> None:
    host.spoken = "zh_CN"
    paste(host, service, NamedVae("b.pt", "0123456789"))
    told = said(page, HASHED, "unknown-hash", "next-keep-choice")
    assert "0123456789" in told and not says(told, "unknown-hash")
