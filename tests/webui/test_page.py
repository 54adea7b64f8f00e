"""What a person reads and what a click does, on a plain host and a real loopback hub."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from tests.failing import fails_with, has
from tests.hub import Fault, Hub, Link
from tests.library.vaes import sha256, vae
from tests.shown import shows
from tests.webui.host import PlainHost, unfit
from tests.wording import worded
from vae_manager.errors import RefusedError, UsageError
from vae_manager.messages import msg
from vae_manager.records.verdict import NEO
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Permission, Swap
from vae_manager.webui.ui.page import EVERYWHERE, THIS_TAB, Page
from vae_manager.webui.ui.page_handlers import perform

BYTES = b"a VAE of a few bytes" * 200_000  # 4 MB
SHA256 = hashlib.sha256(BYTES).hexdigest()

ENTRY = f"""
- id: mine
  name: Mine
  family: sd1
  purpose: for this test
  sha256: {SHA256}
  size: {len(BYTES)}
  source: hub:owner/repo/mine.safetensors
"""


def wait_for(true: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def text(page: Page, region: str) -> str:
    """A region as people read it."""
    html = page.state({})["regions"][region]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def is_shown(page: Page, region: str, code: str, *texts: str) -> bool:
    """True if the region shows a message with this code, and these texts in it."""
    return shows(page.state({})["regions"][region], code, *texts)


def row(page: Page, entry: str = "mine") -> str:
    html = page.state({})["regions"]["offers"]
    found = re.search(rf'<li class="vm-row" data-vae-entry="{entry}">.*?</li>', html)
    assert found is not None
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", found[0])))


def actions(html: str, kind: str) -> list[dict[str, Any]]:
    """What the buttons of this kind do."""
    found = (json.loads(unescape(action)) for action in re.findall(r'data-vae-do="([^"]*)"', html))
    return [action for action in found if action["do"] == kind]


def offers_use(page: Page, entry: str | None = None) -> bool:
    """A button gets an entry, this one or any, and chooses it."""
    found = actions(page.state({})["regions"]["offers"], "get")
    return any(action["use"] and entry in (None, action["entry"]) for action in found)


@pytest.fixture
def offered(host: PlainHost, hub: Hub) -> None:
    """The user's catalogue offers a file that the hub has."""
    hub.add("owner/repo", "mine.safetensors", BYTES)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)


def write_catalogue(host: PlainHost, content: str) -> None:
    host.data_folder.mkdir(exist_ok=True)
    (host.data_folder / "catalogue.yaml").write_text(content, encoding="utf-8")


def do(page: Page, **action: object) -> None:
    perform(page.host, page.service, json.dumps(action))


def test_the_title_says_which_and_why(page: Page, host: PlainHost) -> None:
    assert page.state({})["titles"]["txt2img"] == f"VAE — Built-in · SD 1.x / 2.x · {worded('none-by-name')}"
    (host.vaes / "fine.safetensors").write_bytes(b"x")
    host.refresh()
    page.pick("fine.safetensors", EVERYWHERE)
    wait_for(lambda: page.state({})["titles"]["txt2img"] == f"VAE — fine · {worded('by-choice')}")
    assert "fine.safetensors" in text(page, "status")


def test_a_tab_of_its_own_says_so_and_changes_nothing_else(page: Page, host: PlainHost) -> None:
    assert page.pick("fine.safetensors", THIS_TAB) == "fine.safetensors"
    state = page.state({"img2img": "fine.safetensors"})
    assert state["titles"]["img2img"] == f"VAE — fine.safetensors · {worded('this-tab-only')}"
    assert "Built-in" in state["titles"]["txt2img"]
    assert host.word == "Automatic"


def test_without_a_checkpoint(page: Page, host: PlainHost) -> None:
    host.checkpoint = host.family = None
    assert page.state({})["titles"]["txt2img"] == f"VAE — {worded('none-loaded')}"
    assert is_shown(page, "status", "no-checkpoint")


def test_first_for_each_family(page: Page, host: PlainHost) -> None:
    def first() -> list[str]:
        return re.findall(r'data-vae-entry="([^"]+)"', page.state({})["regions"]["offers"])[:2]

    assert first() == ["ft-mse", "ft-ema"]
    host.family = "sdxl"
    assert all(entry.startswith("sdxl") for entry in first())


@pytest.mark.usefixtures("offered")
def test_get_and_use(page: Page, host: PlainHost) -> None:
    assert offers_use(page, "mine")
    do(page, do="get", entry="mine", use=True, accept=False)
    wait_for(lambda: host.word == "mine.safetensors")
    assert (host.vaes / "mine.safetensors").read_bytes() == BYTES
    assert "✓ in use" in row(page)
    assert SHA256[:10] in text(page, "status")
    assert "Mine" in text(page, "status")


@pytest.mark.usefixtures("offered")
def test_get_alone_leaves_the_choice(page: Page, host: PlainHost) -> None:
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: "✓ already here" in row(page) and "Use" in row(page))
    assert host.word == "Automatic"
    assert page.state({})["here"] == {"mine": "mine.safetensors"}


@pytest.mark.usefixtures("offered")
def test_progress_is_seen_pause_keeps_what_came_and_cancel_does_not(page: Page, hub: Hub, host: PlainHost) -> None:
    hub.cdn.link = Link(rate_per_connection=1_000_000)
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: 'role="progressbar"' in page.state({})["regions"]["offers"] and "Cancel" in row(page))
    wait_for(lambda: re.search(r"MB of 4\.00 MB · .*left", row(page)))
    assert page.state({})["active"]
    do(page, do="pause", job=key(page))
    wait_for(lambda: not page.state({})["active"])
    assert re.search(r"Resume Cancel .*Paused · .* of 4\.00 MB", row(page))
    [kept] = page.service.downloads.views()
    assert kept.job.done > 0
    sent = hub.cdn.sent()
    do(page, do="resume", job=key(page))
    wait_for(lambda: hub.cdn.sent() > sent + 200_000)
    do(page, do="cancel", job=key(page))
    wait_for(lambda: not page.state({})["active"])
    assert "4.0 MB Get and use" in row(page)
    assert list(host.vaes.iterdir()) == [], "what had come is gone"
    assert "cancelled" in text(page, "downloads")
    hub.cdn.link = Link()
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: "✓ already here" in row(page))
    assert list(host.vaes.glob("*")) == [host.vaes / "mine.safetensors"]


def key(page: Page) -> str:
    """Of the only download."""
    [one] = page.service.downloads.views()
    return one.job.key


@pytest.mark.usefixtures("offered")
def test_a_wrong_hash_is_a_sentence_in_the_row(page: Page, hub: Hub, host: PlainHost) -> None:
    hub.cdn.fail_always(Fault.flip(7))
    do(page, do="get", entry="mine", use=True, accept=False)
    wait_for(lambda: "Problem" in page.state({})["regions"]["offers"])
    assert SHA256[:10] in row(page)
    assert host.word == "Automatic"
    assert not list(host.vaes.glob("*.safetensors"))


def test_own_terms_are_shown_before_the_first_download(page: Page, service: Service) -> None:
    html = page.state({})["regions"]["offers"]
    asking = re.findall(r'data-vae-entry="([^"]+)">(?:(?!</li>).)*vm-terms', html)
    assert asking, "the catalogue offers something under other terms than MIT or Apache"
    with pytest.raises(RefusedError, match="terms"):
        do(page, do="get", entry=asking[0], use=False, accept=False)
    service.accepted.add(asking[0])
    assert f'data-vae-key="terms {asking[0]}"' not in page.state({})["regions"]["offers"]


def test_what_is_only_recognised_is_never_fetched(page: Page) -> None:
    with pytest.raises(RefusedError, match="not offered"):
        do(page, do="get", entry="orangemix", use=False, accept=False)


def test_names_are_not_html(page: Page, host: PlainHost) -> None:
    evil = "<img src=x onerror=alert(1)>.safetensors"
    host.listed = {evil: str(host.vaes / evil)}
    host.word, host.loaded = evil, str(host.vaes / evil)
    write_catalogue(host, ENTRY.replace("name: Mine", "name: '<script>alert(1)</script>'"))
    state = page.state({"txt2img": evil})
    for html in state["regions"].values():
        assert "<img" not in html
        assert "<script" not in html
    assert "&lt;img" in state["regions"]["status"]


def test_a_refused_choice_leaves_the_old_one_and_says_why(page: Page, host: PlainHost) -> None:
    host.listed = {"bad.safetensors": "bad.safetensors"}
    before = page.state({})["sync"]
    page.pick("bad.safetensors", EVERYWHERE)
    wait_for(lambda: str(unfit("bad.safetensors")) in text(page, "status"))
    assert host.word == "Automatic"
    assert page.state({})["sync"] != before, "the dropdown has to be set back"
    again = page.state({})["sync"]
    page.pick("bad.safetensors", EVERYWHERE)
    wait_for(lambda: page.state({})["sync"] != again and not page.state({})["active"])
    job = page.facts().choosing
    assert job is not None
    do(page, do="dismiss", job=job.key)
    assert str(unfit("bad.safetensors")) not in text(page, "status")


def test_a_refusal_is_over_once_another_choice_was_made_elsewhere(page: Page, host: PlainHost) -> None:
    host.listed = {"bad.safetensors": "bad.safetensors"}
    page.pick("bad.safetensors", EVERYWHERE)
    wait_for(lambda: str(unfit("bad.safetensors")) in text(page, "status"))
    assert str(unfit("bad.safetensors")) in text(page, "status"), "it stays, as long as nothing else happens"
    host.word = "None"
    assert str(unfit("bad.safetensors")) not in text(page, "status")
    host.word = "Automatic"
    assert str(unfit("bad.safetensors")) not in text(page, "status")


def test_a_choice_waits_for_the_picture(page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    free = threading.Event()
    original = host.choose
    monkeypatch.setattr(host, "choose", lambda choice, stop: (free.wait(10), original(choice, stop))[1])
    host.making_a_picture = True
    page.pick("None", EVERYWHERE)
    wait_for(lambda: 'data-vae-said="choice"' in page.state({})["regions"]["status"])
    waiting = text(page, "status")
    host.making_a_picture = False
    assert waiting != text(page, "status"), "that it waits for the picture"
    host.making_a_picture = True
    assert page.facts().wanted.is_builtin
    free.set()
    wait_for(lambda: host.word == "None")


def test_a_newer_choice_elsewhere_wins(page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    free = threading.Event()
    original = host.choose
    monkeypatch.setattr(host, "choose", lambda choice, wanted: (free.wait(10), original(choice, wanted))[1])
    page.pick("None", EVERYWHERE)
    wait_for(lambda: page.state({})["active"])
    host.word = "auto"  # the WebUI's own settings, meanwhile
    free.set()
    wait_for(lambda: not page.state({})["active"])
    assert host.word == "auto"


def test_frozen_settings_are_said_and_leave_getting_alone(page: Page, host: PlainHost) -> None:
    host.refused[Permission.CHOOSE] = msg("Not with --freeze-settings.")
    assert "--freeze-settings" in text(page, "status")
    assert not offers_use(page)
    assert "Get" in row(page, "ft-mse")
    with pytest.raises(RefusedError, match="freeze"):
        page.pick("None", EVERYWHERE)


def test_a_missing_choice_is_named_with_what_is_used_instead(page: Page, host: PlainHost) -> None:
    host.word = "gone.safetensors"
    assert "gone.safetensors is chosen, but the WebUI does not list it" in text(page, "status")
    assert "gone.safetensors — missing" in page.labels(page.facts())


def test_taesd_and_a_foreign_family_are_pointed_out(page: Page, host: PlainHost, service: Service) -> None:
    path = host.vaes / "other.safetensors"
    path.write_bytes(b"x")
    entry = service.catalogue.entry("sdxl-vae")
    service.stores.hashes.remember(path, entry.sha256)
    host.refresh()
    host.word, host.loaded, host.taesd = path.name, str(path), True
    status = text(page, "status")
    assert "TAESD" in status
    assert is_shown(page, "status", "noise-expected", "SDXL", "SD 1.x / 2.x")
    assert page.labels(page.facts())[-1].startswith("other.safetensors — "), "what does not fit stands last"


def test_what_is_hardly_meant_is_asked_first(page: Page, host: PlainHost, service: Service) -> None:
    path = vae(host.vaes / "mine.safetensors")
    write_catalogue(host, ENTRY.replace("family: sd1", "family: sdxl").replace(SHA256, sha256(path)))
    host.refresh()
    service.stores.hashes.compute(path)
    page.pick("mine.safetensors", EVERYWHERE)
    wait_for(lambda: is_shown(page, "status", "other-family", "mine.safetensors", "SDXL", "SD 1.x / 2.x"))
    asked = page.state({})["regions"]["status"]
    assert (host.word, host.loaded) == ("Automatic", None)
    assert 'aria-label="Warning"' in asked and actions(asked, "choose-anyway")
    doubt = page.doubt_in_tab("mine.safetensors")
    assert doubt is not None and doubt.code == "other-family"
    assert has(doubt, file="mine.safetensors", theirs="SDXL", ours="SD 1.x / 2.x")
    assert page.doubt_in_tab("None") is None
    do(page, do="choose-anyway", choice="mine.safetensors")
    wait_for(lambda: host.word == "mine.safetensors")
    page.pick("None", EVERYWHERE)
    wait_for(lambda: host.word == "None")
    page.pick("mine.safetensors", EVERYWHERE)
    wait_for(lambda: host.word == "mine.safetensors")
    assert not actions(page.state({})["regions"]["status"], "choose-anyway")


def test_it_is_asked_first_also_where_looking_at_all_files_takes_long(
    page: Page, host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine, or thousands of files: the chosen one is looked at before it is decided about."""
    monkeypatch.setattr(service.maintenance, "inspect", lambda files, timeout=0.0: None)
    path = vae(host.vaes / "mine.safetensors")
    write_catalogue(host, ENTRY.replace("family: sd1", "family: sdxl").replace(SHA256, sha256(path)))
    host.refresh()
    service.stores.hashes.compute(path)
    assert page.doubt_in_tab("mine.safetensors") is not None
    page.pick("mine.safetensors", EVERYWHERE)
    wait_for(lambda: actions(page.state({})["regions"]["status"], "choose-anyway"))
    assert (host.word, host.loaded) == ("Automatic", None)


def test_how_a_vae_came_in_is_said(page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    in_use = host.in_use()
    for swap, code, time_taken in (
        (Swap(None, 0.00123, from_memory=True), "from-memory", "1.2 ms"),
        (Swap(None, 0.3456, from_memory=False), "from-file", "346 ms"),
    ):
        monkeypatch.setattr(host, "in_use", lambda swap=swap: replace(in_use, swap=swap))
        assert is_shown(page, "status", code, time_taken)
    monkeypatch.setattr(host, "in_use", lambda: replace(in_use, notice=unfit("x")))
    assert str(unfit("x")) in text(page, "status")


def test_labels_lead_back_to_the_webuis_words(page: Page, host: PlainHost) -> None:
    host.listed = {"a.safetensors": "a"}
    labels, chosen = page.first_labels()
    assert chosen == "Automatic"
    assert [page.word_of(label) for label in labels] == ["Automatic", "None", "a.safetensors"]
    assert page.label_of("None") == labels[1] != "None"


def test_the_quick_settings_keep_the_users_own(page: Page, host: PlainHost) -> None:
    assert 'aria-checked="false"' in page.state({})["regions"]["settings"]
    do(page, do="quick-settings", on=True)
    assert host.quick == ["sd_model_checkpoint", "CLIP_stop_at_last_layers", "sd_vae"]
    assert actions(page.state({})["regions"]["settings"], "reload") != []
    later = Page(host, page.service)
    assert actions(later.state({})["regions"]["settings"], "reload") == [], "a page built now shows it already"
    do(page, do="quick-settings", on=False)
    assert host.quick == ["sd_model_checkpoint", "CLIP_stop_at_last_layers"]
    assert "Reload UI" not in text(page, "settings")
    do(page, do="reload")
    assert host.reloads == 1


def test_a_bad_line_of_the_users_catalogue_is_named_with_its_place(page: Page, host: PlainHost) -> None:
    write_catalogue(host, ENTRY + ENTRY.replace("id: mine", "id: other").replace(SHA256, "12"))
    status = text(page, "status")
    assert re.search(r"catalogue\.yaml:\d+:", status)
    assert "Mine" in text(page, "offers")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "{}",
        '{"do": "get"}',
        '{"do": "cancel", "job": 1}',
        '{"do": "move", "job": "a"}',
        '{"do": []}',
        '{"do": "format c:"}',
        "null",
        "17",
    ],
)
def test_what_the_page_never_says_is_refused(page: Page, message: str) -> None:
    with pytest.raises(UsageError):
        perform(page.host, page.service, message)


def test_no_hashing_means_no_hashing(page: Page, host: PlainHost, service: Service) -> None:
    host.hashing = False
    (host.vaes / "vae-ft-mse-840000-ema-pruned.safetensors").write_bytes(b"x")
    page.state({})
    assert service.background.views() == ()
    host.hashing = True
    page.state({})
    assert service.background.views() != ()


def test_a_vae_of_a_family_that_the_webui_does_not_run_is_neither_shown_nor_downloaded(
    page: Page, host: PlainHost
) -> None:
    def shown() -> set[str]:
        return {action["entry"] for action in actions(page.state({})["regions"]["catalogue"], "get")}

    assert "ft-mse" in shown() and "flux1-ae" not in shown()
    with fails_with(RefusedError, "not-for-this-webui", webui="A1111"):
        do(page, do="get", entry="flux1-ae", use=True, accept=False)
    host.capability = NEO
    assert "flux1-ae" in shown()
