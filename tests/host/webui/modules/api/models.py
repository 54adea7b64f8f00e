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


class GenerationRequest(BaseModel, extra=Extra.forbid):
    """What both have. The WebUI's are made from the fields of StableDiffusionProcessingTxt2Img and …Img2Img."""

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
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    script_name: str | None = None
    script_args: list[Any] = []
    alwayson_scripts: dict[str, Any] = {}
    send_images: bool = True
    save_images: bool = False
    force_task_id: str | None = None
    infotext: str | None = None


class Txt2ImgRequest(GenerationRequest):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""


class Img2ImgRequest(GenerationRequest):
    init_images: list[str] | None = None
    denoising_strength: float = 0.75
    mask: str | None = None
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
