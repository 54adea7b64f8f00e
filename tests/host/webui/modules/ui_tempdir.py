"""Imitates modules/ui_tempdir.py: a picture of the page is the saved file, or a temporary one with its infotext."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, PngImagePlugin

from modules import shared
from tests.host import gradios


def register_tmp_file(gradio: Any, filename: str) -> None:
    """Allows the page to fetch the file."""
    gradio.temp_file_sets[0] |= {str(Path(filename).absolute())}


def check_tmp_file(gradio: Any, filename: str) -> bool:
    return any(filename in files for files in gradio.temp_file_sets)


def save_pil_to_cache(pil_image: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    """gradio 4 asks for a file here, and then serves a copy of it. Forge spares the copy."""
    saved = getattr(pil_image, "already_saved_as", None)
    return saved if saved and Path(saved).is_file() else save_pil_to_file(None, pil_image, cache_dir)


def save_pil_to_file(self: Any, pil_image: Image.Image, dir: str | None = None, format: str = "png") -> str:
    saved = getattr(pil_image, "already_saved_as", None)
    if saved and Path(saved).is_file():
        address = f"{saved}?{Path(saved).stat().st_mtime}"
        for name in (saved, address):
            register_tmp_file(shared.demo, name)
        return address
    folder = shared.opts.temp_dir or dir
    Path(folder).mkdir(parents=True, exist_ok=True)
    metadata = PngImagePlugin.PngInfo()
    for key, value in pil_image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            metadata.add_text(key, value)
    with tempfile.NamedTemporaryFile(delete=False, suffix=".png", dir=folder) as file:
        pil_image.save(file, pnginfo=metadata)
        return file.name


def install_ui_tempdir_override() -> None:
    if gradios.IS_4:
        gr.processing_utils.save_pil_to_cache = save_pil_to_cache
    else:
        gr.components.IOComponent.pil_to_temp_file = save_pil_to_file
