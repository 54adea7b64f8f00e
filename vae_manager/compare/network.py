"""AutoencoderKL, the VAE of Stable Diffusion, in plain torch, for a file's weights if no WebUI provides a model.

Tensors are named as in the `ldm` layout, so a state dict of `AutoencoderKL(SD1)` has the keys and shapes of an SD 1.x
VAE file. Pictures are float `[n, 3, height, width]` in -1 … 1. Latents are `[n, z_channels, height / f, width / f]`,
not scaled to a deviation of one, with `f` = `Config.factor`. This module imports torch: only code that needs a network
imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SD1", "AutoencoderKL", "Config", "Posterior"]

LOGVAR_RANGE: Final = (-30.0, 20.0)


@dataclass(frozen=True)
class Config:
    """The shape of the network, with the names of ldm's `ddconfig`; the defaults are those of SD 1.x."""

    ch: int = 128
    """Channels at full resolution."""

    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    """Channels of each level as multiples of `ch`; every level after the first halves the resolution."""

    num_res_blocks: int = 2
    """Residual blocks a level in the encoder; the decoder has one more."""

    z_channels: int = 4
    in_channels: int = 3
    out_ch: int = 3

    groups: int = 32
    """Groups of each GroupNorm; ldm always has 32. Every level's channels must be a multiple of it."""

    quant: bool = True
    """A 1x1 convolution behind the encoder and one before the decoder, which later families (FLUX) lack."""

    def __post_init__(self) -> None:
        if odd := [width for width in self.widths if width % self.groups]:
            raise ValueError(f"channels {odd} are not multiples of the {self.groups} groups")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, full resolution first."""
        return tuple(self.ch * multiple for multiple in self.ch_mult)

    @property
    def factor(self) -> int:
        """The number of pixels along one side of the picture for one latent pixel."""
        return 1 << (len(self.ch_mult) - 1)


SD1: Final = Config()
"""SD 1.x and 2.x: 248 tensors, 83,653,863 parameters."""


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut: `[n, in_channels, h, w]` to `[n, out_channels, h, w]`."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = _norm(in_channels, groups)
        self.conv1 = _conv3(in_channels, out_channels)
        self.norm2 = _norm(out_channels, groups)
        self.conv2 = _conv3(out_channels, out_channels)
        self.nin_shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        out: Tensor = self.nin_shortcut(x) + h
        return out


class AttnBlock(nn.Module):
    """Self-attention of one head between all pixels: `[n, channels, h, w]` to the same shape."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        # One head: [n, channels, h, w] -> [n, 1, h * w, channels]
        q, k, v = (part(h).flatten(2).transpose(1, 2).unsqueeze(1) for part in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.proj_out(h.squeeze(1).transpose(1, 2).reshape(x.shape))
        return out


class Downsample(nn.Module):
    """Halves height and width; the padding is on the right and the bottom only, as the published weights expect."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Doubles height and width: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Middle(nn.Module):
    """The lowest resolution: block, attention, block."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels, groups)
        self.attn_1 = AttnBlock(channels, groups)
        self.block_2 = ResnetBlock(channels, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class DownLevel(nn.Module):
    """One level of the encoder: its blocks, then half the resolution unless it is the last."""

    def __init__(self, in_channels: int, out_channels: int, config: Config, *, last: bool) -> None:
        super().__init__()
        self.block = _blocks(in_channels, out_channels, config.num_res_blocks, config.groups)
        self.downsample = nn.Identity() if last else Downsample(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.downsample(self.block(x))
        return out


class UpLevel(nn.Module):
    """One level of the decoder: its blocks, then twice the resolution unless it is the full one."""

    def __init__(self, in_channels: int, out_channels: int, config: Config, *, last: bool) -> None:
        super().__init__()
        self.block = _blocks(in_channels, out_channels, config.num_res_blocks + 1, config.groups)
        self.upsample = nn.Identity() if last else Upsample(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.upsample(self.block(x))
        return out


class Encoder(nn.Module):
    """Picture to moments: `[n, 3, h, w]` to `[n, 2 * z_channels, h / f, w / f]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        steps = list(pairwise((widths[0], *widths)))
        self.conv_in = _conv3(config.in_channels, widths[0])
        self.down = nn.Sequential(
            *(DownLevel(*step, config, last=level == len(steps) - 1) for level, step in enumerate(steps))
        )
        self.mid = Middle(widths[-1], config.groups)
        self.norm_out = _norm(widths[-1], config.groups)
        self.conv_out = _conv3(widths[-1], 2 * config.z_channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.mid(self.down(self.conv_in(x)))
        out: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


class Decoder(nn.Module):
    """Latent to picture: `[n, z_channels, h / f, w / f]` to `[n, 3, h, w]`, not clamped."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = config.widths
        steps = list(pairwise((*widths, widths[-1])))  # level -> (its own width, the width of the level below)
        self.conv_in = _conv3(config.z_channels, widths[-1])
        self.mid = Middle(widths[-1], config.groups)
        # Numbered by resolution like the encoder's levels, so the loop runs backwards
        self.up = nn.ModuleList(
            UpLevel(below, own, config, last=level == 0) for level, (own, below) in enumerate(steps)
        )
        self.norm_out = _norm(widths[0], config.groups)
        self.conv_out = _conv3(widths[0], config.out_ch)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


@dataclass(frozen=True)
class Posterior:
    """The encoder's result for a picture: a normal distribution for each number of its latent."""

    mean: Tensor
    """`[n, z_channels, h / f, w / f]`"""

    logvar: Tensor
    """The logarithm of the variance, of the same shape."""

    @property
    def std(self) -> Tensor:
        """The standard deviation, of the same shape as `mean`."""
        return torch.exp(0.5 * self.logvar)

    def mode(self) -> Tensor:
        """Return the likeliest latent, the same at each call."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return a latent drawn at random, as the WebUI's image-to-image does."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype).to(self.mean.device)
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """Return the divergence from the standard normal, `[n]`, in nats summed over a picture's latent."""
        each = 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar)
        return each.sum(dim=(1, 2, 3))


class AutoencoderKL(nn.Module):
    """The whole VAE; `state_dict()` is a VAE file in the ldm layout."""

    def __init__(self, config: Config = SD1) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        moments, latent = 2 * config.z_channels, config.z_channels
        self.quant_conv = nn.Conv2d(moments, moments, 1) if config.quant else nn.Identity()
        self.post_quant_conv = nn.Conv2d(latent, latent, 1) if config.quant else nn.Identity()

    def posterior(self, picture: Tensor) -> Posterior:
        """Encode `[n, 3, h, w]` in -1 … 1, height and width multiples of `Config.factor`."""
        mean, logvar = self.quant_conv(self.encoder(picture)).chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(*LOGVAR_RANGE))

    def encode(self, picture: Tensor) -> Tensor:
        """Encode `[n, 3, h, w]` in -1 … 1 to the mean latent `[n, z_channels, h / f, w / f]`."""
        return self.posterior(picture).mode()

    def decode_raw(self, latent: Tensor) -> Tensor:
        """Decode `[n, z_channels, h / f, w / f]` to `[n, 3, h, w]`, about -1 … 1 but not clamped, for training."""
        out: Tensor = self.decoder(self.post_quant_conv(latent))
        return out

    def decode(self, latent: Tensor) -> Tensor:
        """Decode `[n, z_channels, h / f, w / f]` to pictures `[n, 3, h, w]` in -1 … 1."""
        return self.decode_raw(latent).clamp(-1.0, 1.0)

    def forward(self, picture: Tensor) -> Tensor:
        """Encode and decode: `[n, 3, h, w]` in -1 … 1 to the same shape, by the mean latent and so without noise."""
        return self.decode(self.encode(picture))


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


def _conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def _blocks(in_channels: int, out_channels: int, count: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        *(ResnetBlock(out_channels if index else in_channels, out_channels, groups) for index in range(count))
    )
