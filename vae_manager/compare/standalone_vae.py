"""A file's VAE as a model of its own, without a WebUI. Needs torch."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import RefusedError
from ..files.architecture import Shapes, architecture_of, shapes_of
from ..messages import msg
from ..swap import read_vae
from .comparison_store import Model
from .network import AutoencoderKL, Config

__all__ = ["config_of", "model_of"]


def model_of(path: Path, device: torch.device, *, carried: bool = False) -> Model:
    """Return the VAE of `path`, a file of any known layout, in 32 bits on `device`.

    With `carried`, the file may be a checkpoint, whose own VAE it is then.
    Raises RefusedError if it is no VAE with a known network, IntegrityError, NotFoundError and DiskError.
    """
    tensors = read_vae(path, carried=carried)
    config = config_of({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    if config is None:
        raise RefusedError(msg("{file} holds no VAE whose network is known here.", file=path.name))
    vae = AutoencoderKL(config)
    vae.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    vae.eval().requires_grad_(False).to(device)
    return Model(vae, vae.decode_raw, vae.encode, device, factor=config.factor)


def config_of(shapes: Shapes) -> Config | None:
    """Return the network with tensors of exactly these names and shapes; None if this kind has no such network.

    Shapes do not show the number of groups: it is ldm's 32.
    """
    found = architecture_of(shapes)
    if found is None or dict(shapes_of(found)) != {name: tuple(shape) for name, shape in shapes.items()}:
        return None
    first = found.widths[0]
    config_fits = (
        found.widths == found.decoder_widths
        and found.decoder_blocks == found.blocks + 1
        and not found.normalised_channels
        and all(width % first == 0 for width in found.widths)
    )
    try:
        return (
            Config(
                ch=first,
                ch_mult=tuple(width // first for width in found.widths),
                num_res_blocks=found.blocks,
                z_channels=found.latent_channels,
                in_channels=found.image_channels,
                out_ch=found.output_channels,
                quant=found.has_quant_conv,
            )
            if config_fits
            else None
        )
    except ValueError:  # channels that cannot be normalised in groups
        return None
