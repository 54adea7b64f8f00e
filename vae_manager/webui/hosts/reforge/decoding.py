"""reForge's decode (modules_forge/forge_loader.py:522, ldm_patched/modules/sd.py:801), for comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from ldm_patched.modules import model_management
from modules import devices
from modules_forge.forge_util import apply_circular_forge

from ....compare import Model
from .books import wrapper_of

if TYPE_CHECKING:
    from .adapter import ReForge

SEED = 0
"""Of the noise that is drawn for an encode, so that it is the same each time."""


class ReForgeDecoding:
    def __init__(self, host: ReForge) -> None:
        self._host = host

    def mend(self) -> None:
        if self._host.unwatched:
            self._host.before_generation()

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        """The VAE is where it decodes from the beginning: weights that are lent go where it is."""
        wrapper = wrapper_of(model)
        with _padded(model, tiling):
            model_management.load_model_gpu(wrapper.patcher)
            try:
                yield _model(model, wrapper, tiling)
            finally:
                devices.torch_gc()


def _model(model: Any, wrapper: Any, tiling: bool) -> Model:
    def decode(latent: torch.Tensor) -> torch.Tensor:
        picture: torch.Tensor = model.decode_first_stage(latent)
        return picture

    def encode(picture: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            latent: torch.Tensor = model.encode_first_stage(picture)
        return latent

    return Model(wrapper.first_stage_model, decode, encode, wrapper.device, tiling, casts=False)


@contextmanager
def _padded(model: Any, tiling: bool) -> Iterator[None]:
    """The convolutions' padding as the picture had it (processing.py:970)."""
    before = model.tiling_enabled
    try:
        apply_circular_forge(model, tiling)
        yield
    finally:
        apply_circular_forge(model, before)
