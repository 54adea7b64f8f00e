"""What a disk may hold after the power went, given what was done before.

What was synced is there. What was written since may be there or not, block by block, and a file may have its old or its
new size. Creations, renames and removals since the folder was synced have happened up to some point, in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .tap import Op

BLOCK = 4096
Taste = Literal["none", "all", "some"]
"""How much of what was not synced is there."""


@dataclass
class _File:
    """One file: what is safe, and what has happened to each block since."""

    safe: bytes = b""
    data: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=list)
    versions: dict[int, list[bytes]] = field(default_factory=dict)

    def write(self, offset: int, data: bytes) -> None:
        if len(self.data) < offset + len(data):
            self.data.extend(bytes(offset + len(data) - len(self.data)))
        self.data[offset : offset + len(data)] = data
        self._changed(offset, offset + len(data))

    def truncate(self, size: int) -> None:
        old = len(self.data)
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))
        self._changed(min(old, size), max(old, size))

    def _changed(self, start: int, stop: int) -> None:
        self.sizes.append(len(self.data))
        for number in range(start // BLOCK, (stop + BLOCK - 1) // BLOCK):
            block = bytes(self.data[number * BLOCK : (number + 1) * BLOCK]).ljust(BLOCK, b"\0")
            self.versions.setdefault(number, []).append(block)

    def sync(self) -> None:
        self.safe = bytes(self.data)
        self.sizes.clear()
        self.versions.clear()

    def after(self, taste: Taste, chance: random.Random) -> bytes:
        if taste == "all":
            return bytes(self.data)
        if taste == "none":
            return self.safe
        size = chance.choice([len(self.safe), len(self.data), *self.sizes])
        found = bytearray(self.safe.ljust(max(size, len(self.safe)), b"\0"))
        for number, versions in self.versions.items():
            if chosen := chance.choice([b"", *versions]):
                found[number * BLOCK : (number + 1) * BLOCK] = chosen
        return bytes(found[:size].ljust(size, b"\0"))


def after_cut(
    ops: Sequence[Op], before: dict[str, bytes], taste: Taste, chance: random.Random, names: float
) -> dict[str, bytes]:
    """The files that may lie in the folder when the power goes after `ops`, which began with `before`.

    `names` is the share of the changes of names that have happened although the folder was not synced.
    """
    files = {number: _File(data, bytearray(data)) for number, data in enumerate(before.values(), 1)}
    safe = dict(zip(before, files, strict=True))
    pending: list[Op] = []
    for op in ops:
        if op.kind in ("create", "rename", "unlink"):
            pending.append(op)
            if op.kind == "create":
                files[op.file] = _File()
        elif op.kind == "write":
            files[op.file].write(op.offset, op.data)
        elif op.kind == "truncate":
            files[op.file].truncate(op.offset)
        elif op.kind == "sync":
            files[op.file].sync()
        else:
            _rename(safe, pending)
            pending.clear()
    _rename(safe, pending[: round(names * len(pending))])
    return {name: files[number].after(taste, chance) for name, number in safe.items()}


def _rename(names: dict[str, int], ops: Iterable[Op]) -> None:
    for op in ops:
        if op.kind == "create":
            names[op.name] = op.file
        elif op.kind == "rename":
            names[op.new_name] = names.pop(op.name)
        else:
            del names[op.name]
