"""Swapper: the exchange of the VAE's weights in the loaded model, and the cache of weights in memory.

The swapper tracks which weights are in which model and which sets are cached, and finds the source of the wanted ones:

    file ──read, checked──▶ kept in RAM ──fitted──▶ ready ──exchanged──▶ the model
                              ▲   (device, dtype)                            │
                              └────── if no other code wrote to them ────────┘

If the model takes the tensors exactly as they are cached (on the CPU, for example), no byte is copied: they leave the
cache and belong to the model. Otherwise a copy goes into the model and the cache keeps its own set. For a GPU, the
cache can keep the set that was displaced last.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ..errors import BrokenFileError, FileChangedError, IntegrityError, OutOfMemoryError
from ..files import Identity, Problem, identity_of, inspect
from ..messages import Message, msg
from ..records.verdict import HostCapability, Sources
from .weight_reader import read_renamed, require_usable
from .weights import Tensors, Weights, exchanged, fitted, named_tensors

if TYPE_CHECKING:
    import torch


logger = logging.getLogger(__name__)

MIN_GB: Final = 0.8
MAX_GB: Final = 4.0

MAX_READS = 3
"""Attempts to read a file that changes meanwhile: a program that only touches the file is no reason to refuse it."""


def default_bound(total: int, available: int) -> float:
    """Return the default bound of the cache in GB for a machine with `total` bytes of memory.

    The bound is an eighth of all memory, at least two VAEs and at most ten, and never more than a quarter of the free
    memory.
    """
    return round(min(max(total / 8e9, MIN_GB), MAX_GB, available / 4e9), 1)


class WeightCache:
    """An LRU cache of weights by the identity of their file. Safe to use from any thread.

    The caller that takes a set out to put it into a model owns it, because the WebUI writes to a model's weights. A set
    that was in a model comes back through `put_back`, which keeps it only if it is unmodified. A background thread
    checks that, since every byte has to be read.
    """

    def __init__(self, bound: Callable[[], int]) -> None:
        """Make an empty cache; `bound` returns the most bytes that may be kept and is called each time."""
        self._bound = bound
        self._sets: OrderedDict[Identity, Weights] = OrderedDict()
        self._lock = threading.Lock()
        self._checks = ThreadPoolExecutor(1, "vae-manager check of weights")
        self._checking: dict[Identity, Future[None]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that are kept, without those that are still being checked."""
        with self._lock:
            return sum(weights.nbytes for weights in self._sets.values())

    def get(self, identity: Identity) -> Weights | None:
        """Return the set of this file. It stays in the cache, so the caller must not write to it."""
        self.wait(identity)
        with self._lock:
            weights = self._sets.get(identity)
            if weights is not None:
                self._sets.move_to_end(identity)
            return weights

    def at(self, path: str) -> Identity | None:
        """Return the newest identity under which a set from `path` is kept, for a file that no longer exists."""
        self.wait()
        with self._lock:
            return next((identity for identity in reversed(self._sets) if identity.path == path), None)

    def take(self, identity: Identity) -> None:
        """Remove the set of this file: it belongs to a model now."""
        with self._lock:
            self._sets.pop(identity, None)

    def put(self, weights: Weights) -> None:
        """Keep a set that no other code writes to, if there is room for it at all."""
        with self._lock:
            self._sets[weights.identity] = weights
            self._sets.move_to_end(weights.identity)
        self.shrink()

    def put_back(self, weights: Weights) -> None:
        """Keep a set that was in a model, after a check that it was not written to there."""
        if weights.nbytes > self._bound():
            return

        def check() -> None:
            try:
                if weights.untouched():
                    self.put(weights)
            except RuntimeError as error:  # of torch: out of memory, or the GPU was removed
                logger.warning("The weights of %s are not kept: %s", weights.identity.path, error)

        with self._lock:
            self._checking = {identity: check for identity, check in self._checking.items() if not check.done()}
            self._checking[weights.identity] = self._checks.submit(check)

    def wait(self, identity: Identity | None = None) -> None:
        """Wait until the set of this file (None: every set) has been checked."""
        with self._lock:
            checks = [check for wanted, check in self._checking.items() if identity in (None, wanted)]
        wait(checks)

    def shrink(self) -> None:
        """Drop sets whose file has changed, then the least recently used, until the bound is kept."""
        with self._lock:
            for identity in list(self._sets):
                now = identity_of(Path(identity.path))
                if now is not None and now != identity:  # a deleted file may still be chosen: its set is in use
                    del self._sets[identity]
            left = sum(weights.nbytes for weights in self._sets.values())
            while self._sets and left > self._bound():
                left -= self._sets.popitem(last=False)[1].nbytes

    def forget(self, path: str) -> None:
        """Drop the sets read from `path`: the file has been deleted and is not chosen."""
        self.wait()
        with self._lock:
            for identity in [identity for identity in self._sets if identity.path == path]:
                del self._sets[identity]

    def clear(self) -> None:
        """Drop every set, after the checks of `put_back` have ended; a set that was taken out stays with its model."""
        self.wait()
        with self._lock:
            self._sets.clear()


@dataclass(frozen=True)
class PreparedWeights:
    """Weights converted for a model and its device, but not in the model yet."""

    named_tensors: Tensors
    """The model's tensors."""
    weights: Weights
    kept: Weights
    """The set as it is kept in RAM; the same tensors if no conversion was needed."""
    from_memory: bool


@dataclass(frozen=True)
class _LoadedWeights:
    """The record of the weights in a module."""

    identity: Identity
    sums: tuple[int, ...]


class Swapper:
    """The exchange of weights, one object for the process.

    Methods that touch a model may be called only while no other code uses that model.
    """

    def __init__(
        self,
        ram: Callable[[], int],
        room_on_device: Callable[[], int],
        host: HostCapability,
        report_damage: Callable[[Identity, Problem], None] = lambda identity, problem: None,
    ) -> None:
        """Make a swapper with empty caches.

        Args:
            ram: Returns the bytes of RAM that may be kept for sets that are in no model.
            room_on_device: Returns the same for the memory of the device.
            host: Defines which files go in unchanged.
            report_damage: Receives each file whose weights were read and cannot be used.
        """
        self._host = host
        self._report_damage = report_damage
        self.in_ram = WeightCache(ram)
        self.on_device = WeightCache(room_on_device)
        self._damaged: dict[Identity, Message] = {}
        """Files that were read and are no valid VAE: not read again until they change."""
        self._inside: WeakKeyDictionary[torch.nn.Module, _LoadedWeights] = WeakKeyDictionary()

    def inside(self, module: torch.nn.Module) -> Identity | None:
        """Return the file whose weights this swapper last put into `module`; None without one."""
        inside = self._inside.get(module)
        return inside.identity if inside is not None else None

    def forget(self, module: torch.nn.Module) -> None:
        """Record that other code has put other weights into `module`."""
        self._note(module, None)

    def forget_file(self, path: Path) -> None:
        """Drop the kept weights of a file that has been deleted."""
        for cache in (self.in_ram, self.on_device):
            cache.forget(str(path.absolute()))

    # -- before the exchange: the model stays untouched ----------------------------------------------------------------
    def check(self, path: Path, module: torch.nn.Module) -> None:
        """Raise RefusedError if the file does not fit `module`.

        Reads only the header, which takes a few milliseconds.
        """
        identity, models = identity_of(path), named_tensors(module)
        kept = self.in_ram.get(identity) if identity is not None else None
        if kept is None or not _would_fit(kept, models):
            self._check(path, models)

    def read(self, path: Path, module: torch.nn.Module, dtype: torch.dtype) -> None:
        """Check every value of the file and cache its weights for the swap that follows.

        Raises the errors of `prepare`. No tensor is moved to the module's device yet, so another thread may use the
        module meanwhile.
        """
        identity, models = identity_of(path), named_tensors(module)
        kept = self.in_ram.get(identity) if identity is not None else None
        if kept is None or not _would_fit(kept, models):
            self.in_ram.put(self._read(path, models).converted(dtype))

    def prepare(self, path: Path, module: torch.nn.Module, dtype: torch.dtype) -> PreparedWeights:
        """Prepare the weights of `path` for `module`, from memory if they are cached, else from the file.

        A deleted file is usable as long as its weights are cached. Raises RefusedError, IntegrityError, NotFoundError,
        DiskError, OutOfMemoryError.
        """
        models = named_tensors(module)
        try:
            return self._prepared(path, models, dtype)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self.make_room()
        try:
            return self._prepared(path, models, dtype)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                msg(
                    "There is not enough memory to load {file}. The VAE in use is unchanged.",
                    code="out-of-memory",
                    file=path.name,
                )
            ) from error

    def make_room(self) -> None:
        """Free the memory of all sets that can be read again from files."""
        import torch

        self.on_device.clear()
        self.in_ram.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _prepared(self, path: Path, models: Tensors, dtype: torch.dtype) -> PreparedWeights:
        gone = str(path.absolute())
        identity = identity_of(path) or self.in_ram.at(gone) or self.on_device.at(gone)
        on_device = self.on_device.get(identity) if identity is not None else None
        kept = self.in_ram.get(identity) if identity is not None else None
        found = on_device or kept
        if found is not None and _would_fit(found, models):
            ready = found.like(models, dtype)
            return PreparedWeights(models, ready, kept or ready, from_memory=True)
        kept = self._read(path, models).converted(dtype)
        return PreparedWeights(models, kept.like(models, dtype), kept, from_memory=False)

    def _read(self, path: Path, models: Tensors) -> Weights:
        for _ in range(MAX_READS - 1):
            with suppress(FileChangedError):
                return self._read_once(path, models)
        return self._read_once(path, models)

    def _read_once(self, path: Path, models: Tensors) -> Weights:
        before = identity_of(path)
        if before in self._damaged:
            raise IntegrityError(self._damaged[before])
        try:
            return read_renamed(path, self._check(path, models))
        except FileChangedError:
            raise
        except IntegrityError as error:
            if before is not None and before == identity_of(path):
                self._damaged[before] = error.message
                self._report_damage(
                    before, Problem(error.code if isinstance(error, BrokenFileError) else "damaged", error.message)
                )
            raise

    def _check(self, path: Path, models: Tensors) -> Sources:
        """Return the position of each tensor in the file. Raises RefusedError if the file does not fit."""
        return require_usable(inspect(path), self._host, models)

    # -- the exchange ------------------------------------------------------------------------------------------------
    @contextmanager
    def put(self, module: torch.nn.Module, ready: PreparedWeights) -> Iterator[Weights | None]:
        """Put `ready` into `module`; yield the displaced weights, for `keep`, if they came from a file.

        The body of the `with` statement is part of the exchange: if it raises, the old weights are restored.
        """
        owned = ready.weights.shares_with(ready.kept)
        if owned:
            self.in_ram.take(ready.kept.identity)
        else:
            self.in_ram.put(ready.kept)
        self.on_device.take(ready.weights.identity)
        inside = _LoadedWeights(ready.weights.identity, ready.weights.sums)
        try:
            with exchanged(ready.named_tensors, ready.weights.tensors) as old, self._known(module, inside) as before:
                yield Weights(before.identity, old, before.sums) if before is not None else None
        except BaseException:
            if owned:
                self.in_ram.put(ready.kept)  # it never reached the model, so no other code has it
            raise

    @contextmanager
    def put_builtin(self, module: torch.nn.Module, tensors: Tensors, dtype: torch.dtype) -> Iterator[Weights | None]:
        """Put the checkpoint's own weights into `module`, which owns them from then on. Otherwise as `put`."""
        models = named_tensors(module)
        ready = {name: fitted(tensors[name], models[name], dtype) for name in models}
        with exchanged(models, ready) as old, self._known(module, None) as before:
            yield Weights(before.identity, old, before.sums) if before is not None else None

    @contextmanager
    def _known(self, module: torch.nn.Module, inside: _LoadedWeights | None) -> Iterator[_LoadedWeights | None]:
        """Record `inside` as the content of `module`; yield the previous record, restored if the body raises."""
        before = self._inside.get(module)
        try:
            self._note(module, inside)
            yield before
        except BaseException:
            self._note(module, before)
            raise

    def _note(self, module: torch.nn.Module, inside: _LoadedWeights | None) -> None:
        if inside is not None:
            self._inside[module] = inside
        else:
            self._inside.pop(module, None)

    def borrow(self, path: Path, module: torch.nn.Module, dtype: torch.dtype) -> Tensors:
        """Return the weights of `path` converted for `module`, read-only: the set cached in RAM stays there.

        Raises the errors of `prepare`.
        """
        ready = self.prepare(path, module, dtype)
        if all(tensor.device.type == "cpu" for tensor in ready.kept.tensors.values()):
            self.in_ram.put(ready.kept)
        return ready.weights.tensors

    def keep(self, displaced: Weights | None) -> None:
        """Cache weights that were in a model and are no longer in use, unless they were written to there."""
        if displaced is not None:
            device = next(iter(displaced.tensors.values())).device
            (self.in_ram if device.type == "cpu" else self.on_device).put_back(displaced)


def builtin_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights in `module`, for keeping in RAM while others are in it; tensors in RAM are not copied."""
    return {name: place.data.to("cpu") for name, place in named_tensors(module).items()}


def _would_fit(weights: Weights, models: Tensors) -> bool:
    return weights.tensors.keys() == models.keys() and all(
        weights.tensors[name].shape == place.shape for name, place in models.items()
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for torch's error classes: it has one for the GPU, and only a message for the CPU."""
    import torch

    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "allocate memory" in str(error)
