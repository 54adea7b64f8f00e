"""State of the loaded VAE: the host's own variables, and the VAE that the model holds."""

from __future__ import annotations

import itertools
import logging
import time
from contextlib import AbstractContextManager
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


class VaeState(Protocol):
    def module(self, model: Any) -> torch.nn.Module | None:
        """What decodes; None for a moment, while some models load."""
        ...

    def path(self, model: Any) -> str | None:
        """The VAE file that the books say is in `model`; None: the checkpoint's own."""
        ...

    def own(self, model: Any) -> Tensors | None:
        """The checkpoint's own weights, as they are kept while others are in `model`."""
        ...

    def dtype(self, model: Any, path: str | None) -> torch.dtype:
        """What the VAE at `path` (None: the checkpoint's own) is to run in."""
        ...

    def kept(self, model: Any) -> AbstractContextManager[None]:
        """Where what is done inside raises, the books are as they were."""
        ...

    def write(self, model: Any, path: str | None, own: Tensors | None, dtype: torch.dtype) -> None:
        """The VAE at `path` is in `model` now."""
        ...

    def settle(self) -> None:
        """A VAE has been put in, for good."""
        ...

    def start_over(self, model: Any) -> None:
        """The WebUI has just put the checkpoint's own weights into `model`."""
        ...

    def repair(self, model: Any) -> bool:
        """Undo what a load of the WebUI's own that raised has left; True where the weights may be a mixture.

        Never called while a checkpoint is being loaded.
        """
        ...

    def touching(self) -> AbstractContextManager[Any]:
        """Inside it the model's weights may be given other storage."""
        ...

    def running(self, model: Any) -> AbstractContextManager[torch.device]:
        """Inside it the module runs, on the device that is given."""
        ...

    def read_own(self, model: Any) -> Tensors:
        """The checkpoint's own VAE once more, from its file: for a model whose books are lost."""
        ...

    @property
    def notice(self) -> Message | None:
        """What is unusual about how VAEs run now."""
        ...


logger = logging.getLogger(__name__)


class LoadedVae:
    """One for the process. Methods that change a model are called only while nothing else uses it: under the queue
    lock, or from inside a generation that holds it."""

    def __init__(self, swapper: Swapper, vae_state: VaeState) -> None:
        self._swapper = swapper
        self._books = vae_state
        self._tables: WeakKeyDictionary[Any, TensorTable] = WeakKeyDictionary()
        """By module: it is asked for at each look of the page."""
        self.last: Swap | None = None
        """The last swap that was done, for people to read."""
        self.refusal: Refusal | None = None
        """Of the last VAE that the setting has asked for."""
        self._passing: Message | None = None
        """Why a picture was not given the VAE that it asked for; until the next swap."""
        self._serials = itertools.count(1)

    @property
    def notice(self) -> Message | None:
        """What is worth knowing of the VAE in use, and of what the last picture asked for."""
        return self._passing or self._books.notice

    def path(self, model: Any) -> str | None:
        """The VAE file whose weights are in `model`; None: the checkpoint's own."""
        return self._books.path(model)

    def dtype_name(self, model: Any) -> str | None:
        """`fp32`, `fp16`, …: what it runs in."""
        module = self._books.module(model)
        parameter = next(iter(module.parameters()), None) if module is not None else None
        return checkpoint_metadata.dtype_name(parameter.dtype) if parameter is not None else None

    def identity(self, model: Any) -> Identity | None:
        """Which file the weights in `model` were read from; None where they came another way."""
        module, file = self._books.module(model), self._books.path(model)
        if module is None or file is None:
            return None
        inside: Identity | None = self._swapper.inside(module)
        return inside if inside is not None and _absolute(file) == inside.path else None

    def check(self, model: Any, path: str) -> None:
        """Raises RefusedError where the file at `path` cannot go into `model`; touches nothing."""
        self._swapper.check(Path(path), self._module(model))

    def read(self, model: Any, path: str) -> None:
        """As `check`, but every number of the file is looked at too. It is kept for the swap that will follow."""
        if not self._is_in(model, path):
            dtype = self._books.dtype(model, path)
            self._swapper.read(Path(path), self._module(model), dtype)

    def put(self, model: Any, path: str | None, *, anew: bool = False, by_setting: bool = True) -> bool:
        """Make the VAE file at `path` (None: the checkpoint's own) the one in `model`; False where it is there already,
        unless it is to be put in `anew`. `by_setting`: the setting asks for it, and not a picture for its own time.

        Raises a VaeManagerError; the VAE that was in use before still is then.
        """
        if self._books.module(model) is None and path is None:
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
        """Whether the VAE file at `path` speaks of the latent space of the checkpoint's own VAE. Changes nothing.

        Raises a VaeManagerError where the file cannot go into `model`, or nothing can be told.
        """
        module = self._module(model)
        with self._books.touching(), self._books.running(model) as device:
            inside = {name: place.data for name, place in named_tensors(module).items()}
            own, candidate = (self.borrow(model, vae) or inside for vae in (None, path))
            return latent_test(module, own, candidate, sample_picture().to(device))

    def table(self, model: Any) -> TensorTable | None:
        """Return the names and shapes that a VAE file has to bring, to go into `model`; None if it has no VAE."""
        module = self._books.module(model)
        if module is None:
            return None
        if module not in self._tables:
            self._tables[module] = table_of(named_tensors(module))
        return self._tables[module]

    def borrow(self, model: Any, path: str | None) -> Tensors | None:
        """The weights of the VAE file at `path` (None: the checkpoint's own), fitting `model` and to be read only; None
        where they are in it. They stay in the cache. Raises a VaeManagerError."""
        if self._is_in(model, path):
            return None
        module, dtype = self._module(model), self._books.dtype(model, path)
        with self._books.touching():
            if path is not None:
                return self._swapper.borrow(Path(path), module, dtype)
            own = self._books.own(model) or self._books.read_own(model)
            return {name: fitted(own[name], place, dtype) for name, place in named_tensors(module).items()}

    def shrink_kept(self) -> None:
        """Drop what is kept beyond the bound: it may have become smaller."""
        self._swapper.in_ram.shrink()

    def forget_file(self, path: Path) -> None:
        """Drop the weights of a file that is gone and not chosen."""
        self._swapper.forget_file(path)

    def repair(self, model: Any) -> bool:
        """Undo what a load of the WebUI's own that raised has left.

        True where it was so: the weights may be a mixture of two VAEs then, and have to be put in anew. Never while a
        checkpoint is being loaded.
        """
        if not self._books.repair(model):
            return False
        self._forget(model)
        return True

    def fresh(self, model: Any) -> None:
        """The WebUI has just written a checkpoint's weights into `model`, those of its own VAE among them."""
        self._forget(model)
        self._books.start_over(model)
        self.last = self._passing = None

    # -- what is there -----------------------------------------------------------------------------------------------
    def _module(self, model: Any) -> Any:
        module = self._books.module(model)
        if module is None:
            raise RefusedError(
                msg("The loaded checkpoint has no VAE of its own, and without one this WebUI can put none into it.")
            )
        return module

    def _forget(self, model: Any) -> None:
        module = self._books.module(model)
        if module is not None:
            self._swapper.forget(module)

    def _is_in(self, model: Any, path: str | None) -> bool:
        inside = self._swapper.inside(self._module(model))
        if self._books.path(model) != path:
            return False
        if path is None or inside is None:
            return inside is None  # where nothing was put in here, the books tell
        return (identity_of(Path(path)) or inside) == inside  # a file that has gone goes on being used

    # -- putting in --------------------------------------------------------------------------------------------------
    def _put_file(self, model: Any, path: str) -> bool:
        module, dtype = self._module(model), self._books.dtype(model, path)
        with self._books.touching():
            ready = self._swapper.prepare(Path(path), module, dtype)
            own = self._books.own(model) or (builtin_of(module) if self._books.path(model) is None else None)
            with self._books.kept(model), self._swapper.put(module, ready) as displaced:
                self._books.write(model, path, own, dtype)
        self._books.settle()
        self._swapper.keep(displaced)
        return ready.from_memory

    def _put_builtin(self, model: Any) -> bool:
        module, dtype = self._module(model), self._books.dtype(model, None)
        kept = self._books.own(model)
        with self._books.touching():
            own = kept or self._books.read_own(model)
            with self._books.kept(model), self._swapper.put_builtin(module, own, dtype) as displaced:
                self._books.write(model, None, None, dtype)
        self._books.settle()
        self._swapper.keep(displaced)
        return kept is not None

    def note_refusal(self, path: str, message: Message, *, anew: bool = False) -> None:
        """Remember why the file at `path` was not taken, and warn in the console. The same once more is no news, unless
        a person has asked for it `anew`."""
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
        """A refusal of another file stays: nobody may have read it yet, and each picture comes through here."""
        self._passing = None
        if self.refusal is not None and self.refusal.path == path:
            self.refusal = None


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _name(path: str | None) -> str | Message:
    return Path(path).name if path is not None else msg("Built-in")
