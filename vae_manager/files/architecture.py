"""Architecture of an autoencoder: the tensors' names and shapes, and the prefixes of names.

The network of a VAE, an AutoencoderKL of latent-diffusion in any width and depth, is derived from its tensors.
`shapes_of` lists each tensor of such a network, so that an incomplete file is detected without a loaded model.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["MAX_PREFIXES", "UNET", "Architecture", "Shapes", "architecture_of", "prefixes_of", "shapes_of"]


UNET: Final = "model.diffusion_model."
_PREFIXES: Final = ("first_stage_model.", "vae.", "model.", "module.", "autoencoder.")
"""Prefixes that VAEs are published with: the first two in whole checkpoints."""
MAX_PREFIXES: Final = 16
"""Prefixes of one file that are tried; a merge of several VAEs has a few."""
_FIRST_TENSORS: Final = ("decoder.conv_in.weight", "encoder.conv_in.weight")

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes by the WebUI's names."""

MAX_LEVELS: Final = 8
MAX_BLOCKS: Final = 16
MAX_CHANNELS: Final = 1 << 16

_BLOCK: Final = re.compile(r"(encoder\.down|decoder\.up)\.([0-9]{1,2})\.block\.([0-9]{1,2})\.conv1\.weight")

_Tensors = Iterator[tuple[str, tuple[int, ...]]]


def prefixes_of(tensors: Mapping[str, object]) -> Iterator[str]:
    """Yield the possible prefixes of a VAE's names: the empty one, the published ones, then those in the names.

    The last are those that wrappers of training code add (`_orig_mod.`, `params_ema.`), the shortest first.
    """
    yield ""
    yield from _PREFIXES
    others = {
        name[: -len(first)]
        for name in tensors
        for first in _FIRST_TENSORS
        if name.endswith(f".{first}") and name[: -len(first)] not in _PREFIXES
    }
    yield from sorted(others, key=lambda prefix: (len(prefix), prefix))[:MAX_PREFIXES]


@dataclass(frozen=True)
class Architecture:
    """Size of an AutoencoderKL; the defaults are those of SD 1.x, 2.x and SDXL."""

    latent_channels: int = 4
    widths: tuple[int, ...] = (128, 256, 512, 512)
    """Channels of each level of the encoder, full resolution first. Each further level halves the resolution."""
    decoder_widths: tuple[int, ...] = (128, 256, 512, 512)
    blocks: int = 2
    """Residual blocks of each level of the encoder."""
    decoder_blocks: int = 3
    has_quant_conv: bool = True
    """`quant_conv` and `post_quant_conv`, which SD3's and FLUX.1's VAEs lack."""
    normalised_channels: int = 0
    """Channels of the running statistics (`bn`) that FLUX.2's has: four pixels of a latent each."""
    image_channels: int = 3
    output_channels: int = 3

    @property
    def factor(self) -> int:
        """Pixels along one side for one number of a latent."""
        return 1 << (len(self.decoder_widths) - 1)


def architecture_of(shapes: Shapes) -> Architecture | None:
    """Return the network that tensors of these names and shapes belong to; None if it cannot be derived.

    Some tensors may be missing or have other shapes than the network's: compare `shapes` with `shapes_of`.
    """
    widths, blocks = _levels(shapes, "encoder.down")
    decoder_widths, decoder_blocks = _levels(shapes, "decoder.up")
    first = shapes.get("decoder.conv_in.weight")
    if not decoder_widths or first is None or len(first) != 4:
        return None
    found = Architecture(
        latent_channels=first[1],
        widths=widths or decoder_widths,
        decoder_widths=decoder_widths,
        blocks=blocks or max(decoder_blocks - 1, 1),
        decoder_blocks=decoder_blocks,
        has_quant_conv=any(name.startswith(("quant_conv.", "post_quant_conv.")) for name in shapes),
        normalised_channels=(shapes.get("bn.running_mean") or (0,))[0],
        image_channels=_side(shapes, "encoder.conv_in.weight", 1, 3),
        output_channels=_side(shapes, "decoder.conv_out.weight", 0, 3),
    )
    return found if _is_plausible(found) else None


@functools.lru_cache(maxsize=64)
def shapes_of(architecture: Architecture) -> Shapes:
    """Return name and shape of each tensor of the network."""
    return MappingProxyType(dict(_tensors(architecture)))


def _levels(shapes: Shapes, part: str) -> tuple[tuple[int, ...], int]:
    """Return channels of each level of one half, and the number of its blocks."""
    widths: dict[int, int] = {}
    blocks = 0
    for name, shape in shapes.items():
        match = _BLOCK.fullmatch(name)
        if match is None or match[1] != part or not shape:
            continue
        widths[int(match[2])] = shape[0]
        blocks = max(blocks, int(match[3]) + 1)
    if not widths or len(widths) != max(widths) + 1:
        return (), blocks
    return tuple(widths[level] for level in sorted(widths)), blocks


def _side(shapes: Shapes, name: str, axis: int, default: int) -> int:
    shape = shapes.get(name, ())
    return shape[axis] if len(shape) > axis else default


def _is_plausible(found: Architecture) -> bool:
    sizes = (*found.widths, *found.decoder_widths, found.latent_channels, found.image_channels, found.output_channels)
    return (
        all(0 < size <= MAX_CHANNELS for size in sizes)
        and len(found.widths) <= MAX_LEVELS
        and len(found.decoder_widths) <= MAX_LEVELS
        and found.blocks <= MAX_BLOCKS
        and found.decoder_blocks <= MAX_BLOCKS
    )


def _tensors(network: Architecture) -> _Tensors:
    yield from _encoder(network)
    yield from _decoder(network)
    z = network.latent_channels
    if network.has_quant_conv:
        yield from _convolution("quant_conv", 2 * z, 2 * z, 1)
        yield from _convolution("post_quant_conv", z, z, 1)
    if network.normalised_channels:
        yield "bn.running_mean", (network.normalised_channels,)
        yield "bn.running_var", (network.normalised_channels,)
        yield "bn.num_batches_tracked", ()


def _encoder(network: Architecture) -> _Tensors:
    before = network.widths[0]
    yield from _convolution("encoder.conv_in", before, network.image_channels, 3)
    for level, width in enumerate(network.widths):
        for block in range(network.blocks):
            yield from _resnet(f"encoder.down.{level}.block.{block}", before, width)
            before = width
        if level < len(network.widths) - 1:
            yield from _convolution(f"encoder.down.{level}.downsample.conv", width, width, 3)
    yield from _middle("encoder.mid", before)
    yield from _norm("encoder.norm_out", before)
    yield from _convolution("encoder.conv_out", 2 * network.latent_channels, before, 3)


def _decoder(network: Architecture) -> _Tensors:
    before = network.decoder_widths[-1]
    yield from _convolution("decoder.conv_in", before, network.latent_channels, 3)
    yield from _middle("decoder.mid", before)
    for level, width in reversed(list(enumerate(network.decoder_widths))):
        for block in range(network.decoder_blocks):
            yield from _resnet(f"decoder.up.{level}.block.{block}", before, width)
            before = width
        if level > 0:
            yield from _convolution(f"decoder.up.{level}.upsample.conv", width, width, 3)
    yield from _norm("decoder.norm_out", before)
    yield from _convolution("decoder.conv_out", network.output_channels, before, 3)


def _middle(name: str, width: int) -> _Tensors:
    yield from _resnet(f"{name}.block_1", width, width)
    yield from _norm(f"{name}.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from _convolution(f"{name}.attn_1.{part}", width, width, 1)
    yield from _resnet(f"{name}.block_2", width, width)


def _resnet(name: str, before: int, after: int) -> _Tensors:
    yield from _norm(f"{name}.norm1", before)
    yield from _convolution(f"{name}.conv1", after, before, 3)
    yield from _norm(f"{name}.norm2", after)
    yield from _convolution(f"{name}.conv2", after, after, 3)
    if before != after:
        yield from _convolution(f"{name}.nin_shortcut", after, before, 1)


def _norm(name: str, width: int) -> _Tensors:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _convolution(name: str, after: int, before: int, side: int) -> _Tensors:
    yield f"{name}.weight", (after, before, side, side)
    yield f"{name}.bias", (after,)
