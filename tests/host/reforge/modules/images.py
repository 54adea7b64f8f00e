"""Imitates reForge's modules/images.py: one parameter more."""

from __future__ import annotations

from PIL import Image

from tests.host.layers import underneath

webui = underneath(globals())


def resize_image(
    resize_mode: int,
    im: Image.Image,
    width: int,
    height: int,
    upscaler_name: str | None = None,
    force_RGBA: bool = False,
) -> Image.Image:
    if force_RGBA:
        raise NotImplementedError("the stand-in resizes without transparency")
    resized: Image.Image = webui.resize_image(resize_mode, im, width, height, upscaler_name)
    return resized
