"""Imitates modules/img2img.py, for one picture without a mask."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

import modules.scripts
from modules import processing, shared, txt2img
from modules.infotext_utils import create_override_settings_dict


def img2img(
    id_task: str,
    request: gr.Request,
    prompt: str,
    negative_prompt: str,
    init_img: Image.Image,
    n_iter: int,
    batch_size: int,
    cfg_scale: float,
    denoising_strength: float,
    height: int,
    width: int,
    override_settings_texts: list[str],
    *args: Any,
) -> tuple[Any, ...]:
    p = processing.StableDiffusionProcessingImg2Img(
        sd_model=shared.sd_model,
        outpath_samples=shared.opts.outdir_samples or shared.opts.outdir_img2img_samples,
        prompt=prompt,
        negative_prompt=negative_prompt,
        batch_size=batch_size,
        n_iter=n_iter,
        cfg_scale=cfg_scale,
        width=width,
        height=height,
        init_images=[init_img],
        denoising_strength=denoising_strength,
        override_settings=create_override_settings_dict(override_settings_texts),
    )
    return txt2img.run(p, modules.scripts.scripts_img2img, request, args)
