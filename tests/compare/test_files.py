"""What is saved: infotext, single pictures, the sheet."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from vae_manager.compare import pictures as module
from vae_manager.compare.pictures import Labelled, png, sheet, with_fields, with_vae

PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
BEGIN = "a house, VAE: none\nNegative prompt: fog\nSteps: 20, Sampler: Euler, Size: 64x48, Model hash: aa, Model: demo"
END = 'Denoising strength: 0.5, Hires prompt: "VAE: x, y", Tiling: True, Version: v1.10.1'


@pytest.mark.parametrize(
    "before", ["", "VAE hash: 1234567890, VAE: old.safetensors, ", "VAE: old.safetensors, ", 'VAE: "a, b.pt", ']
)
@pytest.mark.parametrize(
    ("name", "short_hash", "told"),
    [
        ("new.safetensors", "0123456789", "VAE hash: 0123456789, VAE: new.safetensors, "),
        ("new.safetensors", None, "VAE: new.safetensors, "),
        ("a, b.pt", None, 'VAE: "a, b.pt", '),
        (None, None, ""),
    ],
)
def test_infotext_names_the_vae_that_decoded(before: str, name: str | None, short_hash: str | None, told: str) -> None:
    assert with_vae(f"{BEGIN}, {before}{END}", name, short_hash) == f"{BEGIN}, {told}{END}"


def test_what_taesd_had_decoded_is_not_called_so_any_more() -> None:
    assert with_vae(f"{BEGIN}, VAE Decoder: TAESD, {END}", "x.pt", None) == f"{BEGIN}, VAE: x.pt, {END}"


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("Hires VAE: a.pt, Base VAE: None", "b.pt", "Hires VAE: b.pt, Base VAE: None"),
        ("Hires VAE: a.pt, Refiner VAE: c.pt", "b.pt", "Hires VAE: a.pt, Refiner VAE: b.pt"),
        ("Refiner VAE: c.pt", None, "Refiner VAE: None"),
    ],
)
def test_the_decoder_is_that_of_the_last_pass(before: str, name: str | None, after: str) -> None:
    told = f"VAE: {name}, " if name is not None else ""
    assert with_vae(f"{BEGIN}, VAE: a.pt, {before}, {END}", name, None) == f"{BEGIN}, {told}{after}, {END}"


def test_fields_go_before_the_version() -> None:
    text = "a tree\nSteps: 1, Base VAE: old, Version: v1.10.1"
    assert with_fields(text, {"Base VAE": "a, b"}) == 'a tree\nSteps: 1, Base VAE: "a, b", Version: v1.10.1'
    assert with_fields("Steps: 1", {"Base VAE": "a"}) == "Steps: 1, Base VAE: a"
    assert with_fields("a tree", {"Base VAE": "a"}) == "a tree"


@pytest.mark.parametrize("text", ["", "no infotext", "a, b\nc: d"])
def test_what_is_no_infotext_stays(text: str) -> None:
    assert with_vae(text, "x.pt", None) == text


def test_a_picture_is_written_as_it_is() -> None:
    with Image.open(io.BytesIO(png(PICTURE, "Steps: 1"))) as image:
        assert (image.format, image.info["parameters"]) == ("PNG", "Steps: 1")
        assert np.array_equal(np.asarray(image), PICTURE)
    grey = png(PICTURE[..., 0])
    with Image.open(io.BytesIO(grey)) as image:
        assert (image.mode, "parameters" in image.info) == ("L", False)


def test_the_sheet_holds_each_picture_pixel_by_pixel() -> None:
    labelled = [
        Labelled("vae-a", PICTURE, ["SSIM 0.98, PSNR 33.1 dB", "brighter, more saturated, same detail, and much more"]),
        Labelled("vae-b", PICTURE[::-1].copy(), ["亮一些"]),
        Labelled("bad", None, ["bad: no numbers"]),
    ]
    with Image.open(io.BytesIO(sheet("a house", labelled, infotext="Steps: 1"))) as image:
        pixels = np.asarray(image)
        assert image.info["parameters"] == "Steps: 1"
    corners = np.argwhere((pixels[:-48, :-64] == PICTURE[0, 0]).all(axis=-1))
    [(top, left)] = [at for at in corners if np.array_equal(pixels[at[0] : at[0] + 48, at[1] : at[1] + 64], PICTURE)]
    below = pixels[top + 48 :, left : left + 64]
    assert (below < 100).any(), "nothing is written below it"


def test_where_no_font_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FONTS", ())
    assert type(module.letters_of(13, "nowhere.ttf")) is ImageFont.ImageFont
    assert sheet("亮", [Labelled("亮", PICTURE, ["亮一些 and so on"])])
