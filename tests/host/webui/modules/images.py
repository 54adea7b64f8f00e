"""Imitates modules/images.py: saves a picture with its infotext in the PNG's `parameters`, and reads it back."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from modules import script_callbacks, shared


def image_grid(imgs: list[Image.Image], batch_size: int = 1, rows: int | None = None) -> Image.Image:
    """As square as can be, unless the rows are given; every cell has the size of the largest."""
    rows = min(len(imgs), round(math.sqrt(len(imgs))) if rows is None else rows)
    columns = math.ceil(len(imgs) / rows)
    width, height = max(image.width for image in imgs), max(image.height for image in imgs)
    grid = Image.new("RGB", (columns * width, rows * height), "white")
    for place, image in enumerate(imgs):
        row, column = divmod(place, columns)
        left, top = (width - image.width) // 2, (height - image.height) // 2
        grid.paste(image, (column * width + left, row * height + top))
    return grid


def resize_image(
    resize_mode: int, im: Image.Image, width: int, height: int, upscaler_name: str | None = None
) -> Image.Image:
    """With an upscaler where it has to grow; one that is not known is replaced by the first, with a line."""
    if resize_mode != 0:
        raise NotImplementedError("the stand-in just resizes")
    upscaler_name = upscaler_name or shared.opts.upscaler_for_img2img
    scale = max(width / im.width, height / im.height)
    if upscaler_name not in (None, "None") and im.mode != "L" and scale > 1.0:
        found = next((one for one in shared.sd_upscalers if one.name == upscaler_name), shared.sd_upscalers[0])
        if found.name != upscaler_name:
            print(f"could not find upscaler named {upscaler_name}, using {found.name} as a fallback")
        im = found.scaler.upscale(im, scale, found.data_path)
    return im if im.size == (width, height) else im.resize((width, height), Image.Resampling.LANCZOS)


def save_image_with_geninfo(
    image: Image.Image,
    geninfo: str | None,
    filename: str,
    extension: str | None = None,
    existing_pnginfo: dict[str, Any] | None = None,
    pnginfo_section_name: str = "parameters",
) -> None:
    """PNG only."""
    if (extension or Path(filename).suffix) != ".png":
        raise NotImplementedError("the stand-in saves PNG only")
    texts = dict(existing_pnginfo or {})
    data = PngImagePlugin.PngInfo()
    if shared.opts.enable_pnginfo:
        texts[pnginfo_section_name] = geninfo
        for key, value in texts.items():
            data.add_text(key, str(value))
    image.save(filename, format="PNG", pnginfo=data)


def save_image(
    image: Image.Image,
    path: str,
    basename: str,
    seed: int | None = None,
    prompt: str | None = None,
    extension: str = "png",
    info: str | None = None,
    short_filename: bool = False,
    no_prompt: bool = False,
    grid: bool = False,
    pnginfo_section_name: str = "parameters",
    p: Any = None,
    existing_info: dict[str, Any] | None = None,
    forced_filename: str | None = None,
    suffix: str = "",
    save_to_dirs: bool | None = None,
) -> tuple[str, None]:
    """Into a folder of the day, numbered; gives the path and, as there is no text file, None."""
    folder = Path(path, str(datetime.date.today()))
    folder.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in folder.glob(f"*.{extension}"))
    file = folder / f"{forced_filename or f'{number:05}-{seed}'}{suffix}.{extension}"
    texts = dict(existing_info or {})
    if info is not None:
        texts[pnginfo_section_name] = info
    params = script_callbacks.ImageSaveParams(image, p, str(file), texts)
    script_callbacks.before_image_saved_callback(params)
    geninfo = params.pnginfo.get(pnginfo_section_name)
    unfinished = Path(params.filename).with_suffix(".tmp")
    save_image_with_geninfo(
        params.image, geninfo, str(unfinished), Path(params.filename).suffix, params.pnginfo, pnginfo_section_name
    )
    unfinished.replace(params.filename)
    image.already_saved_as = params.filename
    script_callbacks.image_saved_callback(params)
    return params.filename, None


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict[str, Any]]:
    """The infotext, and the other texts."""
    items = dict(image.info or {})
    return items.pop("parameters", None), items
