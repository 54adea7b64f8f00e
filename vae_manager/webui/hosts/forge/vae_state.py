"""State of the VAE in Forge, and decoding with it.

Forge itself keeps no record of the VAE in its model, and a reload makes all objects anew, so this module keeps one. The
module is the same object in `forge_objects`, `forge_objects_original` and `forge_objects_after_applying_lora`. Its
parameters were made under `torch.inference_mode()`, and must not be touched outside of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from backend import memory_management
from modules_forge.utils import apply_circular_forge

from ....compare import Model
from ....errors import RefusedError
from ....files import Identity, identity_of, inspect
from ....files.layouts import Renamed, canonical
from ....messages import Message, msg
from ....swap import named_tensors
from ....swap.weight_reader import read_renamed
from ....swap.weights import Tensors
from ..common.vae_state import wrapper_runs_in

SEED = 0
"""Seed of the noise that Forge adds in its encoder, so that it is the same each time."""


@dataclass(frozen=True)
class _Entry:
    path: str | None
    builtin: Tensors | None


class ForgeVaeState:
    """The `VaeState` of Forge."""

    def __init__(self) -> None:
        self._entries: WeakKeyDictionary[Any, _Entry] = WeakKeyDictionary()
        """By model."""

    @property
    def notice(self) -> Message | None:
        """None always: no precision is temporary here."""
        return None

    def module(self, model: Any) -> torch.nn.Module | None:
        """Implement `VaeState.module`: the one object that all three of Forge's sets of objects share."""
        module: torch.nn.Module | None = model.forge_objects.vae.first_stage_model
        return module

    def path(self, model: Any) -> str | None:
        """Implement `VaeState.path` by this object's own record; None for a model that it has not seen."""
        entry = self._entries.get(model)
        return entry.path if entry is not None else None

    def builtin(self, model: Any) -> Tensors | None:
        """Implement `VaeState.builtin` by this object's own record; None if no swap has been made."""
        entry = self._entries.get(model)
        return entry.builtin if entry is not None else None

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """Implement `VaeState.dtype` by Forge's own VAE object: the same dtype for any file."""
        dtype: torch.dtype = model.forge_objects.vae.vae_dtype
        return dtype

    @contextmanager
    def restored_on_error(self, model: Any) -> Iterator[None]:
        """Implement `VaeState.restored_on_error` for the record of this model; Forge has no variables."""
        before = self._entries.get(model)
        try:
            yield
        except BaseException:
            if before is not None:
                self._entries[model] = before
            else:
                self._entries.pop(model, None)
            raise

    def write(self, model: Any, path: str | None, builtin: Tensors | None, dtype: torch.dtype) -> None:
        """Implement `VaeState.write`; the record goes with the model."""
        self._entries[model] = _Entry(path, builtin)

    def on_swap(self) -> None:
        """Implement `VaeState.on_swap` without effect: no precision is temporary here."""

    def on_builtin_loaded(self, model: Any) -> None:
        """Drop the record of `model`, which then has its own VAE."""
        self._entries.pop(model, None)

    def repair(self, model: Any) -> bool:
        """Implement `VaeState.repair`: False always, since there is no model to repair."""
        return False  # a failed load of Forge's own leaves no model at all

    def writable_weights(self) -> AbstractContextManager[Any]:
        """Enter the inference mode, in which Forge has made the parameters."""
        return torch.inference_mode()

    @contextmanager
    def on_device(self, model: Any) -> Iterator[torch.device]:
        """Load the VAE to its device by Forge's memory management, and fix the encoder's noise by a seed."""
        memory_management.load_model_gpu(model.forge_objects.vae.patcher)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            yield model.forge_objects.vae.device

    def read_builtin(self, model: Any) -> Tensors:
        """Read it in any layout that Forge knows. Raises RefusedError for a checkpoint without a VAE."""
        file = Path(model.sd_checkpoint_info.filename)
        renamed, wanted = own_vae(file), named_tensors(model.forge_objects.vae.first_stage_model)
        if renamed is None or not wanted.keys() <= renamed.tensors.keys():
            raise RefusedError(
                msg(
                    "{file} brings no VAE of its own: choose a VAE file. The VAE in use is unchanged.",
                    code="no-own-vae",
                    file=file.name,
                )
            )
        return read_renamed(file, {name: renamed.tensors[name] for name in wanted}).tensors


def has_own_vae(checkpoint: Path) -> bool:
    """Return True if the checkpoint's header lists a whole VAE; False for a missing file. Raises as `inspect` does."""
    identity = identity_of(checkpoint)
    return identity is not None and _has_own(identity)


@functools.lru_cache(maxsize=256)
def _has_own(identity: Identity) -> bool:
    """Return True for a VAE in the checkpoint's header, whose reading takes some milliseconds for a large file."""
    return own_vae(Path(identity.path)) is not None


def own_vae(checkpoint: Path) -> Renamed | None:
    """Return the VAE in a checkpoint's file; None without one, or if that cannot be detected (GGUF)."""
    return canonical(inspect(checkpoint).tensors)


class ForgeDecoding:
    """The `Decoding` of Forge."""

    def repair(self) -> None:
        """Implement `Decoding.repair` without effect: a load that failed leaves no model."""

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        """Implement `Decoding.ready` in inference mode; `tiling` has no effect here."""

        def decode(latent: torch.Tensor) -> torch.Tensor:
            picture: torch.Tensor = model.decode_first_stage(latent)
            return picture

        def encode(picture: torch.Tensor) -> torch.Tensor:
            with torch.random.fork_rng():
                torch.manual_seed(SEED)
                latent: torch.Tensor = model.get_first_stage_encoding(model.encode_first_stage(picture))
            return latent

        vae = model.forge_objects.vae
        with torch.inference_mode(), _tiling(model, tiling):
            memory_management.load_model_gpu(vae.patcher)  # before: temporary weights go to the device that it runs on
            yield Model(
                vae.first_stage_model,
                decode,
                encode,
                vae.device,
                casts=False,
                running_in=lambda dtype: wrapper_runs_in(vae, dtype),
            )


@contextmanager
def _tiling(model: Any, tiling: bool) -> Iterator[None]:
    """Let the model decode as for a picture with or without tiling, for which Neo makes the padding circular."""
    before = model.tiling_enabled
    apply_circular_forge(model, tiling)
    try:
        yield
    finally:
        apply_circular_forge(model, before)
