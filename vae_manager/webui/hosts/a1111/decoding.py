"""A1111's decode (sd_samplers_common.py:50, processing.py:629), for comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from modules import devices, lowvram, sd_hijack

from ....compare import Model
from .. import host_values
from ..common import options

if TYPE_CHECKING:
    from .adapter import A1111

SEED = 0
"""Of the noise that sgm draws when it encodes, so that it is the same each time."""


class A1111Decoding:
    def __init__(self, host: A1111) -> None:
        self._host = host

    def mend(self) -> None:
        if sd_hijack.model_hijack.layers is None:
            self._host.before_generation()

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        with _padded(tiling), _tidied(model):
            yield _model(model, tiling)


def _model(model: Any, tiling: bool) -> Model:
    def decode(latent: torch.Tensor) -> torch.Tensor:
        with devices.without_autocast():
            picture: torch.Tensor = model.decode_first_stage(latent)
        return picture

    def encode(picture: torch.Tensor) -> torch.Tensor:
        """ldm gives a distribution, whose mode is the same each time; sgm draws from it by itself."""
        with devices.without_autocast(), torch.random.fork_rng():
            torch.manual_seed(SEED)
            encoded = model.encode_first_stage(picture)
        if hasattr(encoded, "mode"):
            mode: torch.Tensor = model.scale_factor * encoded.mode()
            return mode
        latent: torch.Tensor = model.get_first_stage_encoding(encoded)
        return latent

    return Model(model.first_stage_model, decode, encode, devices.device, tiling, better=_better())


def _better() -> torch.dtype | None:
    """In what the WebUI decodes anew where there was NaN (processing.py:641)."""
    if host_values.flag("disable_nan_check", False):
        return None
    if options.read("auto_vae_precision_bfloat16", False):
        return torch.bfloat16
    return torch.float32 if options.read("auto_vae_precision", True) else None


@contextmanager
def _padded(tiling: bool) -> Iterator[None]:
    """The convolutions' padding as the picture had it (sd_hijack.py apply_circular)."""
    hijack = sd_hijack.model_hijack
    before = hijack.circular_enabled
    try:
        hijack.apply_circular(tiling)
        yield
    finally:
        hijack.apply_circular(before)


@contextmanager
def _tidied(model: Any) -> Iterator[None]:
    """As the WebUI does after its own decode."""
    try:
        yield
    finally:
        if lowvram.is_enabled(model):
            lowvram.send_everything_to_cpu()
        devices.torch_gc()
