"""VAEs with planted faults, made of the tiny base VAE; a chain in which each has one fault more than the one before."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F

from tests.vaes import BASE
from tests.vaes.autoencoder import load
from tests.vaes.pictures import pictures
from vae_manager.compare import Model
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.picture_folder import Sample, sample_of_bytes
from vae_manager.compare.trial import Subject

Fault = Callable[[Model], Model]


class Exact(torch.nn.Module):
    """A VAE that keeps fine detail, which the tiny trained ones do not: 8 x 8 pixels are 192 channels of the latent.

    The latent is rounded, as an encoder's is never exact. `inner` and its norm are the decoder's only layers besides.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.inner = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.conv_out = torch.nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate")
        self.register_buffer("factor", torch.ones(1))
        torch.nn.init.dirac_(self.inner.weight)
        torch.nn.init.dirac_(self.conv_out.weight)
        torch.nn.init.zeros_(self.conv_out.bias)  # type: ignore[arg-type]
        self.requires_grad_(False)

    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        return F.pixel_unshuffle((picture * self.levels).round() / self.levels, 8)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.conv_out(self.inner(F.pixel_shuffle(z, 8)) / self.factor)
        return made


def exact(levels: int = 24) -> Model:
    vae = Exact(levels)
    return Model(vae, vae.decode, vae.encode, torch.device("cpu"))


def tiny() -> Model:
    """The trained one; its picture lacks nearly all fine detail."""
    vae = load(BASE)
    return Model(vae, vae.decode_raw, vae.encode, torch.device("cpu"))


def _last(model: Model) -> Any:
    module: Any = model.module
    return module.conv_out if isinstance(module, Exact) else module.decoder.conv_out


def overflow(model: Model) -> Model:
    """One layer beyond 16 bits, whose factor is taken back after it: the same picture in 32 bits."""
    module: Any = model.module
    if isinstance(model.module, Exact):
        module.inner.weight *= 3e5
        module.factor *= 3e5
        return model
    block = module.decoder.up[1].block[0]  # its norm takes the factor back
    block.conv1.weight *= 3e5
    block.conv1.bias *= 3e5
    return model


def nan(model: Model) -> Model:
    _last(model).weight[0, 0, 0, 0] = float("nan")
    return model


def green(model: Model) -> Model:
    """16 levels of 255 more of green."""
    _last(model).bias[1] += 2 * 16 / 255
    return model


def pale(model: Model) -> Model:
    """Contrast 0.8, about the middle."""
    _last(model).weight *= 0.8
    _last(model).bias *= 0.8
    return model


def exchanged(model: Model) -> Model:
    """Red and blue."""
    last = _last(model)
    last.weight.copy_(last.weight[[2, 1, 0]].clone())
    last.bias.copy_(last.bias[[2, 1, 0]].clone())
    return model


def blurred(model: Model) -> Model:
    """A blur of one pixel: each is a quarter of 1 2 1, along both sides."""
    row = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = (row[:, None] * row).expand(3, 1, 3, 3)
    plain = model.decode

    def decode(z: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(plain(z), (1, 1, 1, 1), mode="replicate"), kernel, groups=3)

    return replace(model, decode=decode)


def subject(name: str, *faults: Fault, base: Callable[[], Model] = exact) -> Subject:
    def made() -> Model:
        model = base()
        with torch.no_grad():
            for fault in faults:
                model = fault(model)
        return model

    return Subject(name, f"hash of {name}", made)


SINGLE = {"overflow": overflow, "nan": nan, "green": green, "pale": pale, "exchanged": exchanged, "blurred": blurred}
"""The faults, one each."""


def singles(base: Callable[[], Model] = exact) -> list[Subject]:
    return [subject("good", base=base), *(subject(name, fault, base=base) for name, fault in SINGLE.items())]


CHAIN = ("good", "blurred", "and pale", "and green", "and exchanged", "and nan")
"""The planted order, nearest first."""


def chain() -> list[Subject]:
    faults: Sequence[Fault] = (blurred, pale, green, exchanged, nan)
    return [subject(name, *faults[:number]) for number, name in enumerate(CHAIN)]


def samples(count: int, side: int, seed: int) -> list[Sample]:
    """Scenes with a grain of fine texture, as photographs have and the scenes have not."""
    made = pictures(count, side, seed=seed)
    grain = torch.randn(made.shape[0], 1, side, side, generator=torch.Generator().manual_seed(seed))
    drawn = made + 0.06 * grain
    return [sample_of_bytes(f"{number}.png", png_of(to_pixels(one))) for number, one in enumerate(drawn)]


def png_of(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
