"""Imitates modules/api/models.py. Unlike the WebUI, which ignores a field that it does not know, this refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Extra


class ScriptArg(BaseModel):
    label: str | None = None
    value: Any = None
    minimum: Any = None
    maximum: Any = None
    step: Any = None
    choices: list[Any] | None = None


class ScriptInfo(BaseModel):
    name: str | None = None
    is_alwayson: bool | None = None
    is_img2img: bool | None = None
    args: list[ScriptArg]


class Txt2ImgRequest(BaseModel, extra=Extra.forbid):
    """The WebUI's is made from the fields of StableDiffusionProcessingTxt2Img."""

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    tiling: bool | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    script_name: str | None = None
    script_args: list[Any] = []
    alwayson_scripts: dict[str, Any] = {}
    send_images: bool = True
    save_images: bool = False
    force_task_id: str | None = None


class Img2ImgRequest(Txt2ImgRequest):
    init_images: list[str] | None = None
    denoising_strength: float = 0.75
    include_init_images: bool = False


class GenerationResponse(BaseModel):
    images: list[str] | None
    parameters: dict[str, Any]
    info: str


def describe_control(control: Any) -> ScriptArg:
    """A component as the API lists it."""
    known = {name: getattr(control, name, None) for name in ("value", "minimum", "maximum", "step")}
    choices = getattr(control, "choices", None)
    names = None if choices is None else [one[0] if isinstance(one, tuple) else one for one in choices]
    shown = {name: str(value) if isinstance(value, Path) else value for name, value in known.items()}
    return ScriptArg(label=control.label or "", choices=names, **shown)
