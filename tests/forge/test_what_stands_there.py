"""Files of the row "VAE / Text Encoder" that do nothing are named, with the reason."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.wording import says, worded

from ..guards.stage import FROM_BUILTIN, Stage
from ..live.forge import MODULES
from ..vaes import TUNED
from .conftest import standing_in

LORA, EMBEDDING, COMPILED, ENCODER = "style.safetensors", "emb.safetensors", "compiled.safetensors", "clip.safetensors"
KINDS = {LORA: "lora-ignored", EMBEDDING: "embedding-ignored", ENCODER: "text-encoder"}
"""The code of the message about each."""


def write_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    save_file({"lora_unet_mid_block_attentions_0.lora_down.weight": torch.ones(4, 4)}, folder / LORA)
    save_file({"emb_params": torch.ones(2, 768)}, folder / EMBEDDING)
    save_file({f"_orig_mod.{name}": tensor for name, tensor in load_file(TUNED).items()}, folder / COMPILED)
    save_file({"text_model.encoder.layers.0.layer_norm1.bias": torch.ones(768)}, folder / ENCODER)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One whose config holds them already at the start."""
    data = tmp_path_factory.mktemp("standing")
    folder = data / "models" / "VAE"
    write_files(folder)
    listed = [str(folder / name) for name in (LORA, EMBEDDING, ENCODER)]
    (data / "config.json").write_text(json.dumps({MODULES: listed}), encoding="utf-8")
    with standing_in(data) as stage:
        yield stage


def not_used(file: str) -> str:
    return worded("not-used", file=file)


def title(stage: Stage) -> str:
    text: str = stage.webui.state()["titles"]["txt2img"]
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_stands_there_at_the_start_is_named(standing: Stage) -> None:
    assert f"! {not_used(LORA)}" in title(standing)
    standing.picture()
    for _ in range(2):  # the next picture erases nothing
        status = standing.status()
        assert says(status, KINDS[LORA], file=LORA)
        assert says(status, KINDS[EMBEDDING], file=EMBEDDING)
        assert ENCODER not in status
        assert f"! {not_used(LORA)} · ! {not_used(EMBEDDING)}" in title(standing)
        standing.picture()
    standing.webui.set(**{MODULES: [ENCODER]})
    assert not says(title(standing), "not-used")
    standing.unknown()


@pytest.mark.parametrize("name", [LORA, EMBEDDING])
def test_what_is_picked_in_vain_is_marked(standing: Stage, name: str) -> None:
    standing.begin(FROM_BUILTIN)
    before = standing.webui.state()["sync"]
    assert standing.webui.ask("/sdapi/v1/options", {MODULES: [name]}) == (200, None)
    standing.picture()
    assert f"✗ {name} was refused" in title(standing)
    assert says(standing.status(), KINDS[name], file=name)
    assert standing.webui.state()["sync"] != before, "Forge's own row has to be put right"
    standing.webui.set(**{MODULES: [standing.b]})
    assert "✗" not in title(standing)
    standing.unknown()


def test_a_compiled_vae_is_used(standing: Stage) -> None:
    """Its tensors carry a prefix, and Forge's own loader would leave out each of them."""
    standing.webui.set(**{MODULES: [COMPILED]})
    assert standing.picture().vae == COMPILED
    assert title(standing).startswith(f"VAE — {Path(COMPILED).stem} · ")


@pytest.mark.parametrize("name", [LORA, EMBEDDING, ENCODER])
def test_a_file_that_is_there_is_refused_for_what_it_is(standing: Stage, name: str) -> None:
    """A file of the folder is never said to be in none of them."""
    status, answer = standing.webui.fire("vae_manager_txt2img_pick", name, "everywhere", answers=True)
    assert status == 200
    text = html.unescape(" ".join(re.sub("<[^>]+>", " ", part) for part in answer["data"] if isinstance(part, str)))
    assert name in text + standing.status()
    assert not says(text + standing.status(), "not-listed")
    assert says(text + standing.status(), KINDS[name], file=name)
    standing.webui.set(**{MODULES: []})
    standing.unknown()
