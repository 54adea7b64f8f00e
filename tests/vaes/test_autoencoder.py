"""The network is SD 1.x's: names, shapes and numbers of its published VAE files."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the tiny VAEs run on torch")
pytest.importorskip("safetensors", reason="the tiny VAEs are safetensors files")

import torch

from tests.vaes.autoencoder import SD1, TINY, AutoencoderKL, Config

pytestmark = pytest.mark.torch

SHAPES = {
    "encoder.conv_in.weight": (128, 3, 3, 3),
    "encoder.down.0.block.0.norm1.weight": (128,),
    "encoder.down.0.downsample.conv.weight": (128, 128, 3, 3),
    "encoder.down.2.block.0.nin_shortcut.weight": (512, 256, 1, 1),
    "encoder.mid.block_1.conv1.weight": (512, 512, 3, 3),
    "encoder.mid.attn_1.q.weight": (512, 512, 1, 1),
    "encoder.mid.attn_1.proj_out.bias": (512,),
    "encoder.norm_out.weight": (512,),
    "encoder.conv_out.weight": (8, 512, 3, 3),
    "decoder.conv_in.weight": (512, 4, 3, 3),
    "decoder.up.0.block.0.nin_shortcut.weight": (128, 256, 1, 1),
    "decoder.up.1.upsample.conv.weight": (256, 256, 3, 3),
    "decoder.up.3.block.2.conv2.bias": (512,),
    "decoder.conv_out.weight": (3, 128, 3, 3),
    "quant_conv.weight": (8, 8, 1, 1),
    "post_quant_conv.weight": (4, 4, 1, 1),
}


@pytest.fixture(scope="module")
def sd1() -> dict[str, torch.Tensor]:
    with torch.device("meta"):  # shapes without memory
        return AutoencoderKL(SD1).state_dict()


def test_sd1_has_its_tensors_and_parameters(sd1: dict[str, torch.Tensor]) -> None:
    assert len(sd1) == 248
    assert sum(tensor.numel() for tensor in sd1.values()) == 83_653_863


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_sd1_has_the_published_shapes(sd1: dict[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> None:
    assert tuple(sd1[name].shape) == shape


@pytest.mark.parametrize("name", ["encoder.down.3.downsample.conv.weight", "decoder.up.0.upsample.conv.weight"])
def test_the_last_levels_do_not_resample(sd1: dict[str, torch.Tensor], name: str) -> None:
    assert name not in sd1


@torch.no_grad()
def test_a_latent_pixel_stands_for_eight_by_eight() -> None:
    vae = AutoencoderKL(TINY)
    latent = vae.encode(torch.zeros(2, 3, 64, 96))
    assert latent.shape == (2, 4, 8, 12)
    assert vae.decode(latent).shape == (2, 3, 64, 96)


@torch.no_grad()
def test_a_decoded_picture_is_within_bounds() -> None:
    decoded = AutoencoderKL(TINY).decode(torch.full((1, 4, 2, 2), 1e4))
    assert decoded.abs().max() <= 1.0


@torch.no_grad()
def test_a_sample_lies_around_the_mean() -> None:
    posterior = AutoencoderKL(TINY).posterior(torch.zeros(1, 3, 16, 16))
    drawn = [posterior.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(posterior.mode(), posterior.mean)


def test_channels_that_the_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="not multiples of the 32 groups"):
        Config(ch=16)
