"""What the page says of the checkpoint's own VAE, of a family's default, and of names; and what its buttons do."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from tests.failing import fails_with
from tests.webui.host import PlainHost
from tests.webui.test_page import do, is_shown, text, wait_for
from tests.wording import says, worded
from vae_manager.errors import RefusedError, UsageError
from vae_manager.messages import msg
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.ui import view_model as facts_module
from vae_manager.webui.ui.page import EVERYWHERE, Page

A, B = "a.safetensors", "b.safetensors"
USE, NO_LONGER, CHOOSE_AUTOMATIC = "prefer", "prefer nothing", "choose Automatic"
"""The buttons of the status, by their action."""


@pytest.fixture(autouse=True)
def files(host: PlainHost) -> None:
    for name in (A, B):
        (host.vaes / name).write_bytes(b"x")
    host.refresh()


def buttons(page: Page) -> list[tuple[str, dict[str, object]]]:
    """What can be clicked in the status."""
    html = page.state({})["regions"]["status"]
    found = [json.loads(unescape(action)) for action in re.findall(r'<button[^>]* data-vae-do="([^"]*)"', html)]
    return [(_kind(action), action) for action in found]


def _kind(action: dict[str, object]) -> str:
    if action["do"] == "prefer":
        return NO_LONGER if action["word"] == "Automatic" else USE
    return CHOOSE_AUTOMATIC if (action["do"], action["word"]) == ("choose", "Automatic") else str(action["do"])


def click(page: Page, label: str) -> None:
    [action] = [action for name, action in buttons(page) if name == label]
    do(page, **action)
    wait_for(lambda: not page.state({})["active"])


def use(page: Page, host: PlainHost, name: str) -> None:
    page.pick(name, EVERYWHERE)
    wait_for(lambda: not page.state({})["active"] and host.word == name)


def test_use_it_with_this_checkpoint_and_no_longer(page: Page, host: PlainHost) -> None:
    assert buttons(page) == [], "nothing to prefer over what it has anyway"
    use(page, host, A)
    assert [label for label, _ in buttons(page)] == [USE]
    click(page, USE)
    assert host.cards == {host.checkpoint_file: A}
    assert host.word == A, "the setting is another matter"
    assert [label for label, _ in buttons(page)] == [NO_LONGER, CHOOSE_AUTOMATIC]
    assert is_shown(page, "status", "card-choice-for-all", A)
    click(page, CHOOSE_AUTOMATIC)
    assert (host.word, host.loaded) == ("Automatic", host.listed[A])
    assert says(page.state({})["titles"]["txt2img"], "by-card")
    assert [label for label, _ in buttons(page)] == [NO_LONGER]
    assert not is_shown(page, "status", "card-choice-for-all")
    click(page, NO_LONGER)
    assert host.cards == {}
    wait_for(lambda: host.loaded is None)
    assert "Built-in" in page.state({})["titles"]["txt2img"]


def test_built_in_can_be_kept_for_a_checkpoint(page: Page, host: PlainHost) -> None:
    use(page, host, "None")
    click(page, USE)
    assert host.cards == {host.checkpoint_file: "None"}


def test_what_the_choice_overrides_is_told(page: Page, host: PlainHost) -> None:
    host.cards[host.checkpoint_file] = B
    use(page, host, A)
    assert is_shown(page, "status", "card-overridden", B)
    assert [label for label, _ in buttons(page)] == [USE, CHOOSE_AUTOMATIC, NO_LONGER]
    click(page, CHOOSE_AUTOMATIC)
    assert host.loaded == host.listed[B]
    assert not is_shown(page, "status", "card-overridden")
    use(page, host, A)
    click(page, NO_LONGER)
    assert host.cards == {}
    assert host.loaded == host.listed[A], "the choice stands"
    assert not is_shown(page, "status", "card-overridden")


def test_with_the_webuis_option_off_the_choice_waits(page: Page, host: PlainHost) -> None:
    host.setting_overrides_card = False
    host.cards[host.checkpoint_file] = B
    use(page, host, A)
    assert host.loaded == host.listed[B]
    assert is_shown(page, "status", "card-comes-first", A)
    host.word = B
    assert not is_shown(page, "status", "card-comes-first")


def test_a_preference_that_is_not_there_is_told_and_can_be_taken_away(page: Page, host: PlainHost) -> None:
    host.cards[host.checkpoint_file] = "gone.pt"
    assert is_shown(page, "status", "card-not-listed", "gone.pt")
    click(page, NO_LONGER)
    assert host.cards == {}
    assert "gone.pt" not in text(page, "status")


def test_another_checkpoint_is_loaded_meanwhile(page: Page, host: PlainHost) -> None:
    use(page, host, A)
    [(_, action)] = buttons(page)
    host.checkpoint = "other"
    with fails_with(RefusedError, "other-checkpoint"):
        do(page, **action)
    assert host.cards == {}


def test_where_it_is_refused_there_is_no_button_and_no_way(page: Page, host: PlainHost) -> None:
    use(page, host, A)
    [(_, action)] = buttons(page)
    host.refused[Permission.PREFER] = msg("Not from here.", code="test")
    assert buttons(page) == []
    with fails_with(RefusedError, "test"):
        do(page, **action)
    assert host.cards == {}
    with pytest.raises(UsageError):
        do(page, do="prefer", word=A)


def test_no_button_for_what_is_not_settled(page: Page, host: PlainHost) -> None:
    use(page, host, A)
    host.loaded = host.listed[B]  # a picture's own, or the one before
    assert buttons(page) == []
    host.loaded = host.listed[A]
    host.vae_path = host.loaded = "/elsewhere/a.safetensors"  # whose name means another file in the WebUI's list
    assert buttons(page) == []
    host.vae_path, host.loaded = None, host.listed[A]
    assert USE in dict(buttons(page))
    host.checkpoint = None
    assert buttons(page) == []


def test_a_damaged_card_is_said(page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RefusedError(msg("{file}: no sense", file="demo.json"))

    use(page, host, A)
    monkeypatch.setattr(host, "prefer", refuse)
    with pytest.raises(RefusedError, match=r"demo\.json"):
        do(page, **buttons(page)[0][1])
    assert host.loaded == host.listed[A]


def test_following_keeps_what_the_dropdown_shows(page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    free = threading.Event()
    original = host.choose
    monkeypatch.setattr(host, "choose", lambda choice, wanted: (free.wait(10), original(choice, wanted))[1])
    page.pick(B, EVERYWHERE)
    wait_for(lambda: page.state({})["active"])
    do(page, do="prefer", checkpoint="demo", word=A)
    assert page.facts().wanted.word == B
    free.set()
    wait_for(lambda: not page.state({})["active"])
    assert (host.word, host.loaded) == (B, host.listed[B])


# -- a default for the family --------------------------------------------------------------------------------------
def test_the_familys_default_is_named(page: Page, host: PlainHost) -> None:
    host.default = B
    before = page.state({})["sync"]
    host.follow_setting()
    assert page.state({})["titles"]["txt2img"] == f"VAE — b · {worded('by-family', family='SD 1.x / 2.x')}"
    assert worded("automatic-by-family", file=B, family="SD 1.x / 2.x") in page.labels(page.facts())
    host.default = A
    assert page.state({})["sync"] != before, "the line of the dropdown is another one"


def test_a_default_that_is_missing_is_told(page: Page, host: PlainHost) -> None:
    host.default = "gone.pt"
    assert is_shown(page, "status", "default-not-listed", "gone.pt", "SD 1.x / 2.x")
    assert worded("because-missing", file="gone.pt") in page.state({})["titles"]["txt2img"]


CAUGHT = 'data-vae-key="caught"'


# -- names ---------------------------------------------------------------------------------------------------------
def test_a_name_that_hands_a_file_to_a_checkpoint_is_pointed_out(page: Page, host: PlainHost) -> None:
    assert CAUGHT not in page.state({})["regions"]["offers"]
    (host.vaes / "sdxl <b>.safetensors").write_bytes(b"x")
    host.refresh()
    host.other_checkpoints = ["/models/sd.ckpt", "/models/sub/a.safetensors", "/models/un.safetensors"]
    offers = text(page, "offers")
    assert CAUGHT in page.state({})["regions"]["offers"]
    assert "(1)" in offers
    assert re.search(CAUGHT + r'.*?<p class="vm-line"[^>]*>\s*\S', page.state({})["regions"]["offers"], re.DOTALL), (
        "the way out"
    )
    assert "sd gets sdxl <b>.safetensors" in offers
    host.cards["/models/sd.ckpt"] = "gone.pt"
    assert "sd gets sdxl" in text(page, "offers"), "a preference that is not there decides nothing"
    for decided in (A, "None"):
        host.cards["/models/sd.ckpt"] = decided
        assert CAUGHT not in page.state({})["regions"]["offers"]


def test_only_a_few_names_are_told_and_few_cards_read(
    page: Page, host: PlainHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.listed = {f"m{number}-x.pt": f"/vae/m{number}-x.pt" for number in range(3000)}
    host.other_checkpoints = [f"/models/m{number}.ckpt" for number in range(3000)]
    asked: list[str] = []
    monkeypatch.setattr(host, "preference", asked.append)
    assert len(page.facts().caught) == facts_module.CAUGHT_SHOWN
    assert len(asked) <= facts_module.CAUGHT_LOOKED_AT + 1
    before = facts_module._caught_by_name.cache_info().hits
    page.facts()
    assert facts_module._caught_by_name.cache_info().hits == before + 1, "the same lists are not gone through again"
