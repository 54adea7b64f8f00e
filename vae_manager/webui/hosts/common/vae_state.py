"""State of the loaded VAE: the host's own variables, and the VAE that the model holds."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from ....errors import IntegrityError, RefusedError, VaeManagerError
from ....files import Identity, TensorTable, identity_of
from ....messages import Message, msg
from ....swap import LatentTest, Swapper, builtin_of, latent_test, named_tensors, sample_picture, table_of
from ....swap.weights import Tensors, fitted
from ..host_values import Refusal, Swap
from . import checkpoint_metadata

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


class VaeState(Protocol):
    """The host's variables for the VAE in its model, and the access to that VAE."""

    def module(self, model: Any) -> torch.nn.Module | None:
        """Return the module that decodes; None for a moment, while some models load."""
        ...

    def path(self, model: Any) -> str | None:
        """Return the VAE file that the host's variables name for `model`; None: the checkpoint's own."""
        ...

    def builtin(self, model: Any) -> Tensors | None:
        """Return the checkpoint's own weights, as they are kept while others are in `model`."""
        ...

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """Return the dtype in which the VAE at `path` (None: the checkpoint's own) is to run."""
        ...

    def restored_on_error(self, model: Any) -> AbstractContextManager[None]:
        """Restore the host's variables if the body of the `with` statement raises."""
        ...

    def write(self, model: Any, path: str | None, builtin: Tensors | None, dtype: torch.dtype) -> None:
        """Record that the VAE at `path` is in `model` now."""
        ...

    def on_swap(self) -> None:
        """Record that a VAE has been put in permanently."""
        ...

    def on_builtin_loaded(self, model: Any) -> None:
        """Record that the WebUI has just put the checkpoint's own weights into `model`."""
        ...

    def repair(self, model: Any) -> bool:
        """Undo the traces of a failed load of the WebUI's own; return True if the weights may be a mixture.

        Never called while a checkpoint is being loaded.
        """
        ...

    def writable_weights(self) -> AbstractContextManager[Any]:
        """Allow replacing the storage of the model's weights during the `with` statement."""
        ...

    def on_device(self, model: Any) -> AbstractContextManager[torch.device]:
        """Let the module run, on the device that is yielded."""
        ...

    def read_builtin(self, model: Any) -> Tensors:
        """Read the checkpoint's own VAE once more from its file, for a model whose variables are lost."""
        ...

    @property
    def notice(self) -> Message | None:
        """A notice about an unusual mode in which VAEs run now."""
        ...


class LoadedVae:
    """The VAE in the model, one object for the process.

    Methods that change a model are called only while no other code uses it: under the queue lock, or from inside a
    generation that holds it.
    """

    def __init__(self, swapper: Swapper, vae_state: VaeState) -> None:
        self._swapper = swapper
        self._vae_state = vae_state
        self._tables: WeakKeyDictionary[Any, TensorTable] = WeakKeyDictionary()
        """By module: each rendering of the page reads it."""
        self.last: Swap | None = None
        """The last completed swap, for display."""
        self.refusal: Refusal | None = None
        """The refusal of the last VAE that the setting requested."""
        self._passing: Message | None = None
        """The reason why a picture did not get the VAE that it requested; until the next swap."""
        self._serials = itertools.count(1)

    @property
    def notice(self) -> Message | None:
        """A notice about the VAE in use, or about the request of the last picture."""
        return self._passing or self._vae_state.notice

    def path(self, model: Any) -> str | None:
        """Return the VAE file whose weights are in `model`; None: the checkpoint's own."""
        return self._vae_state.path(model)

    def dtype_name(self, model: Any) -> str | None:
        """Return the short name of the dtype in which it runs: `fp32`, `fp16`, …."""
        module = self._vae_state.module(model)
        parameter = next(iter(module.parameters()), None) if module is not None else None
        return checkpoint_metadata.dtype_name(parameter.dtype) if parameter is not None else None

    def identity(self, model: Any) -> Identity | None:
        """Return the identity of the file that the weights in `model` were read from; None without such a file."""
        module, file = self._vae_state.module(model), self._vae_state.path(model)
        if module is None or file is None:
            return None
        inside: Identity | None = self._swapper.inside(module)
        return inside if inside is not None and _absolute(file) == inside.path else None

    def check(self, model: Any, path: str) -> None:
        """Raise RefusedError if the file at `path` cannot go into `model`, which stays untouched."""
        self._swapper.check(Path(path), self._module(model))

    def read(self, model: Any, path: str) -> None:
        """Check as `check` does, and every value of the file too. The weights are cached for the swap that follows."""
        if not self._is_in(model, path):
            dtype = self._vae_state.dtype(model, path)
            self._swapper.read(Path(path), self._module(model), dtype)

    def put(self, model: Any, path: str | None, *, anew: bool = False, by_setting: bool = True) -> bool:
        """Put the VAE file at `path` (None: the checkpoint's own) into `model`; return False if it is there already.

        With `anew`, a VAE that is there already is put in again. `by_setting` is False for a picture's own VAE. Raises
        a VaeManagerError; the previous VAE is still in use then.
        """
        if self._vae_state.module(model) is None and path is None:
            return False
        if not anew and self._is_in(model, path):
            self._has_gone_in(path)
            return False
        started = time.perf_counter()
        try:
            from_memory = self._put_file(model, path) if path is not None else self._put_builtin(model)
        except VaeManagerError as error:
            self._note(path, error, by_setting)
            raise
        except Exception as error:
            refusal = IntegrityError(
                msg(
                    "{file} could not be put into the model ({error}). The VAE that was in use before still is.",
                    file=_name(path),
                    error=f"{type(error).__name__}: {error}"[:300],
                )
            )
            self._note(path, refusal, by_setting)
            raise refusal from error
        self.last = Swap(path, time.perf_counter() - started, from_memory)
        self._has_gone_in(path)
        logger.info("VAE: %s, %.1f ms", _name(path), 1000 * self.last.seconds)
        return True

    def try_out(self, model: Any, path: str) -> LatentTest:
        """Test the VAE file at `path` for the latent space of the checkpoint's own VAE, without a change.

        Raises a VaeManagerError if the file cannot go into `model`, or no result is possible.
        """
        module = self._module(model)
        with self._vae_state.writable_weights(), self._vae_state.on_device(model) as device:
            inside = {name: place.data for name, place in named_tensors(module).items()}
            builtin, candidate = (self.borrow(model, vae) or inside for vae in (None, path))
            return latent_test(module, builtin, candidate, sample_picture().to(device))

    def table(self, model: Any) -> TensorTable | None:
        """Return the names and shapes of tensors that a VAE file needs to go into `model`; None if it has no VAE."""
        module = self._vae_state.module(model)
        if module is None:
            return None
        if module not in self._tables:
            self._tables[module] = table_of(named_tensors(module))
        return self._tables[module]

    def borrow(self, model: Any, path: str | None) -> Tensors | None:
        """Return the weights of the VAE file at `path` (None: the checkpoint's own) fitted to `model`, read-only.

        None if they are in it. They stay in the cache. Raises a VaeManagerError.
        """
        if self._is_in(model, path):
            return None
        module, dtype = self._module(model), self._vae_state.dtype(model, path)
        with self._vae_state.writable_weights():
            if path is not None:
                return self._swapper.borrow(Path(path), module, dtype)
            builtin = self._vae_state.builtin(model) or self._vae_state.read_builtin(model)
            return {name: fitted(builtin[name], place, dtype) for name, place in named_tensors(module).items()}

    def weights(self, model: Any, path: str | None, dtype: torch.dtype) -> Tensors:
        """Return the weights of the VAE file at `path` (None: the checkpoint's own) in `dtype`, fitted to `model`.

        For a decode by lent weights in another dtype than that of the VAE in use. They are read from the file unless
        they are cached, also if they are in the model, and are not cached. Raises a VaeManagerError.
        """
        module = self._module(model)
        with self._vae_state.writable_weights():
            if path is not None:
                return self._swapper.prepare(Path(path), module, dtype).weights.tensors
            try:
                builtin = self._vae_state.read_builtin(model)
            except VaeManagerError:  # the checkpoint's file has gone
                kept = self._vae_state.builtin(model)
                if kept is None:
                    raise
                builtin = kept
            return {name: fitted(builtin[name], place, dtype) for name, place in named_tensors(module).items()}

    def shrink_kept(self) -> None:
        """Drop kept weights beyond the bound, which may have become smaller."""
        self._swapper.in_ram.shrink()

    def forget_file(self, path: Path) -> None:
        """Drop the weights of a file that is gone and not chosen."""
        self._swapper.forget_file(path)

    def repair(self, model: Any) -> bool:
        """Undo the traces of a failed load of the WebUI's own; return True if there were any.

        The weights may be a mixture of two VAEs then, and have to be put in anew. Never called while a checkpoint is
        being loaded.
        """
        if not self._vae_state.repair(model):
            return False
        self._forget(model)
        return True

    def fresh(self, model: Any) -> None:
        """Record that the WebUI has just written a checkpoint's weights, its own VAE's included, into `model`."""
        self._forget(model)
        self._vae_state.on_builtin_loaded(model)
        self.last = self._passing = None

    # -- the present state ---------------------------------------------------------------------------------------------
    def _module(self, model: Any) -> Any:
        module = self._vae_state.module(model)
        if module is None:
            raise RefusedError(
                msg("The loaded checkpoint has no VAE of its own, and without one this WebUI can put none into it.")
            )
        return module

    def _forget(self, model: Any) -> None:
        module = self._vae_state.module(model)
        if module is not None:
            self._swapper.forget(module)

    def _is_in(self, model: Any, path: str | None) -> bool:
        inside = self._swapper.inside(self._module(model))
        if self._vae_state.path(model) != path:
            return False
        if path is None or inside is None:
            return inside is None  # without a swap here, the host's variables are right
        return (identity_of(Path(path)) or inside) == inside  # a deleted file stays in use

    # -- putting in ----------------------------------------------------------------------------------------------------
    def _put_file(self, model: Any, path: str) -> bool:
        module, dtype = self._module(model), self._vae_state.dtype(model, path)
        with self._vae_state.writable_weights():
            ready = self._swapper.prepare(Path(path), module, dtype)
            builtin = self._vae_state.builtin(model) or (
                builtin_of(module) if self._vae_state.path(model) is None else None
            )
            with self._vae_state.restored_on_error(model), self._swapper.put(module, ready) as displaced:
                self._vae_state.write(model, path, builtin, dtype)
        self._vae_state.on_swap()
        self._swapper.keep(displaced)
        return ready.from_memory

    def _put_builtin(self, model: Any) -> bool:
        module, dtype = self._module(model), self._vae_state.dtype(model, None)
        kept = self._vae_state.builtin(model)
        with self._vae_state.writable_weights():
            builtin = kept or self._vae_state.read_builtin(model)
            with (
                self._vae_state.restored_on_error(model),
                self._swapper.put_builtin(module, builtin, dtype) as displaced,
            ):
                self._vae_state.write(model, None, None, dtype)
        self._vae_state.on_swap()
        self._swapper.keep(displaced)
        return kept is not None

    def note_refusal(self, path: str, message: Message, *, anew: bool = False) -> None:
        """Record why the file at `path` was refused, and warn in the console.

        A repetition is not recorded, unless a person has requested the file `anew`.
        """
        known = self.refusal
        if not anew and known is not None and (known.path, known.message) == (path, message):
            return
        self.refusal = Refusal(path, message, next(self._serials))
        logger.warning("%s", message)

    def _note(self, path: str | None, error: VaeManagerError, by_setting: bool) -> None:
        if by_setting and path is not None:
            self.note_refusal(path, error.message)
        else:
            self._passing = error.message
            logger.warning("%s", error)

    def _has_gone_in(self, path: str | None) -> None:
        """Clear the refusal of this file.

        That of another one stays: each picture calls this, before a person may have read it.
        """
        self._passing = None
        if self.refusal is not None and self.refusal.path == path:
            self.refusal = None


@contextmanager
def wrapper_runs_in(wrapper: Any, dtype: torch.dtype) -> Iterator[None]:
    """Let a wrapper of Forge's family convert latents to `dtype` for the body of the `with` statement."""
    before = wrapper.vae_dtype
    wrapper.vae_dtype = dtype
    try:
        yield
    finally:
        wrapper.vae_dtype = before


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _name(path: str | None) -> str | Message:
    return Path(path).name if path is not None else msg("Built-in")
