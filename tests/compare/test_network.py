"""A file's network is told by its tensors' names and shapes, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vae_manager.compare.network import SD1, AutoencoderKL, Config
from vae_manager.compare.standalone_vae import config_of

SMALL = Config(ch=32, ch_mult=(1, 2), num_res_blocks=1)
FLUX = replace(SD1, z_channels=16, quant=False)


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in AutoencoderKL(config).state_dict().items()}


@pytest.mark.parametrize("config", [SD1, FLUX, SMALL, replace(SMALL, ch_mult=(1,))])
def test_from_shapes_alone(config: Config) -> None:
    assert config_of(shapes(config)) == config


def test_flux_has_no_quant_convolutions() -> None:
    assert len(shapes(FLUX)) == 244


def test_what_no_such_network_has() -> None:
    known = shapes(SMALL)
    for other in (
        {},
        {**known, "extra": (1,)},
        {name: shape for name, shape in known.items() if name != "decoder.norm_out.bias"},
        {**known, "decoder.conv_out.weight": (3, 7, 3, 3)},
        {**known, "encoder.down.x.block.0": (1,)},
        shapes(Config(ch=16, ch_mult=(1, 2, 3, 3), num_res_blocks=1, groups=4)),
    ):
        assert config_of(other) is None
