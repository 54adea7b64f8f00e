"""State of the VAE in A1111: its variables, its precision, and decoding with it.

The state consists of `modules.sd_vae` (loaded_vae_file, base_vae, checkpoint_info), the attributes of each model
(base_vae, loaded_vae_file) and `devices.dtype_vae`. This module writes them as the WebUI's own functions do, so that
the WebUI continues from there with or without the patches.

VAEs run in the precision `devices.dtype_vae`. After a decode to NaN the WebUI changes it, for all VAEs and for the rest
of the process (processing.py:661). The VAE that gave NaN is recorded here, so that the next one gets the previous
precision back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from modules import devices, lowvram, sd_hijack, sd_vae

from ....compare import Model
from ....errors import IntegrityError
from ....files import read_contents
from ....files.layouts import Source
from ....messages import Message, msg
from ....swap import named_tensors, read_renamed
from ....swap.weights import Tensors
from .. import host_values
from ..common import checkpoint_metadata, options

if TYPE_CHECKING:
    import torch

    from .adapter import A1111

logger = logging.getLogger(__name__)

CHECKPOINT_PREFIX = "first_stage_model."
"""Prefix of the VAE's tensors in a checkpoint's file."""

SEED = 0
"""Seed of the noise that sgm draws when it encodes, so that it is the same each time."""


class Precision:
    """The dtype that VAEs run in, before and after a decode to NaN."""

    def __init__(self) -> None:
        self._before: Any = None
        """The precision before the NaN; None as long as there was no NaN."""
        self._vae: str | Message = ""

    def blame(self) -> Message:
        """Record that the VAE in use has just decoded to NaN; return the message for a lost picture."""
        file = sd_vae.loaded_vae_file
        self._vae = Path(file).name if file is not None else msg("Built-in")
        if self._before is None:
            self._before = devices.dtype_vae
        return msg(
            "{vae} gave no picture in {dtype} (NaN). Choose another VAE, or let the WebUI use 32 bits for it "
            "(--no-half-vae).",
            code="nan-in-dtype",
            vae=self._vae,
            dtype=checkpoint_metadata.dtype_name(devices.dtype_vae),
        )

    @property
    def notice(self) -> Message | None:
        """The effect of the NaN, as long as it lasts."""
        if self._before is None or devices.dtype_vae == self._before:
            return None
        return msg(
            "{vae} gave no picture in {before} (NaN), so it runs in {now} until another VAE is chosen.",
            code="nan-until-changed",
            vae=self._vae,
            before=checkpoint_metadata.dtype_name(self._before),
            now=checkpoint_metadata.dtype_name(devices.dtype_vae),
        )

    def dtype_of(self, path: str | None) -> Any:
        """Return the precision for the VAE at `path`: the one before the NaN, unless that VAE gave it."""
        if self._before is None or sd_vae.loaded_vae_file == path:
            return devices.dtype_vae
        return self._before

    def on_builtin_loaded(self, module: torch.nn.Module) -> None:
        """Reset the precision for a checkpoint's new VAE, which has given no NaN.

        After bf16, whose rounding cannot be undone, it stays in that.
        """
        if self._before is not None and devices.dtype_vae == torch.float32:
            devices.dtype_vae = self._before
            module.to(self._before)
            self._before = None

    def on_swap(self) -> None:
        """Forget the NaN if the VAE that was put in runs in the previous precision."""
        if devices.dtype_vae == self._before:
            self._before = None


class A1111VaeState:
    """The `VaeState` of A1111."""

    def __init__(self, precision: Precision) -> None:
        self._precision = precision

    @property
    def notice(self) -> Message | None:
        """The notice of `Precision`: a VAE has decoded to NaN, and another dtype applies until the next swap."""
        return self._precision.notice

    def module(self, model: Any) -> torch.nn.Module | None:
        """Return the module of the VAE; None while a model of 8-bit weights loads (sd_models.py:505)."""
        module: torch.nn.Module | None = getattr(model, "first_stage_model", None)
        return module

    def path(self, model: Any) -> str | None:
        """Implement `VaeState.path` by `sd_vae.loaded_vae_file`, one variable for all models."""
        path: str | None = sd_vae.loaded_vae_file
        return path

    def builtin(self, model: Any) -> Tensors | None:
        """Implement `VaeState.builtin` by `sd_vae.get_base_vae`: None if they are those of another checkpoint."""
        base: Tensors | None = sd_vae.get_base_vae(model)
        return base

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """Implement `VaeState.dtype`: `devices.dtype_vae`, or its value before the VAE in use decoded to NaN."""
        dtype: torch.dtype = self._precision.dtype_of(path)
        return dtype

    @contextmanager
    def restored_on_error(self, model: Any) -> Iterator[None]:
        """Implement `VaeState.restored_on_error` for `sd_vae`, the model's attributes and `devices.dtype_vae`."""
        writers: list[Callable[[], None]] = []
        for holder, names in (
            (sd_vae, ("base_vae", "loaded_vae_file", "checkpoint_info")),
            (model, ("base_vae", "loaded_vae_file")),
            (devices, ("dtype_vae",)),
        ):
            for name in names:
                value = getattr(holder, name, None)
                writers.append(lambda holder=holder, name=name, value=value: setattr(holder, name, value))  # type: ignore[misc]
        try:
            yield
        except BaseException:
            for write in writers:
                write()
            raise

    def write(self, model: Any, path: str | None, builtin: Tensors | None, dtype: torch.dtype) -> None:
        """Set the variables as sd_vae.load_vae does at its end (sd_vae.py:228)."""
        sd_vae.base_vae = model.base_vae = builtin
        sd_vae.checkpoint_info = model.sd_checkpoint_info if builtin is not None else None
        sd_vae.loaded_vae_file = model.loaded_vae_file = path
        if path is not None:
            sd_vae.vae_dict.setdefault(Path(path).name, path)
        devices.dtype_vae = dtype

    def on_swap(self) -> None:
        """Implement `VaeState.on_swap`: see `Precision.on_swap`."""
        self._precision.on_swap()

    def on_builtin_loaded(self, model: Any) -> None:
        """Clear the model's own attributes, and reset the precision, which may convert the module."""
        model.base_vae = model.loaded_vae_file = None
        self._precision.on_builtin_loaded(model.first_stage_model)

    def repair(self, model: Any) -> bool:
        """Hijack the model and move it to the device again, if a failed load has left it without.

        The model has no hijack while a checkpoint is being loaded, so this is never called then.
        """
        if sd_hijack.model_hijack.layers is not None:
            return False
        sd_hijack.model_hijack.hijack(model)
        if not getattr(model, "lowvram", False):
            model.to(devices.device)
        logger.warning("The WebUI left the model unusable after a VAE that failed to load; it has been mended.")
        return True

    def writable_weights(self) -> AbstractContextManager[Any]:
        """Implement `VaeState.writable_weights`: these are ordinary tensors, so there is no effect."""
        return nullcontext()

    @contextmanager
    def on_device(self, model: Any) -> Iterator[torch.device]:
        """Yield `devices.device`, and turn autocast off meanwhile."""
        with devices.without_autocast():
            yield devices.device

    def read_builtin(self, model: Any) -> Tensors:
        """Read it by the names below `first_stage_model.`. Raises IntegrityError if one is missing."""
        file = Path(model.sd_checkpoint_info.filename)
        names = {name: CHECKPOINT_PREFIX + name for name in named_tensors(model.first_stage_model)}
        found = read_contents(file).tensors
        if any(theirs not in found for theirs in names.values()):
            raise IntegrityError(msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=file.name))
        sources = {name: Source(theirs, found[theirs].shape, found[theirs].dtype) for name, theirs in names.items()}
        return read_renamed(file, sources).tensors


class A1111Decoding:
    """The `Decoding` of A1111."""

    def __init__(self, host: A1111) -> None:
        self._host = host

    def repair(self) -> None:
        """Let `before_generation` repair a model that a failed load has left without its hijack."""
        if sd_hijack.model_hijack.layers is None:
            self._host.before_generation()

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        """Implement `Decoding.ready`; afterwards VRAM is freed as after the WebUI's own decode."""
        with _padded(tiling), _tidied(model):
            yield _model(model, tiling)


def _model(model: Any, tiling: bool) -> Model:
    def decode(latent: torch.Tensor) -> torch.Tensor:
        with devices.without_autocast():
            picture: torch.Tensor = model.decode_first_stage(latent)
        return picture

    def encode(picture: torch.Tensor) -> torch.Tensor:
        """Return a deterministic latent: the mode of ldm's distribution, or sgm's sample with a fixed seed."""
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
    """Return the dtype of the WebUI's second decode after NaN (processing.py:641)."""
    if host_values.flag("disable_nan_check", False):
        return None
    if options.read("auto_vae_precision_bfloat16", False):
        return torch.bfloat16
    return torch.float32 if options.read("auto_vae_precision", True) else None


@contextmanager
def _padded(tiling: bool) -> Iterator[None]:
    """Set the convolutions' padding to that of the picture (sd_hijack.py apply_circular)."""
    hijack = sd_hijack.model_hijack
    before = hijack.circular_enabled
    try:
        hijack.apply_circular(tiling)
        yield
    finally:
        hijack.apply_circular(before)


@contextmanager
def _tidied(model: Any) -> Iterator[None]:
    """Clean up as the WebUI does after its own decode."""
    try:
        yield
    finally:
        if lowvram.is_enabled(model):
            lowvram.send_everything_to_cpu()
        devices.torch_gc()
