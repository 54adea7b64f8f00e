"""The latent test in a running WebUI: it tells its figures, and leaves the model and the setting as they were."""

from __future__ import annotations

import html
import json
import re

import pytest

from vae_manager.maintenance import key_of

from ..live.webui import until
from .stage import FROM_BUILTIN, FROM_FILE, Stage

FIGURES = re.compile(r"probably made for (.+?), which is a guess: .* gives ([0-9.]+) dB, .* gives ([0-9.]+) dB")


def try_out(stage: Stage, name: str) -> tuple[str, float, float]:
    """Family, and the decibels of the file and of the checkpoint's own VAE."""
    action = {"do": "try-file", "file": key_of(stage.vaes / name)}
    status, answer = stage.webui.fire("vae_manager_txt2img_act", json.dumps(action), answers=True)
    assert (status, answer["data"]) == (200, [""])

    def told() -> re.Match[str] | None:
        bar = stage.webui.state(library="")["library"]["regions"]["library-bar"]
        text = html.unescape(re.sub(r"<[^>]*>", "", bar))
        return FIGURES.search(text) if name in text else None

    found = until(told)
    assert found is not None
    stage.webui.fire("vae_manager_txt2img_act", json.dumps({"do": "forget-told"}), answers=True)
    return found[1], float(found[2]), float(found[3])


@pytest.mark.usefixtures("labelled")
@pytest.mark.parametrize("start", [FROM_FILE, FROM_BUILTIN])
def test_to_try_a_file_out_changes_nothing(stage: Stage, start: str) -> None:
    stage.begin(start)
    for name in (stage.b, stage.a):
        _, found, own = try_out(stage, name)
        assert found > 0
        assert own > 0
        stage.assert_as_before()
    stage.webui.choose(stage.b)
    picture = stage.picture()
    assert picture.vae == stage.b
    assert picture.looks_like(stage.picture(override_settings={"sd_vae": stage.b}))
    stage.unknown()
