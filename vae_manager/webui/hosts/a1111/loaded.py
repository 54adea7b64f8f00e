"""The VAE in the WebUI's loaded model: another one goes in as one transaction, and the book-keeping stays true.

The WebUI keeps the books in `modules.sd_vae` (loaded_vae_file, base_vae, checkpoint_info), on each model (base_vae,
loaded_vae_file) and in `devices.dtype_vae`. They are written here as its own functions write them, so that it goes on
from there whether or not it is guarded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules import devices, sd_hijack, sd_models, sd_vae

from ....errors import IntegrityError, VaeManagerError
from ....files import Identity, identity_of, inspect
from ....sentences import Sentence, say
from ....swap import LatentTest, Swapper, builtin_of, fit, latent_test, places, read_safetensors, sample_picture
from ....swap.weights import Tensors, fitted
from ..acts import Swap
from .precision import Precision

logger = logging.getLogger(__name__)

CHECKPOINT_PREFIX = "first_stage_model."
"""How a checkpoint's file calls the tensors of its VAE."""


class LoadedVae:
    """One for the process. Methods that change a model are called only while nothing else uses it: under the queue
    lock, or from inside a generation that holds it."""

    def __init__(self, swapper: Swapper) -> None:
        self._swapper = swapper
        self.precision = Precision()
        self.last: Swap | None = None
        """The last swap that was done, for people to read."""
        self.refusal: Sentence | None = None
        """Why the last VAE that was asked for is not the one in use."""

    def identity(self, model: Any) -> Identity | None:
        """Which file the weights in `model` were read from; None where they came another way."""
        module, file = model.first_stage_model, sd_vae.loaded_vae_file
        if module is None or file is None:
            return None  # without a VAE for a moment, while a model of 8-bit weights loads (sd_models.py:505)
        inside: Identity | None = self._swapper.inside(module)
        return inside if inside is not None and _absolute(file) == inside.path else None

    def check(self, model: Any, path: str) -> None:
        """Raises RefusedError where the file at `path` cannot go into `model`; touches nothing."""
        self._swapper.check(Path(path), model.first_stage_model, _read_pickle)

    def put(self, model: Any, path: str | None, *, anew: bool = False) -> bool:
        """Make the VAE file at `path` (None: the checkpoint's own) the one in `model`; False where it is there already,
        unless it is to be put in `anew`.

        Raises a VaeManagerError; the VAE that was in use before still is then.
        """
        if not anew and self._is_in(model, path):
            self.refusal = None
            return False
        started = time.perf_counter()
        try:
            from_memory = self._put_file(model, path) if path is not None else self._put_builtin(model)
        except VaeManagerError as error:
            self._note(error)
            raise
        except Exception as error:
            refusal = IntegrityError(
                say(
                    "{file} could not be put into the model ({error}). The VAE that was in use before still is.",
                    file=_name(path),
                    error=f"{type(error).__name__}: {error}"[:300],
                )
            )
            self._note(refusal)
            raise refusal from error
        self.last = Swap(path, time.perf_counter() - started, from_memory)
        self.refusal = None
        logger.info("VAE: %s, %.1f ms", _name(path), 1000 * self.last.seconds)
        return True

    def try_out(self, model: Any, path: str) -> LatentTest:
        """Whether the VAE file at `path` speaks of the latent space of the checkpoint's own VAE. Changes nothing.

        Raises a VaeManagerError where the file cannot go into `model`, or nothing can be told.
        """
        module = model.first_stage_model
        inside = {name: place.data for name, place in places(module).items()}
        own, candidate = (self.borrow(model, vae) or inside for vae in (None, path))
        with devices.without_autocast():
            return latent_test(module, own, candidate, sample_picture().to(devices.device))

    def misfit(self, model: Any, path: str) -> Sentence | None:
        """Why the file at `path` cannot go into `model`, as far as its header tells."""
        shapes = {name: tuple(tensor.shape) for name, tensor in places(model.first_stage_model).items()}
        return fit(inspect(Path(path)), shapes)

    def borrow(self, model: Any, path: str | None) -> Tensors | None:
        """The weights of the VAE file at `path` (None: the checkpoint's own), fitting `model` and to be read only; None
        where they are in it. They stay in the cache. Raises a VaeManagerError."""
        if self._is_in(model, path):
            return None
        module, dtype = model.first_stage_model, self.precision.of(path)
        if path is not None:
            return self._swapper.borrow(Path(path), module, dtype, _read_pickle)
        base = sd_vae.get_base_vae(model) or _read_builtin(model)
        return {name: fitted(base[name], place, dtype) for name, place in places(module).items()}

    def heal(self, model: Any) -> bool:
        """Undo what a load of the WebUI's own that raised has left: the model on the CPU, and without its hijack.

        True where it was so: the weights may be a mixture of two VAEs then, and have to be put in anew. Never while a
        checkpoint is being loaded, when the hijack is off for good reason.
        """
        if sd_hijack.model_hijack.layers is not None:
            return False
        logger.warning("The WebUI left the model unusable after a VAE that failed to load; it is being mended.")
        sd_hijack.model_hijack.hijack(model)
        if not getattr(model, "lowvram", False):
            model.to(devices.device)
        self._swapper.forget(model.first_stage_model)
        return True

    def fresh(self, model: Any) -> None:
        """The WebUI has just written a checkpoint's weights into `model`, those of its own VAE among them."""
        self._swapper.forget(model.first_stage_model)
        model.base_vae = model.loaded_vae_file = None
        self.last = self.refusal = None

    # -- what is there -----------------------------------------------------------------------------------------------
    def _is_in(self, model: Any, path: str | None) -> bool:
        inside = self._swapper.inside(model.first_stage_model)
        if sd_vae.loaded_vae_file != path:
            return False
        if path is None or inside is None:
            return inside is None  # where nothing was put in here, the books tell
        return (identity_of(Path(path)) or inside) == inside  # a file that has gone goes on being used

    # -- putting in --------------------------------------------------------------------------------------------------
    def _put_file(self, model: Any, path: str) -> bool:
        module, dtype = model.first_stage_model, self.precision.of(path)
        ready = self._swapper.prepare(Path(path), module, dtype, _read_pickle)
        base = sd_vae.get_base_vae(model) or (builtin_of(module) if sd_vae.loaded_vae_file is None else None)
        with _books_kept(model), self._swapper.put(module, ready) as displaced:
            _write_books(model, path, base)
            devices.dtype_vae = dtype
        self.precision.settle()
        self._swapper.keep(displaced)
        return ready.from_memory

    def _put_builtin(self, model: Any) -> bool:
        module, dtype = model.first_stage_model, self.precision.of(None)
        kept = sd_vae.get_base_vae(model)
        base = kept or _read_builtin(model)
        with _books_kept(model), self._swapper.put_builtin(module, base, dtype) as displaced:
            _write_books(model, None, None)
            devices.dtype_vae = dtype
        self.precision.settle()
        self._swapper.keep(displaced)
        return kept is not None

    def _note(self, error: VaeManagerError) -> None:
        self.refusal = error.sentence
        logger.warning("%s", error)


def _read_pickle(path: Path) -> Any:
    """By the WebUI's own restricted reader, which gives None for what it refuses, and raises on that."""
    try:
        return sd_vae.load_vae_dict(str(path), map_location="cpu")
    except Exception as error:
        raise IntegrityError(
            say("{file} cannot be read as a VAE by this WebUI. Nothing was changed.", file=path.name)
        ) from error


def _read_builtin(model: Any) -> Any:
    """The checkpoint's own VAE once more, from its file: for a model whose books are lost."""
    file = Path(model.sd_checkpoint_info.filename)
    names = {name: CHECKPOINT_PREFIX + name for name in places(model.first_stage_model)}
    if file.suffix == ".safetensors":
        return read_safetensors(file, names).tensors
    tensors = sd_models.read_state_dict(str(file), map_location="cpu")
    return {name: tensors[theirs].clone() for name, theirs in names.items()}


@contextmanager
def _books_kept(model: Any) -> Iterator[None]:
    """Where what is done inside raises, the books are as they were."""
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


def _write_books(model: Any, path: str | None, base: Any) -> None:
    """As sd_vae.load_vae does at its end (sd_vae.py:228)."""
    sd_vae.base_vae = model.base_vae = base
    sd_vae.checkpoint_info = model.sd_checkpoint_info if base is not None else None
    sd_vae.loaded_vae_file = model.loaded_vae_file = path
    if path is not None:
        sd_vae.vae_dict.setdefault(Path(path).name, path)


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _name(path: str | None) -> str | Sentence:
    return Path(path).name if path is not None else say("Built-in")
