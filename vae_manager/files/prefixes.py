"""Text before the names of a VAE's tensors, as checkpoints and training code add it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["MAX_PREFIXES", "UNET", "prefixes_of"]

UNET: Final = "model.diffusion_model."
_PREFIXES: Final = ("first_stage_model.", "vae.", "model.", "module.", "autoencoder.")
"""Prefixes that VAEs are published with: the first two in whole checkpoints."""
MAX_PREFIXES: Final = 16
"""Prefixes of one file that are tried; a merge of several VAEs has a few."""
_FIRST_TENSORS: Final = ("decoder.conv_in.weight", "encoder.conv_in.weight")


def prefixes_of(tensors: Mapping[str, object]) -> Iterator[str]:
    """Yield the prefixes under which a VAE may lie: none, the published ones, then those that the names suggest, as
    wrappers of training code add them (`_orig_mod.`, `params_ema.`), the shortest first."""
    yield ""
    yield from _PREFIXES
    others = {
        name[: -len(first)]
        for name in tensors
        for first in _FIRST_TENSORS
        if name.endswith(f".{first}") and name[: -len(first)] not in _PREFIXES
    }
    yield from sorted(others, key=lambda prefix: (len(prefix), prefix))[:MAX_PREFIXES]
