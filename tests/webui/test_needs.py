"""What the checkpoint needs: the part of the page, and its one button."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.failing import fails_with
from tests.files.engines.small import chroma, flux_vae, t5
from tests.hub import Hub, Link
from tests.library.vaes import sha256
from tests.webui.host import PlainHost
from tests.webui.test_page import do, wait_for
from vae_manager.downloads import Download
from vae_manager.errors import RefusedError
from vae_manager.jobs import JobState
from vae_manager.library import scan
from vae_manager.messages import msg
from vae_manager.records.verdict import NEO
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.ui.needs_view_model import read_needs_facts
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.rendering import amount

REPO = "owner/repo"


@pytest.fixture
def neo(host: PlainHost) -> PlainHost:
    """A WebUI that takes files beside the checkpoint, with one of Chroma."""
    host.capability = NEO
    host.encoders = host.root / "models" / "text_encoder"
    chroma(Path(host.checkpoint_file))
    host.family = "flux1"
    return host


@pytest.fixture
def published(neo: PlainHost, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """What Chroma needs, published on the hub alone."""
    files = {"vae": flux_vae(neo.root / "vae"), "t5": t5(neo.root / "t5")}
    for name, path in files.items():
        hub.add(REPO, f"{name}.safetensors", path.read_bytes())
    path = neo.root / "built-in.yaml"
    path.write_text(
        "".join(
            f"- {{id: {name}, name: My {name}, {kind}, offered: true, sha256: {sha256(files[name])},"
            f" size: {files[name].stat().st_size}, source: 'hub:{REPO}/{name}.safetensors', licence: MIT}}\n"
            for name, kind in (("vae", "family: flux1"), ("t5", "encoder: t5xxl"))
        ),
        encoding="utf-8",
    )
    monkeypatch.setenv("VAE_MANAGER_CATALOGUE", str(path))
    neo.endpoint_address = hub.endpoint
    return files


def region(page: Page) -> str:
    return str(page.state({})["regions"]["needs"])


def rows(page: Page) -> dict[str, str]:
    """The rows as people read them, by component."""
    found = re.findall(r'<li class="vm-row" data-vae-need="([^"]+)">(.*?)</li>', region(page))
    return {role: re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip() for role, html in found}


def button(page: Page) -> dict[str, Any] | None:
    found = re.findall(r'data-vae-do="([^"]*)"', region(page))
    return json.loads(unescape(found[0])) if found else None


@pytest.mark.usefixtures("published")
def test_one_click_brings_all_and_uses_it(page: Page, neo: PlainHost, service: Service) -> None:
    assert "✗" in rows(page)["vae"] and "✗" in rows(page)["t5xxl"]
    assert button(page) == {"do": "get-needs", "accept": False}
    do(page, do="get-needs", accept=False)
    assert neo.encoders is not None
    wait_for(lambda: neo.components_set)
    assert neo.components_set == [neo.vaes / "vae.safetensors", neo.encoders / "t5.safetensors"]
    assert neo.of_presets == {"flux": neo.components_set}
    wait_for(lambda: all("✓" in text for text in rows(page).values()))
    assert button(page) is None
    assert [past.proven for past in service.history.entries()] == [True, True]
    [encoder] = [past for past in service.history.entries() if past.name == "My t5"]
    assert encoder.problem is None, "a text encoder is no broken VAE"


@pytest.mark.usefixtures("published")
def test_files_under_odd_names_are_used_without_a_download(page: Page, neo: PlainHost, hub: Hub) -> None:
    assert neo.encoders is not None
    vae, encoder = flux_vae(neo.vaes / "holiday.safetensors"), t5(neo.encoders / "sub" / "x.safetensors")
    neo.refresh()
    wait_for(lambda: "holiday" in rows(page)["vae"])
    do(page, do="get-needs", accept=False)
    assert neo.components_set == [vae, encoder]
    assert hub.requests == []


@pytest.mark.usefixtures("published")
def test_what_is_chosen_already_stays_chosen(page: Page, neo: PlainHost) -> None:
    assert neo.encoders is not None
    t5(neo.encoders / "a-large.safetensors", fill=b"\x07" * 2)
    own = t5(neo.encoders / "z-own.safetensors", fill=b"\x03")
    flux_vae(neo.vaes / "v.safetensors")
    neo.refresh()
    neo.components_set = [own]
    wait_for(lambda: "v.safetensors" in rows(page)["vae"])
    do(page, do="get-needs", accept=False)
    assert own in neo.components_set and neo.encoders / "a-large.safetensors" not in neo.components_set


def test_a_failed_download_changes_nothing_and_says_so_at_its_row(
    page: Page, neo: PlainHost, service: Service, published: dict[str, Path]
) -> None:
    neo.endpoint_address = "http://127.0.0.1:9"  # no program listens there
    do(page, do="get-needs", accept=False)
    wait_for(lambda: len(service.history.entries()) == 2, 60)
    assert region(page).count("vm-broken") == 2
    assert neo.components_set == []


@pytest.fixture
def interrupted(
    page: Page, neo: PlainHost, hub: Hub, service: Service, published: dict[str, Path]
) -> Iterator[tuple[Page, str]]:
    """The page of a later process, and the key of the text encoder's download, which an earlier one left unfinished."""
    hub.cdn.link = Link(rate_total=published["t5"].stat().st_size)
    do(page, do="get-needs", accept=False)
    wait_for(lambda: _download_of(service, "My t5").job.done > 0)
    key = _download_of(service, "My t5").job.key
    do(page, do="pause", job=key)
    wait_for(lambda: _download_of(service, "My t5").job.state is JobState.PAUSED)
    hub.cdn.link = Link()
    neo.components_set = []
    yield Page(neo, Service(neo.data_folder)), key


def _download_of(service: Service, name: str) -> Download:
    return next(one for one in service.downloads.views() if one.wanted.name == name)


def test_an_interrupted_text_encoder_can_be_continued_without_the_right_to_change_sources(
    neo: PlainHost, interrupted: tuple[Page, str]
) -> None:
    page, key = interrupted
    neo.refused[Permission.CHANGE_SOURCES] = msg("Not here.")
    assert "My t5" in str(page.state({})["regions"]["downloads"])
    do(page, do="continue", job=key)
    assert neo.encoders is not None
    wait_for((neo.encoders / "t5.safetensors").exists)


def test_an_interrupted_text_encoder_shows_what_is_here_at_its_row(
    neo: PlainHost, published: dict[str, Path], interrupted: tuple[Page, str]
) -> None:
    page, key = interrupted
    [left] = [one for one in page.service.downloads.left_over(neo.encoder_folders()[-1]) if one.key == key]
    facts = read_needs_facts(neo, page.service, scan(neo.folders()), [left])
    assert facts is not None
    assert {row.component.role: row.left for row in facts.rows} == {"vae": None, "t5xxl": left}
    wait_for(lambda: "✓" in rows(page)["vae"])
    facts = read_needs_facts(neo, page.service, scan(neo.folders()), [left])
    assert facts is not None and facts.size == published["t5"].stat().st_size - left.done
    assert str(amount(left.done)) in rows(page)["t5xxl"]


def test_an_interrupted_text_encoder_can_be_discarded(neo: PlainHost, interrupted: tuple[Page, str]) -> None:
    page, key = interrupted
    do(page, do="discard", job=key)
    assert neo.encoders is not None
    assert list(neo.encoders.iterdir()) == []


def test_another_checkpoint_meanwhile_gets_nothing(
    page: Page, neo: PlainHost, service: Service, published: dict[str, Path]
) -> None:
    do(page, do="get-needs", accept=False)
    neo.checkpoint = "other"
    chroma(Path(neo.checkpoint_file))
    wait_for(lambda: len(service.history.entries()) == 2)
    assert neo.components_set == []
    assert button(page) == {"do": "get-needs", "accept": False}, "they are here, and a click uses them"


def test_terms_are_accepted_first(page: Page, neo: PlainHost, hub: Hub, published: dict[str, Path]) -> None:
    built_in = neo.root / "built-in.yaml"
    text = built_in.read_text(encoding="utf-8")
    built_in.write_text(text.replace("licence: MIT", "licence: Own Terms"), encoding="utf-8")
    assert button(page) == {"do": "get-needs", "accept": True}
    with pytest.raises(RefusedError):
        do(page, do="get-needs", accept=False)
    assert hub.requests == []
    do(page, do="get-needs", accept=True)
    wait_for(lambda: len(neo.components_set) == 2)


def test_the_webuis_own_dropdown_is_set_again_if_encoders_alone_have_come(page: Page, neo: PlainHost) -> None:
    before = page.state({})["sync"]
    neo.components_set = [neo.root / "t5.safetensors"]
    assert page.state({})["sync"] != before


@pytest.mark.usefixtures("published")
def test_each_list_keeps_its_own_files(page: Page, neo: PlainHost) -> None:
    assert neo.encoders is not None
    vae, encoder = flux_vae(neo.vaes / "v.safetensors"), t5(neo.encoders / "a.safetensors")
    own = t5(neo.encoders / "own.safetensors", fill=b"\x03")
    neo.of_presets = {"flux": [own]}
    neo.refresh()
    do(page, do="get-needs", accept=False)
    assert neo.of_presets == {"flux": [vae, own]}
    assert neo.components_set == [vae, encoder]


@pytest.mark.usefixtures("published")
def test_a_click_at_once_waits_until_what_is_here_is_known(page: Page, neo: PlainHost, hub: Hub) -> None:
    assert neo.encoders is not None
    vae, encoder = flux_vae(neo.vaes / "v.safetensors"), t5(neo.vaes / "t5 among the VAEs.safetensors")
    neo.refresh()
    do(page, do="get-needs", accept=False)
    assert neo.components_set == [vae, encoder]
    assert hub.requests == []


@pytest.mark.usefixtures("published")
def test_a_fault_in_the_components_leaves_the_page(page: Page, neo: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(neo, "next_checkpoint", fails)
    state = page.state({})
    assert state["regions"]["needs"] == ""
    assert "offers" in state["regions"]


@pytest.mark.usefixtures("published")
def test_who_may_not_download_may_use_what_is_here(page: Page, neo: PlainHost) -> None:
    assert neo.encoders is not None
    neo.refused[Permission.GET] = msg("Not here.")
    assert button(page) is None
    vae, encoder = flux_vae(neo.vaes / "v.safetensors"), t5(neo.encoders / "a.safetensors")
    neo.refresh()
    wait_for(lambda: button(page) is not None)
    do(page, do="get-needs", accept=False)
    assert neo.components_set == [vae, encoder]


def test_a_webui_without_such_a_list_shows_nothing(page: Page, host: PlainHost) -> None:
    assert region(page) == ""
    with fails_with(RefusedError, "unknown-engine"):
        do(page, do="get-needs", accept=False)


@pytest.mark.usefixtures("published")
def test_who_may_not_choose_gets_no_button(page: Page, neo: PlainHost) -> None:
    neo.refused[Permission.CHOOSE] = msg("Not here.")
    assert button(page) is None
    with pytest.raises(RefusedError):
        do(page, do="get-needs", accept=False)


@pytest.mark.usefixtures("published")
def test_names_are_not_html(page: Page, neo: PlainHost) -> None:
    assert neo.encoders is not None
    t5(neo.encoders / "<img src=x onerror=alert(1)>.safetensors")
    assert "<img" not in region(page)
    assert "<img src=x" in rows(page)["t5xxl"]
