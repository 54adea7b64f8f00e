"""A1111's books: `modules.sd_vae` (loaded_vae_file, base_vae, checkpoint_info), each model (base_vae, loaded_vae_file)
and `devices.dtype_vae`. They are written as its own functions write them, so that it goes on from there whether or not
it is guarded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import devices, sd_hijack, sd_vae

from ....errors import IntegrityError
from ....files import read_contents
from ....files.key_mapping import Source
from ....sentences import Sentence, say
from ....swap import places, read_renamed
from ....swap.weights import Tensors

if TYPE_CHECKING:
    import torch

    from .precision import Precision

logger = logging.getLogger(__name__)

CHECKPOINT_PREFIX = "first_stage_model."
"""How a checkpoint's file calls the tensors of its VAE."""


class A1111Books:
    def __init__(self, precision: Precision) -> None:
        self._precision = precision

    @property
    def notice(self) -> Sentence | None:
        return self._precision.notice

    def module(self, model: Any) -> torch.nn.Module | None:
        """None while a model of 8-bit weights loads (sd_models.py:505)."""
        module: torch.nn.Module | None = getattr(model, "first_stage_model", None)
        return module

    def path(self, model: Any) -> str | None:
        path: str | None = sd_vae.loaded_vae_file
        return path

    def own(self, model: Any) -> Tensors | None:
        base: Tensors | None = sd_vae.get_base_vae(model)
        return base

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        dtype: torch.dtype = self._precision.of(path)
        return dtype

    @contextmanager
    def kept(self, model: Any) -> Iterator[None]:
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

    def write(self, model: Any, path: str | None, own: Tensors | None, dtype: torch.dtype) -> None:
        """As sd_vae.load_vae does at its end (sd_vae.py:228)."""
        sd_vae.base_vae = model.base_vae = own
        sd_vae.checkpoint_info = model.sd_checkpoint_info if own is not None else None
        sd_vae.loaded_vae_file = model.loaded_vae_file = path
        if path is not None:
            sd_vae.vae_dict.setdefault(Path(path).name, path)
        devices.dtype_vae = dtype

    def settle(self) -> None:
        self._precision.settle()

    def start_over(self, model: Any) -> None:
        model.base_vae = model.loaded_vae_file = None
        self._precision.start_over(model.first_stage_model)

    def heal(self, model: Any) -> bool:
        """The model on the CPU, and without its hijack: which is off for good reason while a checkpoint is loaded."""
        if sd_hijack.model_hijack.layers is not None:
            return False
        sd_hijack.model_hijack.hijack(model)
        if not getattr(model, "lowvram", False):
            model.to(devices.device)
        logger.warning("The WebUI left the model unusable after a VAE that failed to load; it has been mended.")
        return True

    def touching(self) -> AbstractContextManager[Any]:
        return nullcontext()

    @contextmanager
    def running(self, model: Any) -> Iterator[torch.device]:
        with devices.without_autocast():
            yield devices.device

    def read_own(self, model: Any) -> Tensors:
        file = Path(model.sd_checkpoint_info.filename)
        names = {name: CHECKPOINT_PREFIX + name for name in places(model.first_stage_model)}
        found = read_contents(file).tensors
        if any(theirs not in found for theirs in names.values()):
            raise IntegrityError(say("{file} has no VAE in it that the WebUI knows.", file=file.name))
        sources = {name: Source(theirs, found[theirs].shape, found[theirs].dtype) for name, theirs in names.items()}
        return read_renamed(file, sources).tensors
