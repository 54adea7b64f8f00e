"""The ways by which a VAE comes into the WebUI's model. Each is tried with a file that cannot be used, looks at what
it gets itself, and gives what people are told; None where that cannot be seen."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..live.webui import Picture
from .stage import Stage

CARD = "txt2img_checkpoints_edit_user_metadata_name"
"""The first input of a card's two events: its name; and name, description, notes, VAE."""

OUR_ERRORS = {"RefusedError", "IntegrityError", "BrokenFileError", "NotFoundError", "DiskError"}


def option(stage: Stage, name: str) -> str:
    assert stage.webui.ask("/sdapi/v1/options", {"sd_vae": name}) == (200, None)
    return stage.status()


def override(stage: Stage, name: str) -> str:
    status, answer = stage.try_picture(override_settings={"sd_vae": name})
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    return str(answer["errors"])


def plot(stage: Stage, name: str) -> str:
    """The first and the last cell of the plot say what was refused; the one between them, with a good VAE, is right."""
    axes, rest = _plot_args(stage)
    values = [name, stage.a, name]
    axis = [axes["choices"].index("VAE"), ", ".join(values), values, 0, "", [], 0, "", []]
    chosen = {"Draw legend": False, "Include Sub Images": True}
    args = [*axis, *(chosen.get(one["label"], one["value"]) for one in rest)]
    good = stage.known_picture(override_settings={"sd_vae": stage.a})
    status, answer = stage.try_picture(script_name="X/Y/Z plot", script_args=args)
    assert status == 200, answer
    first, between, last = (Picture.of(base64.b64decode(one)) for one in answer["images"][-3:])
    assert between.looks_like(good)
    assert first.looks_like(last)
    assert first.size == between.size
    assert len(set(first.pixels)) > 2  # there is writing on it
    texts = json.loads(answer["info"])["infotexts"][-3:]
    assert stage.webui.named(texts[1]) == stage.a
    assert texts[0] == texts[2]
    return str(texts[0])


def _plot_args(stage: Stage) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first axis, and what comes after the three of three each: reForge has more than A1111."""
    for script in stage.webui.get("/sdapi/v1/script-info"):
        if script["name"] == "x/y/z plot" and not script["is_img2img"]:
            return script["args"][0], script["args"][9:]
    raise LookupError("this WebUI has no X/Y/Z plot")


def card(stage: Stage, name: str) -> str:
    with stage.carded(stage.first, name):
        stage.webui.fire(CARD, stage.first)
        told = stage.status()
        stage.assert_as_before()
    return told


def switch(stage: Stage, name: str) -> str:
    """The other checkpoint comes up with its own VAE."""
    expected = stage.second_builtin
    with stage.carded(stage.second, name):
        return _switched(stage, expected)


def switch_near_name(stage: Stage, name: str) -> str:
    """Automatic takes the file whose name begins with the checkpoint's."""
    expected = stage.second_builtin
    near = f"{stage.second}-{name}"
    (stage.vaes / name).rename(stage.vaes / near)
    stage.webui.refresh()
    try:
        told = _switched(stage, expected)
    finally:
        (stage.vaes / near).rename(stage.vaes / name)
        stage.webui.refresh()
    return told


def _switched(stage: Stage, expected: Picture) -> str:
    """To the second checkpoint, its picture, and back; what is told meanwhile."""
    stage.webui.set(sd_model_checkpoint=stage.second)
    told = stage.status()
    _is_builtin_of_second(stage.picture(), expected)
    if stage.webui.loads_with_a_picture:
        told = stage.status()
    stage.webui.set(sd_model_checkpoint=stage.first)
    return told


def switch_by_override(stage: Stage, name: str) -> str:
    expected = stage.second_builtin
    with stage.carded(stage.second, name):
        given = stage.picture(override_settings={"sd_model_checkpoint": stage.second})
        told = stage.status()
        _is_builtin_of_second(given, expected)
    return told


def _is_builtin_of_second(picture: Picture, expected: Picture) -> None:
    assert picture.vae is None
    assert picture.vae_hash is None
    assert picture.looks_like(expected)


REFINED: dict[str, Any] = {"steps": 3, "refiner_switch_at": 0.5}
HIRES: dict[str, Any] = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 1, "denoising_strength": 0.7}


def refiner(stage: Stage, name: str) -> str:
    return _in_the_middle(stage, name, refiner_checkpoint=stage.second, **REFINED)


def hires(stage: Stage, name: str) -> str:
    return _in_the_middle(stage, name, hr_checkpoint_name=stage.second, **HIRES)


def _in_the_middle(stage: Stage, name: str, **asked: Any) -> str:
    """The second checkpoint takes over with its own VAE, as if its card had said so."""
    with stage.carded(stage.second, "None"):
        expected = stage.known_picture(**asked)
    with stage.carded(stage.second, name):
        given = stage.picture(**asked)
        told = stage.status()
    assert given.vae is None
    assert given.vae_hash is None
    assert given.looks_like(expected)
    return told


def picker(stage: Stage, name: str) -> str:
    status, answer = stage.webui.fire("vae_manager_txt2img_pick", name, "everywhere", answers=True)
    assert status == 200, answer
    return stage.status() + str(answer["data"][1])


def tab(stage: Stage, name: str) -> str:
    """*This tab only*: refused when it is picked, or else, where only reading tells, with the picture."""
    status, answer = stage.webui.fire("vae_manager_txt2img_pick", name, "tab", answers=True)
    assert status == 200, answer
    outcome, told = answer["data"]
    own = json.loads(outcome)["own"]
    assert bool(own) != bool(told)
    status, answer = stage.try_picture(alwayson_scripts={"VAE": {"args": [name]}})
    if own:
        assert status == 500
        assert answer["error"] in OUR_ERRORS
        return str(answer["errors"])
    assert status == 200
    return html.unescape(told)


@dataclass(frozen=True)
class Way:
    """One way in. `by_card`: the card is what brings the VAE. `in_memory`: how many checkpoints stay there."""

    go: Callable[[Stage, str], str | None]
    by_card: bool = False
    in_memory: int = 1
    switches: bool = False
    """Checkpoints are loaded, which takes long in a real WebUI."""
    needs_file: bool = False
    """A file that has gone is not found by this way."""


WAYS = {
    "option": Way(option),
    "override": Way(override),
    "picker": Way(picker),
    "tab": Way(tab),
    "plot": Way(plot),
    "card": Way(card, by_card=True),
    "switch": Way(switch, by_card=True, switches=True),
    "switch, both in memory": Way(switch, by_card=True, in_memory=2, switches=True),
    "switch by override": Way(switch_by_override, by_card=True, in_memory=2, switches=True),
    "refiner": Way(refiner, by_card=True, switches=True),
    "hires": Way(hires, by_card=True, switches=True),
    "refiner, both in memory": Way(refiner, by_card=True, in_memory=2, switches=True),
    "switch, near name": Way(switch_near_name, by_card=True, switches=True, needs_file=True),
}
