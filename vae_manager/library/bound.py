"""What somebody has said of a file, in one JSON file: bound to its bytes as tightly as they are known.

    [{"sha256": "735e…", "value": …}, {"weights": "0c1f…", "value": …},
     {"path": "/models/VAE/a.safetensors", "size": …, "mtime_ns": …, "inode": …, "ctime_ns": …,
      "value": …}]
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DiskError
from ..files import Identity, identity_of
from ..files.state_file import StateFile, list_of
from ..sentences import say
from .index import IndexedFile

__all__ = ["Bound"]

_IDENTITY: Final = ("path", "size", "mtime_ns", "inode", "ctime_ns")
_WITHOUT_CTIME: Final = len(_IDENTITY) - 1
"""What was bound before times of change were kept: a person's word is not lost for the want of one."""

_Binding = tuple[object, ...]


class Bound:
    """Values of files. The SHA-256 is asked first, then the weights, then the identity.

    Safe to use from several threads; a file that is damaged is set aside, and a new one is begun.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = StateFile(file, list_of)
        self._lock = threading.Lock()
        self._values: dict[_Binding, Any] | None = None
        self._stamp: object = None

    @property
    def stamp(self) -> object:
        """Another one whenever something has been put there, by whomever."""
        return identity_of(self._file)

    def value(self, of: IndexedFile) -> Any:
        """What was put there for this file, under whatever name it is here now; None for nothing."""
        values = self._current()
        return next((values[binding] for binding in _bindings(of) if binding in values), None)

    def put(self, of: IndexedFile, value: Any) -> None:
        """Say `value` of this file, in place of what was said before; None takes it back.

        Raises DiskError where it cannot be written.
        """
        bindings = _bindings(of)
        with self._lock:
            values = {binding: old for binding, old in self._read().items() if binding not in bindings}
            if value is not None:
                values[bindings[0]] = value
            self._write(values)

    def carry(self, before: Identity, after: Path) -> None:
        """What was said of the file that `before` stands for holds for `after` too, which has the same bytes."""
        now = identity_of(after)
        values = self._current()
        value = next((values[binding] for binding in _of_identity(before) if binding in values), None)
        if value is None or now is None:
            return
        with self._lock:
            self._write({**self._read(), tuple(now): value})

    def _current(self) -> Mapping[_Binding, Any]:
        with self._lock:
            stamp = identity_of(self._file)
            if self._values is None or stamp != self._stamp:
                self._values, self._stamp = self._read(), stamp
            return self._values

    def _read(self) -> dict[_Binding, Any]:
        return dict(self._state.items(_pair))

    def _write(self, values: dict[_Binding, Any]) -> None:
        try:
            self._state.write([_item(*pair) for pair in values.items()], indent=1)
        except OSError as error:
            raise DiskError(
                say("{path} cannot be written: {reason}", path=self._file, reason=error.strerror or error)
            ) from error
        self._values, self._stamp = values, identity_of(self._file)


def _bindings(of: IndexedFile) -> list[_Binding]:
    """The tightest first."""
    found = _of_identity(of.identity)
    if of.fingerprints is not None:
        found.insert(0, ("weights", of.fingerprints.weights))
    if of.sha256 is not None:
        found.insert(0, ("sha256", of.sha256))
    return found


def _of_identity(identity: Identity) -> list[_Binding]:
    return [tuple(identity), tuple(identity)[:_WITHOUT_CTIME]]


def _pair(item: Any) -> tuple[_Binding, Any]:
    """Raises for what binds no value to a file."""
    binding, value = _binding(item), item["value"]
    hash(binding)
    return binding, value


def _binding(item: Any) -> _Binding:
    for kind in ("sha256", "weights"):
        if kind in item:
            return kind, str(item[kind])
    return tuple(item[name] for name in _IDENTITY[: None if _IDENTITY[-1] in item else _WITHOUT_CTIME])


def _item(binding: _Binding, value: Any) -> dict[str, Any]:
    if len(binding) == 2:
        return {str(binding[0]): binding[1], "value": value}
    return {**dict(zip(_IDENTITY, binding, strict=False)), "value": value}  # an old one has no time of change
