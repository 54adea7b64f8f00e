"""A picture before and after some VAEs: what each makes of a face, small letters, hair and cloth, in one figure.

    python tasks.py prove before_after [VAE …] [--out FILE]

Each VAE encodes `bench.portrait` and decodes it again, in 32 bits. Columns: the picture, then each VAE. Rows: the
whole, four details twice as large, and the differences from the picture (`compare.metrics.difference_map`).

Without a VAE the figure is docs/before-after.png, by two tiny VAEs of the tests (tests/vaes). They are true ones, which
this project has trained, with a hundredth of the weights of Stable Diffusion's. With files of your own it is
before-after.png in this folder. A file is named as the catalogue names these bytes, else by its own name and the first
digits of its SHA-256. The same figure by ft-EMA, ft-MSE and the original, for those who have 1 GB to download:

    python -m vae_manager get ft-ema --dir vaes
    python -m vae_manager get ft-mse --dir vaes
    python -m vae_manager get --dir vaes \\
        hub:stable-diffusion-v1-5/stable-diffusion-v1-5/vae/diffusion_pytorch_model.safetensors
    python tasks.py prove before_after vaes/*.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from bench.portrait import DETAIL_SIDE, DETAILS, letters, portrait
from tests.vaes import BASE, TUNED
from tests.vaes.autoencoder import load as load_tiny
from vae_manager.catalogue import load as load_catalogue
from vae_manager.compare import Candidate, Encoder, Model
from vae_manager.compare.comparison import decode_all
from vae_manager.compare.metrics import difference_map, psnr
from vae_manager.compare.standalone_vae import model_of
from vae_manager.errors import VaeManagerError
from vae_manager.files import sha256_of

FIGURE = Path(__file__).parents[1] / "docs" / "before-after.png"
TINY = {BASE: "tiny-base, trained by this project", TUNED: "tiny-tuned, trained by this project"}
LARGER = 2
"""Pixels of the figure along one side of a pixel of a detail."""
THIN, GAP = 4, 10
"""Between two details, and between columns and rows."""
WIDE = 2 * LARGER * DETAIL_SIDE + THIN
"""Pixels of a column."""
TYPE = 13
STEP, COARSE = 4, 16
"""Levels to which the figure's pictures and maps are rounded: that is not seen, and halves the file."""
LEGEND = (
    "Above: a picture that is drawn by code,",
    "512 pixels a side, and what each VAE",
    "gives back: encoded, then decoded.",
    "",
    "Middle: details, two times as large.",
    "",
    "Right: where it differs from the picture.",
    "Black is equal, white is the number of",
    "levels of 255 that is written there.",
)


class Column(NamedTuple):
    """One of the pictures in the figure."""

    title: str
    pixels: Any
    """uint8, [height, width, 3]."""
    psnr: float | None
    """In decibels; None for the original."""


def decoded_by(path: Path, original: Any) -> Any:
    """Return what the VAE of the file makes of the picture. Raises a VaeManagerError if it makes none."""
    device = torch.device("cuda" if torch.cuda.is_available() and path not in TINY else "cpu")
    if path in TINY:
        vae = load_tiny(path)
        model = Model(vae, vae.decode_raw, vae.encode, device, factor=vae.config.factor)
    else:
        model = model_of(path, device)
    [made] = decode_all(model, Encoder(original, each=False), [Candidate(path.name, lambda: None)])
    if made.pixels is None:
        assert made.error is not None
        raise VaeManagerError(made.error)
    return made.pixels


def title_of(path: Path) -> str:
    """Return the name in the catalogue of exactly these bytes, else the file's own with its hash."""
    if path in TINY:
        return TINY[path]
    sha256 = sha256_of(path)
    known = next((entry.name for entry in load_catalogue().entries if entry.sha256 == sha256), None)
    return known if known is not None else f"{path.stem}, SHA-256 {sha256[:10]}"


# -- the figure ------------------------------------------------------------------------------------------------------
def figure(columns: Sequence[Column]) -> Image.Image:
    """Return the columns side by side, on a transparent ground: the page's own colour shows between them."""
    original = columns[0].pixels
    paper = Image.new("RGBA", (len(columns) * (WIDE + GAP) - GAP, 3 * (WIDE + GAP) - GAP))
    for number, column in enumerate(columns):
        left = number * (WIDE + GAP)
        picture = Image.fromarray(column.pixels)
        paper.paste(fitted(picture, STEP), (left, 0))
        paper.paste(details(Image.fromarray(rounded(column.pixels, STEP))), (left, WIDE + GAP))
        label(paper, (left, 0), column.title)
        if column.psnr is None:
            paper.paste(legend(), (left, 2 * (WIDE + GAP)))
            continue
        found = difference_map(original, column.pixels)
        paper.paste(fitted(Image.fromarray(found.pixels), COARSE), (left, 2 * (WIDE + GAP)))
        label(paper, (left, 2 * (WIDE + GAP)), f"PSNR {column.psnr:.1f} dB, white: {found.white} levels")
    return paper


def fitted(picture: Image.Image, step: int) -> Image.Image:
    """Return a picture as large as a column is wide, in steps of some levels."""
    return Image.fromarray(rounded(np.asarray(picture.resize((WIDE, WIDE), Image.LANCZOS)), step))


def details(picture: Image.Image) -> Image.Image:
    """Return all details in a square, with hard pixels."""
    square = Image.new("RGBA", (WIDE, WIDE))
    side = LARGER * DETAIL_SIDE
    for number, detail in enumerate(DETAILS):
        box = detail.left, detail.top, detail.left + DETAIL_SIDE, detail.top + DETAIL_SIDE
        place = (number % 2) * (side + THIN), (number // 2) * (side + THIN)
        square.paste(picture.crop(box).resize((side, side), Image.NEAREST), place)
    return square


def label(paper: Image.Image, corner: tuple[int, int], text: str) -> None:
    """Write on a dark strip at the upper left corner of a picture."""
    font = letters(TYPE)
    strip = Image.new("RGBA", (min(WIDE, round(font.getlength(text)) + 12), TYPE + 9), (16, 16, 16, 255))
    ImageDraw.Draw(strip).text((6, 3), text, (255, 255, 255), font)
    paper.paste(strip, corner)


def legend() -> Image.Image:
    """Return what the figure shows, in words."""
    card, height = Image.new("RGBA", (WIDE, WIDE), (32, 32, 36, 255)), round(1.6 * TYPE)
    top = (WIDE - len(LEGEND) * height) // 2
    for number, line in enumerate(LEGEND):
        ImageDraw.Draw(card).text((14, top + number * height), line, (235, 235, 235), letters(TYPE))
    return card


def rounded(pixels: Any, step: int) -> Any:
    """Return the pixels with each level rounded to a multiple of `step`."""
    return (np.round(pixels / step) * step).clip(0, 255).astype(np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove before_after")
    options.add_argument("vaes", nargs="*", type=Path, metavar="VAE", help="VAE files; without any, two tiny ones")
    options.add_argument("--out", type=Path, metavar="FILE", help="the PNG")
    chosen = options.parse_args(arguments)
    out = chosen.out or (Path("before-after.png") if chosen.vaes else FIGURE)
    original = np.asarray(portrait())
    columns = [Column("the original", original, None)]
    for path in chosen.vaes or TINY:
        try:
            pixels = decoded_by(path, original)
            columns.append(Column(title_of(path), pixels, psnr(original, pixels)))
        except VaeManagerError as error:
            sys.exit(f"{path}: {error}")
        print(f"{columns[-1].title}: PSNR {columns[-1].psnr:.2f} dB")
    figure(columns).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
