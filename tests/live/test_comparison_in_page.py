"""The comparison in the WebUI's own page: which VAEs a click decodes, and of which one it says that it does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from vae_manager.compare.metrics import (
    Figures,
    Wrong,
    in_words,
    of_reference,
)
from vae_manager.maintenance import key_of

from .files import write_sd1_vae
from .page import LivePage
from .webui import Value, WebUI, until

pytestmark = pytest.mark.live

SECTION = "#vae_manager_comparison_page"
CHIP = f"{SECTION} [data-vae-chip]"
CARD = f"{SECTION} [data-vae-card]"
ENDED = f"{SECTION} [data-vae-region=compare-progress] [data-vae-key='save comparison']"
BUILTIN = "None"
FIRST, COPY, SECOND, OWN = (f"live-compared-{name}.safetensors" for name in ("a", "copy", "b", "own"))
FOREIGN, NEAR = "live-foreign.safetensors", "live-near.safetensors"
OWN_VAE = "first_stage_model."
BIAS = "decoder.conv_out.bias"
SHIFT = 0.02
"""Added to each colour: some 34 dB, which is the same picture still."""
FAR = Figures(False, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None)
"""Two pictures that are not the same one."""


@pytest.fixture(scope="module")
def own_vae(webui: WebUI, folder: Path) -> Mapping[str, torch.Tensor]:
    """The VAE in the file of the loaded checkpoint."""
    from safetensors.torch import load_file

    chosen = webui.options()["sd_model_checkpoint"].split(" [")[0].removesuffix(".safetensors")
    tensors = load_file(folder / "models" / "Stable-diffusion" / f"{chosen}.safetensors")
    return {name.removeprefix(OWN_VAE): tensor.clone() for name, tensor in tensors.items() if name.startswith(OWN_VAE)}


@pytest.fixture(scope="module")
def four(webui: WebUI, vae_folder: Path, own_vae: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Four VAE files with two sets of weights besides the checkpoint's own; all of this is known of them."""
    _write(vae_folder / OWN, own_vae)
    for seed, name in enumerate((FIRST, SECOND), 51):
        write_sd1_vae(vae_folder / f".{name}", seed=seed).rename(vae_folder / name)
    shutil.copyfile(vae_folder / FIRST, vae_folder / f".{COPY}")
    (vae_folder / f".{COPY}").rename(vae_folder / COPY)
    webui.refresh()
    for name in (FIRST, COPY, SECOND, OWN):
        _read_all(webui, vae_folder / name)
    yield
    _remove(webui, vae_folder, FIRST, COPY, SECOND, OWN)


@pytest.fixture(scope="module")
def foreign(webui: WebUI, vae_folder: Path, own_vae: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """A VAE that a person says is of SDXL is in use; another one is nearly the checkpoint's own."""
    _write(vae_folder / NEAR, {**own_vae, BIAS: own_vae[BIAS] + SHIFT})
    write_sd1_vae(vae_folder / f".{FOREIGN}", seed=53).rename(vae_folder / FOREIGN)
    webui.refresh()
    key = _read_all(webui, vae_folder / FOREIGN)
    webui.act(do="set-family", file=key, family="sdxl")
    webui.act(do="use-file", file=key)
    assert webui.option("sd_vae") != FOREIGN  # a question is asked first
    webui.act(do="choose-anyway", choice=FOREIGN)
    until(lambda: webui.option("sd_vae"), lambda now: now == FOREIGN)
    until(webui.state, lambda state: not state["active"])
    yield
    webui.act(do="set-family", file=key, family="")  # what was said is remembered for its bytes
    _remove(webui, vae_folder, FOREIGN, NEAR)


def _write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    partial = path.with_name(f".{path.name}")
    save_file(dict(tensors), partial, metadata={"format": "pt"})
    partial.rename(path)


def _read_all(webui: WebUI, path: Path) -> str:
    """Have each byte of the file read, so that its weights are known; gives its key."""
    key = key_of(path)

    def state() -> dict[str, Any]:
        return webui.state(library="", file=key)

    until(state, lambda state: key in state["library"]["rows"] and not state["library"]["active"])
    webui.act(do="verify-file", file=key)
    until(state, lambda state: not state["library"]["active"])
    webui.act(do="forget-told")
    return key


def _remove(webui: WebUI, folder: Path, *names: str) -> None:
    webui.choose("None")
    for name in names:
        (folder / name).unlink(missing_ok=True)
    webui.refresh()


# -- what the page shows -------------------------------------------------------------------------------------------
def open_section(page: LivePage) -> None:
    page.raw.click("#tabs > .tab-nav > button:text-is('VAE')")
    page.raw.locator("#vae_manager_library_pages > .tab-nav > button").nth(1).click()
    page.raw.wait_for_selector(f"{SECTION} [data-vae-start]")


def translator_of(page: LivePage, which: str) -> list[str]:
    """The VAEs whose chips are `:checked`, or have an attribute."""
    return [str(word) for word in page.raw.eval_on_selector_all(f"{CHIP}{which}", "all => all.map((one) => one.value)")]


def tick(page: LivePage, *words: str) -> None:
    """Tick these and no others, apart from the one in use."""
    if not page.raw.is_visible(SECTION):
        open_section(page)
    for word in words:
        page.raw.check(f"{CHIP}[value='{word}']")
    for word in translator_of(page, ":checked:not([data-vae-in-use])"):
        if word not in words:
            page.raw.uncheck(f"{CHIP}[value='{word}']")


def until_rested(page: LivePage, look: Callable[[], Value], wanted: Callable[[Value], bool]) -> None:
    """Let the page's own timers run before each look."""

    def look_later() -> Value:
        page.rest(0.2)
        return look()

    until(look_later, wanted)


def wait_for_proposal(page: LivePage, *left_out: str) -> None:
    """Until the page proposes none of these; the checkpoint's weights are read in the background."""
    until_rested(page, lambda: translator_of(page, "[data-vae-proposed]"), lambda now: not {*now} & {*left_out})


def compare_shown(page: LivePage) -> None:
    """Click the button under the result, and wait until all is decoded and measured."""
    before = shown(page)
    page.tab("txt2img")
    page.raw.click("[data-vae-compare=txt2img]")
    until_rested(page, lambda: shown(page), lambda now: now not in (None, before))
    page.raw.wait_for_selector(ENDED)


def shown(page: LivePage) -> str | None:
    """The address of the comparison that is shown, up to its number."""
    sources = page.raw.eval_on_selector_all(f"{CARD} img", "all => all.map((one) => one.src)")
    return str(sources[0]).rpartition("/")[0] if sources else None


def decoded(page: LivePage) -> dict[str, str]:
    """What is said of each VAE that decoded, by its name, in the order of the cards. All gave a picture."""
    script = """all => all.map((one) => {
        const text = (selector) => one.querySelector(selector)?.textContent ?? "";
        return [text("strong bdi"), one.querySelector("img") !== null, text(".vm-seen")];
    })"""
    cards = page.raw.eval_on_selector_all(CARD, script)
    assert all(has_picture for _, has_picture, _ in cards), cards
    assert len({name for name, _, _ in cards}) == len(cards)
    return {str(name): str(said) for name, _, said in cards}


def names(page: LivePage, words: list[str]) -> list[str]:
    """As the cards call them."""
    script = """all => Object.fromEntries(
        all.map((one) => [one.value, one.parentElement.querySelector('bdi').textContent]))"""
    called = page.raw.eval_on_selector_all(CHIP, script)
    return [str(called[word]) for word in words]


# -- which VAEs are decoded ----------------------------------------------------------------------------------------
@pytest.fixture
def made(webui: WebUI, page: LivePage, four: None) -> LivePage:
    """A page in which Built-in has made a picture."""
    webui.choose("None")
    page.prepare()
    assert webui.named(page.generate().infotext) is None
    return page


def test_the_button_under_a_result_decodes_the_proposal_each_set_of_weights_once(made: LivePage) -> None:
    open_section(made)
    wait_for_proposal(made, COPY, OWN)
    proposed = translator_of(made, ":checked")
    assert {BUILTIN, FIRST, SECOND} <= {*proposed}
    compare_shown(made)
    assert sorted(decoded(made)) == sorted(names(made, proposed))


@pytest.mark.parametrize("wanted", [SECOND, COPY], ids=["one of the proposal", "one that is left out"])
def test_the_button_under_a_result_decodes_what_a_person_has_ticked(made: LivePage, wanted: str) -> None:
    open_section(made)
    wait_for_proposal(made, COPY, OWN)
    tick(made, wanted)
    compare_shown(made)
    assert list(decoded(made)) == names(made, [BUILTIN, wanted])  # the one in use comes first
    assert sorted(translator_of(made, ":checked")) == sorted([BUILTIN, wanted])


def test_ticks_of_a_person_hold_for_the_next_result_too(made: LivePage) -> None:
    tick(made, SECOND)
    compare_shown(made)
    made.tab("txt2img")
    made.prepare(seed=8)
    made.generate()
    compare_shown(made)
    assert list(decoded(made)) == names(made, [BUILTIN, SECOND])


def test_the_vae_of_the_picture_is_decoded_beside_the_ticked_one(webui: WebUI, made: LivePage) -> None:
    webui.choose(FIRST)
    made.prepare()
    assert webui.named(made.generate().infotext) == FIRST
    open_section(made)
    until_rested(made, lambda: translator_of(made, "[data-vae-in-use]"), lambda now: now == [FIRST])
    tick(made, SECOND)
    compare_shown(made)
    assert list(decoded(made)) == names(made, [FIRST, SECOND])


# -- which one does not fit ----------------------------------------------------------------------------------------
def said(wrong: Wrong) -> str:
    return str(in_words(FAR, wrong)[0])


def test_a_vae_of_other_latents_in_use_is_the_one_that_does_not_fit(
    webui: WebUI, page: LivePage, foreign: None
) -> None:
    assert webui.option("sd_vae") == FOREIGN
    page.prepare()
    assert webui.named(page.generate().infotext) == FOREIGN
    tick(page, BUILTIN, NEAR)
    compare_shown(page)
    found = decoded(page)
    reference, builtin, near = names(page, [FOREIGN, BUILTIN, NEAR])
    assert list(found) == [reference, *sorted([builtin, near], key=list(found).index)]
    assert str(of_reference(Wrong.REFERENCE)[0]) in found[reference]
    assert found[builtin] == found[near] == said(Wrong.REFERENCE)


def test_a_vae_of_other_latents_among_others_is_the_one_that_does_not_fit(
    webui: WebUI, page: LivePage, foreign: None
) -> None:
    webui.choose(NEAR)
    page.prepare()
    assert webui.named(page.generate().infotext) == NEAR
    answer = webui.post("/vae-manager/api/compare", {"vaes": [FOREIGN, BUILTIN]})
    words = {one["vae"]: one["words"] for one in answer["results"]}
    assert list(words) == [NEAR, FOREIGN, BUILTIN]
    assert words[FOREIGN] == [said(Wrong.OTHER)]
    assert not {said(wrong) for wrong in Wrong} & {*words[BUILTIN]}
    assert words[NEAR] == []
