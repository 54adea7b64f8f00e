"""Every rule of the WebUI's resolve_vae (modules/sd_vae.py, v1.10.1), one line each."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from vae_manager.choice import AUTOMATIC, BUILTIN, Choice, Resolution, Rule, Situation, resolve

A, B, NEAR = "a.safetensors", "b.vae.pt", "model-v1-near.safetensors"
CHECKPOINT = "/models/Stable-diffusion/sub/model-v1.safetensors"


def at(name: str) -> str:
    return f"/models/VAE/{name}"


def listed(*names: str) -> Mapping[str, str]:
    return {name: at(name) for name in names}


def situation(choice: str, *names: str, **changes: object) -> Situation:
    facts = {"choice": Choice(choice), "checkpoint_file": CHECKPOINT, "files": listed(*names), **changes}
    return Situation(**facts)  # type: ignore[arg-type]


OWN = None
"""The checkpoint's own VAE."""

CASES = {
    # -- --vae-path comes before everything, as it stands
    "vae-path": (situation("Automatic", A, vae_path="/x/forced.pt"), "/x/forced.pt", Rule.VAE_PATH),
    "vae-path over a file": (situation(A, A, vae_path="/x/forced.pt"), "/x/forced.pt", Rule.VAE_PATH),
    "vae-path over Built-in": (situation("None", A, vae_path="/x/forced.pt"), "/x/forced.pt", Rule.VAE_PATH),
    "vae-path over the card": (
        situation("Automatic", A, NEAR, vae_path="/x/forced.pt", card_preference=A),
        "/x/forced.pt",
        Rule.VAE_PATH,
    ),
    "an empty vae-path is one too": (situation(A, A, vae_path=""), "", Rule.VAE_PATH),
    # -- the setting comes before the card, as is the default
    "a file": (situation(A, A, B), at(A), Rule.SETTING),
    "a file over the card": (situation(A, A, B, card_preference=B), at(A), Rule.SETTING),
    "a file over a near name": (situation(A, A, NEAR), at(A), Rule.SETTING),
    "Built-in": (situation("None", A), OWN, Rule.SETTING),
    "Built-in over the card": (situation("None", A, card_preference=A), OWN, Rule.SETTING),
    "Built-in over a near name": (situation("None", NEAR), OWN, Rule.SETTING),
    "a missing file means the checkpoint's own": (situation("gone.pt", A), OWN, Rule.MISSING),
    "also where the card has one": (situation("gone.pt", A, card_preference=A), OWN, Rule.MISSING),
    "also where a near name is": (situation("gone.pt", NEAR), OWN, Rule.MISSING),
    # -- Automatic asks the card first
    "the card": (situation("Automatic", A, B, card_preference=B), at(B), Rule.CARD),
    "the card over a near name": (situation("Automatic", A, NEAR, card_preference=A), at(A), Rule.CARD),
    "the card wants the checkpoint's own": (situation("Automatic", NEAR, card_preference="None"), OWN, Rule.CARD),
    "a card without a wish": (situation("Automatic", A, card_preference=None), OWN, Rule.NOTHING_NEARER),
    "Automatic on the card goes on": (
        situation("Automatic", A, NEAR, card_preference="Automatic"),
        at(NEAR),
        Rule.NEAR_NAME,
    ),
    "Automatic on the card and nothing nearer": (
        situation("Automatic", A, card_preference="Automatic"),
        OWN,
        Rule.NOTHING_NEARER,
    ),
    "a missing file on the card goes on": (
        situation("Automatic", A, NEAR, card_preference="gone.pt"),
        at(NEAR),
        Rule.NEAR_NAME,
    ),
    "an empty wish on the card goes on": (situation("Automatic", A, card_preference=""), OWN, Rule.NOTHING_NEARER),
    # -- then a file whose name starts with the checkpoint's
    "a near name": (situation("Automatic", A, NEAR, B), at(NEAR), Rule.NEAR_NAME),
    "the first of several, in the WebUI's order": (
        situation("Automatic", "model-v1.vae.pt", NEAR),
        at("model-v1.vae.pt"),
        Rule.NEAR_NAME,
    ),
    "in the other order": (situation("Automatic", NEAR, "model-v1.vae.pt"), at(NEAR), Rule.NEAR_NAME),
    "a name that only holds it is not near": (
        situation("Automatic", "my-model-v1.safetensors"),
        OWN,
        Rule.NOTHING_NEARER,
    ),
    "case counts": (situation("Automatic", "Model-V1.vae.pt"), OWN, Rule.NOTHING_NEARER),
    "a short checkpoint's name grabs all that begin so": (
        situation("Automatic", "sdxl_vae.safetensors", checkpoint_file="sd.ckpt"),
        at("sdxl_vae.safetensors"),
        Rule.NEAR_NAME,
    ),
    "only the last suffix is cut": (
        situation("Automatic", "model.fp16.vae.pt", checkpoint_file="model.fp16.safetensors"),
        at("model.fp16.vae.pt"),
        Rule.NEAR_NAME,
    ),
    "folders do not count": (
        situation("Automatic", "model.vae.pt", checkpoint_file=r"C:\models\model.ckpt"),
        at("model.vae.pt"),
        Rule.NEAR_NAME,
    ),
    "a dot in a folder does not count": (
        situation("Automatic", "model.vae.pt", checkpoint_file="/models/v1.5/model"),
        at("model.vae.pt"),
        Rule.NEAR_NAME,
    ),
    "nothing at all": (situation("Automatic"), OWN, Rule.NOTHING_NEARER),
    "the word of old config files": (situation("auto", A, NEAR), at(NEAR), Rule.NEAR_NAME),
    # -- with the option off, card and near name come before any setting
    "off: the card over a file": (
        situation(A, A, B, card_preference=B, setting_overrides_card=False),
        at(B),
        Rule.CARD,
    ),
    "off: the card's own over a file": (
        situation(A, A, card_preference="None", setting_overrides_card=False),
        OWN,
        Rule.CARD,
    ),
    "off: a near name over a file": (situation(A, A, NEAR, setting_overrides_card=False), at(NEAR), Rule.NEAR_NAME),
    "off: a near name over Built-in": (
        situation("None", A, NEAR, setting_overrides_card=False),
        at(NEAR),
        Rule.NEAR_NAME,
    ),
    "off: the setting comes last": (situation(A, A, B, setting_overrides_card=False), at(A), Rule.SETTING),
    "off: Built-in comes last": (situation("None", A, setting_overrides_card=False), OWN, Rule.SETTING),
    "off: a missing file comes last": (situation("gone.pt", A, setting_overrides_card=False), OWN, Rule.MISSING),
    "off: the card of a missing file": (
        situation(A, A, card_preference="gone.pt", setting_overrides_card=False),
        at(A),
        Rule.SETTING,
    ),
    "off: Automatic": (situation("Automatic", A, setting_overrides_card=False), OWN, Rule.NOTHING_NEARER),
}


@pytest.mark.parametrize(("looked_at", "path", "rule"), CASES.values(), ids=CASES.keys())
def test_rule(looked_at: Situation, path: str | None, rule: Rule) -> None:
    missing = "gone.pt" if rule is Rule.MISSING else None
    assert resolve(looked_at) == Resolution(path, rule, missing)


def test_every_rule_has_a_case() -> None:
    assert {rule for _, _, rule in CASES.values()} == set(Rule)


@pytest.mark.parametrize(
    ("word", "automatic", "builtin", "file_name"),
    [
        ("Automatic", True, False, None),
        ("auto", True, False, None),
        ("None", False, True, None),
        ("a.safetensors", False, False, "a.safetensors"),
        ("none", False, False, "none"),
    ],
)
def test_what_a_choice_is(word: str, automatic: bool, builtin: bool, file_name: str | None) -> None:
    choice = Choice(word)
    assert (choice.is_automatic, choice.is_builtin, choice.file_name) == (automatic, builtin, file_name)


def test_the_two_words_of_the_webui() -> None:
    assert (AUTOMATIC.word, BUILTIN.word) == ("Automatic", "None")
    assert AUTOMATIC.is_automatic
    assert BUILTIN.is_builtin
