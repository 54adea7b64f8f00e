"""State of the VAE in reForge, and decoding with it.

The state consists of `modules.sd_vae` (loaded_vae_file, base_vae, checkpoint_info) and each model's own attributes
(base_vae, loaded_vae_file), from which reForge writes the former anew before each picture (sd_models.py:978).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ldm_patched.modules import model_management
from modules import devices, sd_vae
from modules_forge.forge_util import apply_circular_forge

from ....compare import Model
from ....errors import IntegrityError, VaeManagerError
from ....files import read_contents
from ....files.layouts import Source, canonical
from ....messages import Message, msg
from ....swap import named_tensors, read_renamed
from ....swap.weights import Tensors
from ..common.vae_state import wrapper_runs_in

if TYPE_CHECKING:
    from .adapter import ReForge


NAMES = ("base_vae", "loaded_vae_file", "checkpoint_info")
OWN_NAMES = ("base_vae", "loaded_vae_file")
"""The names that a model has too."""

SEED = 0
"""Seed of the noise that is drawn for an encode, so that it is the same each time."""


class ReForgeVaeState:
    """The `VaeState` of reForge."""

    notice: Message | None = None

    def __init__(self, host: ReForge) -> None:
        self._host = host

    def module(self, model: Any) -> torch.nn.Module | None:
        """Return the present module: a VAE of another shape that the WebUI loads gets a wrapper of its own.

        None for a checkpoint without a VAE, and for one that is being unloaded.
        """
        wrapper = wrapper_of(model)
        module: torch.nn.Module | None = getattr(wrapper, "first_stage_model", None)
        return module

    def path(self, model: Any) -> str | None:
        """Implement `VaeState.path` by the model's own attribute, since `sd_vae` may describe another model."""
        path: str | None = getattr(model, "loaded_vae_file", None)
        return path

    def builtin(self, model: Any) -> Tensors | None:
        """Implement `VaeState.builtin` by the model's own attribute."""
        builtin: Tensors | None = getattr(model, "base_vae", None)
        return builtin

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """Return the wrapper's dtype, which it converts latents to (ldm_patched/modules/sd.py:812)."""
        dtype: torch.dtype = wrapper_of(model).vae_dtype
        return dtype

    @contextmanager
    def restored_on_error(self, model: Any) -> Iterator[None]:
        """Implement `VaeState.restored_on_error` for `sd_vae` and the model's own attributes."""
        before = [(sd_vae, name, getattr(sd_vae, name)) for name in NAMES]
        before += [(model, name, getattr(model, name, None)) for name in OWN_NAMES]
        try:
            yield
        except BaseException:
            for holder, name, value in before:
                setattr(holder, name, value)
            raise

    def write(self, model: Any, path: str | None, builtin: Tensors | None, dtype: torch.dtype) -> None:
        """Set the variables as sd_vae.load_vae does at its end (sd_vae.py:217)."""
        sd_vae.base_vae = model.base_vae = builtin
        sd_vae.checkpoint_info = model.sd_checkpoint_info if builtin is not None else None
        sd_vae.loaded_vae_file = model.loaded_vae_file = path
        if path is not None:
            sd_vae.vae_dict.setdefault(Path(path).name, path)

    def on_swap(self) -> None:
        """Implement `VaeState.on_swap` without effect: no precision is temporary here."""

    def on_builtin_loaded(self, model: Any) -> None:
        """Clear the model's own attributes, from which reForge writes `sd_vae` before a picture."""
        model.base_vae = model.loaded_vae_file = None

    def repair(self, model: Any) -> bool:
        """Read the checkpoint's own VAE once more after a time without patches.

        A failed load of the WebUI's own leaves no trace in its variables, and a successful one does not leave the
        checkpoint's own VAE in them (sd_vae.py:55).
        """
        if not self._host.unwatched:
            return False
        with suppress(VaeManagerError):  # the checkpoint's file has gone: then only the variables are left
            builtin = self.read_builtin(model)
            module = self.module(model)
            if module is None or not _has_shapes_of(named_tensors(module), builtin):
                sd_vae._load_vae_dict(model, dict(builtin))  # which makes a wrapper of the right shape
            sd_vae.base_vae = model.base_vae = builtin
            sd_vae.checkpoint_info = model.sd_checkpoint_info
        self._host.note_watched()
        return True

    def writable_weights(self) -> AbstractContextManager[Any]:
        """Implement `VaeState.writable_weights`: these are ordinary tensors, so there is no effect."""
        return nullcontext()

    @contextmanager
    def on_device(self, model: Any) -> Iterator[torch.device]:
        """Load the VAE to its device by reForge's memory management, and yield that device."""
        wrapper = wrapper_of(model)
        model_management.load_model_gpu(wrapper.patcher)
        yield wrapper.device

    def read_builtin(self, model: Any) -> Tensors:
        """Read it in any layout. Raises IntegrityError for a checkpoint without a VAE that the WebUI knows."""
        file = Path(model.sd_checkpoint_info.filename)
        return read_renamed(file, _vae_in(file)).tensors


def wrapper_of(model: Any) -> Any:
    """Return the object that encodes and decodes (ldm_patched.modules.sd.VAE); None for a model without it."""
    return getattr(getattr(model, "forge_objects", None), "vae", None)


def _vae_in(checkpoint: Path) -> Mapping[str, Source]:
    found = canonical(read_contents(checkpoint).tensors)
    if found is None:
        raise IntegrityError(msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=checkpoint.name))
    return found.tensors


def _has_shapes_of(tensors: Tensors, others: Tensors) -> bool:
    return {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in others.items()
    }


class ReForgeDecoding:
    """The `Decoding` of reForge."""

    def __init__(self, host: ReForge) -> None:
        self._host = host

    def repair(self) -> None:
        """Let `before_generation` repair the state after a time without patches."""
        if self._host.unwatched:
            self._host.before_generation()

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        """Load the VAE to its device at the beginning: temporary weights go to the same device."""
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

    return Model(
        wrapper.first_stage_model,
        decode,
        encode,
        wrapper.device,
        tiling,
        casts=False,
        running_in=lambda dtype: wrapper_runs_in(wrapper, dtype),
    )


@contextmanager
def _padded(model: Any, tiling: bool) -> Iterator[None]:
    """Set the convolutions' padding to that of the picture (processing.py:970)."""
    before = model.tiling_enabled
    try:
        apply_circular_forge(model, tiling)
        yield
    finally:
        apply_circular_forge(model, before)
