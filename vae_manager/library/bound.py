"""What a person has said of a file, in one JSON file: bound to its bytes as tightly as they are known.

    [{"sha256": "735e…", "value": …}, {"weights": "0c1f…", "value": …},
     {"path": "/models/VAE/a.safetensors", "size": …, "mtime_ns": …, "inode": …, "value": …}]
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DiskError
from ..files import FileRecord, Identity, identity_of
from ..files.state_file import StateFile, list_of
from ..sentences import say

__all__ = ["Binding", "Bound", "bindings_of", "bindings_of_identity"]

_IDENTITY: Final = ("path", "size", "mtime_ns", "inode")

Binding = tuple[object, ...]


class Bound:
    """Values of files, which hold under any ctime. The SHA-256 is asked first, then the weights, then the identity; a
    hash that is not known any more, since a mode or a second name has changed, counts as before.

    Safe to use from several threads; a file that is damaged is set aside, and a new one is begun.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = StateFile(file, list_of)
        self._lock = threading.Lock()
        self._values: dict[Binding, Any] | None = None
        self._stamp: object = None

    @property
    def stamp(self) -> object:
        """Another one whenever something has been put there, by whomever."""
        return identity_of(self._file)

    def value(self, of: FileRecord) -> Any:
        """What was put there for this file, under whatever name it is here now; None for nothing."""
        values = self._current()
        return next((values[binding] for binding in bindings_of(of, is_lasting=True) if binding in values), None)

    def put(self, of: FileRecord, value: Any) -> None:
        """Say `value` of this file, in place of what was said before; None takes it back.

        Raises DiskError where it cannot be written.
        """
        bindings = bindings_of(of, is_lasting=True)
        with self._lock:
            values = {binding: old for binding, old in self._read().items() if binding not in bindings}
            if value is not None:
                values[bindings[0]] = value
            self._write(values)

    def carry(self, before: Identity, after: Path) -> None:
        """What was said of the file that `before` stands for holds for `after` too, which has the same bytes."""
        now = identity_of(after)
        values = self._current()
        bindings = bindings_of_identity(before, is_lasting=True)
        value = next((values[binding] for binding in bindings if binding in values), None)
        if value is None or now is None:
            return
        with self._lock:
            self._write({**self._read(), bindings_of_identity(now, is_lasting=True)[0]: value})

    def _current(self) -> Mapping[Binding, Any]:
        with self._lock:
            stamp = identity_of(self._file)
            if self._values is None or stamp != self._stamp:
                self._values, self._stamp = self._read(), stamp
            return self._values

    def _read(self) -> dict[Binding, Any]:
        return dict(self._state.items(self._pair))

    def _pair(self, item: Any) -> tuple[Binding, Any]:
        """Raises for what binds no value to a file."""
        binding, value = self._binding(item), item["value"]
        hash(binding)
        return binding, value

    def _binding(self, item: Any) -> Binding:
        for kind in ("sha256", "weights"):
            if kind in item:
                return kind, str(item[kind])
        return tuple(item[name] for name in _IDENTITY)

    def _write(self, values: dict[Binding, Any]) -> None:
        try:
            self._state.write([_item(*pair) for pair in values.items()], indent=1)
        except OSError as error:
            raise DiskError(
                say("{path} cannot be written: {reason}", path=self._file, reason=error.strerror or error)
            ) from error
        self._values, self._stamp = values, identity_of(self._file)


def bindings_of(of: FileRecord, *, is_lasting: bool) -> list[Binding]:
    """What a value of a file can be bound to, the tightest first; with `is_lasting`, it holds under any ctime."""
    known = [("sha256", of.sha256), ("weights", of.fingerprints.weights if of.fingerprints is not None else None)]
    last = of.last_fingerprints
    no_proof = [("sha256", of.last_sha256), ("weights", last.weights if last is not None else None)]
    return [
        *(binding for binding in known if binding[1] is not None),
        *(bindings_of_identity(of.identity, is_lasting=is_lasting) if of.identity is not None else ()),
        *(binding for binding in no_proof if binding[1] is not None),
    ]


def bindings_of_identity(identity: Identity, *, is_lasting: bool) -> list[Binding]:
    """The bindings to a file as it is; a value from before ctimes were kept still counts."""
    return [*([] if is_lasting else [tuple(identity)]), tuple(identity)[: len(_IDENTITY)]]


def _item(binding: Binding, value: Any) -> dict[str, Any]:
    if len(binding) == 2:
        return {str(binding[0]): binding[1], "value": value}
    return {**dict(zip(_IDENTITY, binding, strict=True)), "value": value}
