"""The figure of a picture before and after some VAEs, by files of anybody's own too."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("skimage")

import torch
from PIL import Image
from safetensors.torch import save_file

from bench import before_after
from bench import portrait as portrait_module
from bench.portrait import DETAIL_SIDE, DETAILS, SIDE, portrait
from tests.vaes import BASE
from vae_manager.catalogue import load as load_catalogue
from vae_manager.compare.network import AutoencoderKL, Config

pytestmark = pytest.mark.torch


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is quick to decode."""
    picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    monkeypatch.setattr(before_after, "portrait", lambda: picture)


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / "mine.safetensors"
    save_file(AutoencoderKL(Config(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1)).state_dict(), path)
    return path


def test_the_picture_is_the_same_each_time_and_has_all_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait_module, "FINE", 1)  # drawn coarsely, so quickly
    picture = portrait()
    assert picture.size == (SIDE, SIDE)
    assert picture.tobytes() == portrait().tobytes()
    assert all(max(detail.left, detail.top) + DETAIL_SIDE <= SIDE for detail in DETAILS)


def test_a_file_of_ones_own_has_a_column_beside_the_tiny_one(small: None, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    before_after.main([str(vae), str(BASE), "--out", str(out)])
    with Image.open(out) as figure:
        assert figure.width == 3 * before_after.WIDE + 2 * before_after.GAP
        assert figure.getpixel((before_after.WIDE + 1, 100))[3] == 0
        first, second = (
            figure.crop((left, 0, left + before_after.WIDE, before_after.WIDE))
            for left in (0, before_after.WIDE + before_after.GAP)
        )
        assert first.tobytes() != second.tobytes()


def test_what_is_no_vae_makes_no_figure(small: None, tmp_path: Path) -> None:
    other, out = tmp_path / "lora.safetensors", tmp_path / "figure.png"
    save_file({"lora_up.weight": torch.ones(4, 4)}, other)
    with pytest.raises(SystemExit) as ended:
        before_after.main([str(other), "--out", str(out)])
    assert str(other) in str(ended.value)
    assert not out.exists()


def test_published_bytes_have_the_name_of_the_catalogue(vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert before_after.title_of(vae).startswith("mine")
    entry = load_catalogue().entries[0]
    monkeypatch.setattr(before_after, "sha256_of", lambda path: entry.sha256)
    assert before_after.title_of(vae) == entry.name
