"""Imitates modules/txt2img.py: from the page's inputs to pictures and their infotext."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gradio as gr

import modules.scripts
from modules import processing, shared
from modules.infotext_utils import create_override_settings_dict
from modules.ui_common import plaintext_to_html


def txt2img(
    id_task: str,
    request: gr.Request,
    prompt: str,
    negative_prompt: str,
    n_iter: int,
    batch_size: int,
    cfg_scale: float,
    height: int,
    width: int,
    override_settings_texts: list[str],
    *args: Any,
) -> tuple[Any, ...]:
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=shared.sd_model,
        outpath_samples=shared.opts.outdir_samples or shared.opts.outdir_txt2img_samples,
        prompt=prompt,
        negative_prompt=negative_prompt,
        batch_size=batch_size,
        n_iter=n_iter,
        cfg_scale=cfg_scale,
        width=width,
        height=height,
        override_settings=create_override_settings_dict(override_settings_texts),
    )
    return run(p, modules.scripts.scripts_txt2img, request, args)


def run(p: processing.StableDiffusionProcessing, runner: Any, request: gr.Request, args: tuple[Any, ...]) -> Any:
    """Gallery, generation info, infotext, comments."""
    p.scripts = runner
    p.script_args = args
    p.user = request.username
    with closing(p):
        processed = runner.run(p, *args)
        if processed is None:
            processed = processing.process_images(p)
    shown = [] if shared.opts.do_not_show_images else processed.images
    comments = plaintext_to_html(processed.comments, classname="comments")
    return shown, processed.js(), plaintext_to_html(processed.info), comments
