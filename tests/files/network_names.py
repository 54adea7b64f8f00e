"""The names and shapes of a whole VAE of any size, in either layout, written out apart from what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Config:
    """The size of a VAE; the widths of SD's are 128, 256, 512, 512."""

    widths: tuple[int, ...] = (4, 8, 8, 8)
    blocks: int = 2
    """Of each level of the encoder; the decoder has one more."""
    latent: int = 4
    quant: bool = True
    """SD3's and FLUX.1's have no `quant_conv`."""


SD = Config()
FLUX = Config(latent=16, quant=False)


# -- names -----------------------------------------------------------------------------------------------------------
Name = tuple[str, str, tuple[int, ...]]
"""The WebUI's, diffusers', and the shape that the WebUI's has."""


def names(config: Config) -> list[Name]:
    """In the order in which the network has them, as `state_dict` gives them."""
    z, widths, last = config.latent, config.widths, len(config.widths) - 1
    found: list[Name] = [*_conv("encoder.conv_in", "encoder.conv_in", 3, widths[0], 3)]
    before = widths[0]
    for level, width in enumerate(widths):
        for block in range(config.blocks):
            ours, theirs = f"encoder.down.{level}.block.{block}", f"encoder.down_blocks.{level}.resnets.{block}"
            found += _resnet(ours, theirs, before, width)
            before = width
        if level < last:
            theirs = f"encoder.down_blocks.{level}.downsamplers.0.conv"
            found += _conv(f"encoder.down.{level}.downsample.conv", theirs, width, width, 3)
    found += _middle("encoder", before)
    found += _norm("encoder.norm_out", "encoder.conv_norm_out", before)
    found += _conv("encoder.conv_out", "encoder.conv_out", before, 2 * z, 3)
    found += _conv("decoder.conv_in", "decoder.conv_in", z, before, 3)
    found += _middle("decoder", before)
    for level in range(last, -1, -1):
        width = widths[level]
        for block in range(config.blocks + 1):
            ours, theirs = f"decoder.up.{level}.block.{block}", f"decoder.up_blocks.{last - level}.resnets.{block}"
            found += _resnet(ours, theirs, before, width)
            before = width
        if level > 0:
            theirs = f"decoder.up_blocks.{last - level}.upsamplers.0.conv"
            found += _conv(f"decoder.up.{level}.upsample.conv", theirs, width, width, 3)
    found += _norm("decoder.norm_out", "decoder.conv_norm_out", before)
    found += _conv("decoder.conv_out", "decoder.conv_out", before, 3, 3)
    if config.quant:
        found += _conv("quant_conv", "quant_conv", 2 * z, 2 * z, 1)
        found += _conv("post_quant_conv", "post_quant_conv", z, z, 1)
    return found


def _middle(part: str, width: int) -> Iterator[Name]:
    yield from _resnet(f"{part}.mid.block_1", f"{part}.mid_block.resnets.0", width, width)
    ours, theirs = f"{part}.mid.attn_1", f"{part}.mid_block.attentions.0"
    yield from _norm(f"{ours}.norm", f"{theirs}.group_norm", width)
    for one, other in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")):
        yield from _conv(f"{ours}.{one}", f"{theirs}.{other}", width, width, 1)
    yield from _resnet(f"{part}.mid.block_2", f"{part}.mid_block.resnets.1", width, width)


def _resnet(ours: str, theirs: str, before: int, after: int) -> Iterator[Name]:
    yield from _norm(f"{ours}.norm1", f"{theirs}.norm1", before)
    yield from _conv(f"{ours}.conv1", f"{theirs}.conv1", before, after, 3)
    yield from _norm(f"{ours}.norm2", f"{theirs}.norm2", after)
    yield from _conv(f"{ours}.conv2", f"{theirs}.conv2", after, after, 3)
    if before != after:
        yield from _conv(f"{ours}.nin_shortcut", f"{theirs}.conv_shortcut", before, after, 1)


def _norm(ours: str, theirs: str, width: int) -> Iterator[Name]:
    for end in ("weight", "bias"):
        yield f"{ours}.{end}", f"{theirs}.{end}", (width,)


def _conv(ours: str, theirs: str, before: int, after: int, kernel: Literal[1, 3]) -> Iterator[Name]:
    yield f"{ours}.weight", f"{theirs}.weight", (after, before, kernel, kernel)
    yield f"{ours}.bias", f"{theirs}.bias", (after,)
