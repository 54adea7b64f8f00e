"""What tests ask of a stand-in: pictures, the VAE it has to use, events of its page."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors.torch import load_file, save_file

from tests.host.fixtures import WebUI
from tests.vaes import BASE

GOOD, OTHER, BAD = "good.safetensors", "other.safetensors", "bad.safetensors"


def write_vaes(folder: Path) -> None:
    """Two that load and differ, and one that lacks a tensor. `OTHER` is the older file."""
    folder.mkdir(parents=True, exist_ok=True)
    base = load_file(BASE)
    for name, factor in ((OTHER, 0.8), (GOOD, 1.2), (BAD, 0.5)):
        tensors = {key: value * factor if key.startswith("decoder.conv_out") else value for key, value in base.items()}
        if name == BAD:
            del tensors["decoder.norm_out.weight"]
        save_file(tensors, folder / name)
    os.utime(folder / OTHER, (1_000_000_000, 1_000_000_000))


_FIELD = re.compile(r'([^:,]+): ("[^"]*"|[^,]*)(?:, |$)')


class Picture:
    """One generation of always the same prompt and seed."""

    def __init__(self, webui: WebUI, **fields: Any) -> None:
        body = {"prompt": "a house", "seed": 1, "steps": 2, "width": 64, "height": 64, **fields}
        tab = "img2img" if "init_images" in fields else "txt2img"
        self.status, answer = webui.call(f"/sdapi/v1/{tab}", body)
        self.answer = answer
        if self.status == 200:
            self.png = base64.b64decode(answer["images"][0])
            self.image = Image.open(io.BytesIO(self.png))
            self.pixels = hashlib.sha256(self.image.tobytes()).hexdigest()
            self.infotext: str = json.loads(answer["info"])["infotexts"][0]
            line = self.infotext.splitlines()[-1]
            self.fields: dict[str, str] = dict(_FIELD.findall(line))


def choose(webui: WebUI, name: str) -> None:
    assert webui.call("/sdapi/v1/options", {"sd_vae": name}) == (200, None)


def fire(webui: WebUI, first_input: str, *data: Any, answers: bool = False) -> tuple[int, Any]:
    """A gradio event without a browser: the one with that many inputs, the first of this element id.

    `answers`: whether it has outputs. Gradio 3.41 names no event by itself, so `/config` tells which one it is.
    """
    config = webui.call("/config")[1]
    component = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == first_input)
    (number,) = (
        number
        for number, event in enumerate(config["dependencies"])
        if event["inputs"][:1] == [component] and len(event["inputs"]) == len(data)
        if bool(event["outputs"]) == answers and event["backend_fn"]
    )
    return webui.call("/run/predict", {"fn_index": number, "data": list(data), "session_hash": "tests"})


CARD = "txt2img_checkpoints_edit_user_metadata_name"
"""The first input of a checkpoint card's two events: name; and name, description, notes, VAE."""
