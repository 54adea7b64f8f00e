"""Every rule of the WebUI's resolve_vae (modules/sd_vae.py, v1.10.1), one line each."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from vae_manager.choice import (
    AUTOMATIC,
    BUILTIN,
    Choice,
    PrefixMatch,
    Resolution,
    ResolutionContext,
    Rule,
    prefix_matches,
    resolve,
    stem_of,
)

A, B, NEAR = "a.safetensors", "b.vae.pt", "model-v1-near.safetensors"
CHECKPOINT = "/models/Stable-diffusion/sub/model-v1.safetensors"


def at(name: str) -> str:
    return f"/models/VAE/{name}"


def listed(*names: str) -> Mapping[str, str]:
    return {name: at(name) for name in names}


def situation(choice: str, *names: str, **changes: object) -> ResolutionContext:
    facts = {"choice": Choice(choice), "checkpoint_file": CHECKPOINT, "files": listed(*names), **changes}
    return ResolutionContext(**facts)  # type: ignore[arg-type]


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
    # -- the project's own: a default for the checkpoint's family, where Automatic finds nothing nearer
    "the family's": (situation("Automatic", A, B, family_default=B), at(B), Rule.FAMILY),
    "the family's, by the word of old config files": (situation("auto", A, family_default=A), at(A), Rule.FAMILY),
    "off: the family's": (
        situation("Automatic", A, family_default=A, setting_overrides_card=False),
        at(A),
        Rule.FAMILY,
    ),
    "vae-path over the family's": (
        situation("Automatic", A, vae_path="/x/forced.pt", family_default=A),
        "/x/forced.pt",
        Rule.VAE_PATH,
    ),
    "a file over the family's": (situation(B, A, B, family_default=A), at(B), Rule.SETTING),
    "Built-in over the family's": (situation("None", A, family_default=A), OWN, Rule.SETTING),
    "off: Built-in over the family's": (
        situation("None", A, family_default=A, setting_overrides_card=False),
        OWN,
        Rule.SETTING,
    ),
    "the card over the family's": (
        situation("Automatic", A, B, card_preference=B, family_default=A),
        at(B),
        Rule.CARD,
    ),
    "the card's own over the family's": (
        situation("Automatic", A, card_preference="None", family_default=A),
        OWN,
        Rule.CARD,
    ),
    "a near name over the family's": (situation("Automatic", A, NEAR, family_default=A), at(NEAR), Rule.NEAR_NAME),
    "the family's after a card that says Automatic": (
        situation("Automatic", A, card_preference="Automatic", family_default=A),
        at(A),
        Rule.FAMILY,
    ),
    "the family's after a card whose file is missing": (
        situation("Automatic", A, card_preference="gone.pt", family_default=A),
        at(A),
        Rule.FAMILY,
    ),
    "the family's is missing": (situation("Automatic", A, family_default="gone.pt"), OWN, Rule.FAMILY_MISSING),
    "a missing choice is told, not the family's": (
        situation("gone.pt", A, family_default="away.pt"),
        OWN,
        Rule.MISSING,
    ),
}


@pytest.mark.parametrize(("looked_at", "path", "rule"), CASES.values(), ids=CASES.keys())
def test_rule(looked_at: ResolutionContext, path: str | None, rule: Rule) -> None:
    missing = "gone.pt" if rule in (Rule.MISSING, Rule.FAMILY_MISSING) else None
    found = resolve(looked_at)
    assert (found.path, found.rule, found.missing) == (path, rule, missing)


@pytest.mark.parametrize(
    ("looked_at", "preferred", "overrides"),
    [
        (situation("Automatic", A), None, None),
        (situation(A, A, card_preference="Automatic"), None, None),
        (situation(A, A, card_preference=""), None, None),
        (situation("Automatic", A, card_preference=A), A, None),
        (situation(A, A, B, card_preference=B), B, B),
        (situation(A, A, card_preference="None"), "None", "None"),
        (situation("None", A, card_preference=A), A, A),
        (situation("gone.pt", A, card_preference=A), A, A),
        # nothing would be another one without the choice
        (situation(A, A, card_preference=A), A, None),
        (situation("None", A, card_preference="None"), "None", None),
        (situation(A, A, card_preference="gone.pt"), "gone.pt", None),
        # not the choice, but a flag of the WebUI
        (situation(A, A, B, card_preference=B, vae_path="/x/forced.pt"), B, None),
        (situation(A, A, B, card_preference=B, setting_overrides_card=False), B, None),
    ],
)
def test_what_the_card_prefers_and_what_the_choice_overrides(
    looked_at: ResolutionContext, preferred: str | None, overrides: str | None
) -> None:
    found = resolve(looked_at)
    assert (found.preferred, found.overrides) == (preferred, overrides)


def test_a_plain_resolution_says_nothing_of_a_card() -> None:
    assert resolve(situation(A, A)) == Resolution(at(A), Rule.SETTING)


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


@pytest.mark.parametrize(
    ("names", "stems", "caught"),
    [
        (["sdxl_vae.safetensors"], ["sd"], {("sdxl_vae.safetensors", "sd")}),
        (["sdxl_vae.safetensors"], ["sdxl_base", "vae", "SD"], set()),
        # called as the checkpoint's own VAE would be
        (["sd.pt"], ["sd"], set()),
        (["sd.vae.safetensors"], ["sd"], set()),
        (["sd.v1.vae.pt"], ["sd"], {("sd.v1.vae.pt", "sd")}),
        (["sd.v1.vae.pt"], ["sd.v1"], set()),
        # the first one is taken, in the WebUI's order, which is none of the alphabet
        (["sd.vae.pt", "sd-other.pt"], ["sd"], set()),
        (["sd-other.pt", "sd.vae.pt"], ["sd"], {("sd-other.pt", "sd")}),
        (["sdz.pt", "sda.pt"], ["sd"], {("sdz.pt", "sd")}),
        # several checkpoints, and one of them twice
        (["sdxl.pt", "x.pt"], ["sd", "sdx", "sd", "sdxl"], {("sdxl.pt", "sd"), ("sdxl.pt", "sdx")}),
        ([], ["sd"], set()),
        (["sd1.pt"], [], set()),
    ],
)
def test_what_is_caught_by_its_name(names: list[str], stems: list[str], caught: set[tuple[str, str]]) -> None:
    assert {(one.file, one.stem) for one in prefix_matches(names, stems)} == caught


def test_what_is_caught_is_what_automatic_takes() -> None:
    names = [f"{start}{end}" for start in ("sd", "sd-v1", "model", "model.v1") for end in ("x.pt", ".vae.pt", ".pt")]
    for shift in range(len(names)):
        files = listed(*names[shift:], *names[:shift])
        for checkpoint in ("sd.ckpt", "sd-v1.ckpt", "model.safetensors", "model.v1.ckpt", "other.ckpt"):
            taken = resolve(ResolutionContext(AUTOMATIC, checkpoint, files))
            own = {at(f"{stem_of(checkpoint)}.pt"), at(f"{stem_of(checkpoint)}.vae.pt"), None}
            caught = [at(one.file) for one in prefix_matches(files, [stem_of(checkpoint)])]
            assert caught == ([] if taken.path in own else [taken.path])


def test_thousands_of_files_are_no_burden() -> None:
    names = [f"vae-{number % 5000:04}-{number}.safetensors" for number in range(20_000)]
    stems = [f"vae-{number:04}" for number in range(5_000)] + ["v", "vae"]
    began = time.perf_counter()
    assert prefix_matches(names, stems)[0] == PrefixMatch(names[0], "v")
    assert time.perf_counter() - began < 2, "some 30 ms; each name against each stem would take half a minute"
