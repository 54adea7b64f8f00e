"""The decision, apart from its effect: what a declared set and a folder differ in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import (
    Cancelled,
    DiskError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    RefusedError,
    UsageError,
    VaeManagerError,
)
from .declared import Item

State = Literal["same", "missing", "other"]
"""`same`: the bytes are there under the name. `other`: something else has the name; it is never overwritten."""

_WORST_FIRST: Final = (Cancelled, IntegrityError, DiskError, NetworkError, NotFoundError, RefusedError, UsageError)


@dataclass(frozen=True)
class Step:
    item: Item
    state: State


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]
    undeclared: tuple[str, ...]
    """VAE files below the folder that nobody declared, with forward slashes. They are left alone."""

    @property
    def differs(self) -> bool:
        """Files that nobody declared are no difference: a folder may hold more than what is declared."""
        return any(step.state != "same" for step in self.steps)


def plan(items: Iterable[Item], there: Mapping[str, str], files: Iterable[str]) -> Plan:
    """Decide from the hashes of what bears the declared names (`there`, by file name; a name that nothing bears is not
    in it, "" is something that no hash fits) and all VAE files of the folder, relative to it.
    """
    steps = tuple(Step(item, _state(item, there.get(item.file_name))) for item in items)
    declared = {step.item.file_name for step in steps}
    return Plan(steps, tuple(file for file in files if file not in declared))


def worst(errors: Iterable[VaeManagerError]) -> int:
    """The exit status of the worst of `errors`, 0 for none: stopped, then wrong bytes, disk, network, not found,
    refused, usage."""
    found = list(errors)
    for kind in _WORST_FIRST:
        if any(isinstance(error, kind) for error in found):
            return kind.exit_status
    return found[0].exit_status if found else 0


def _state(item: Item, sha256: str | None) -> State:
    if sha256 is None:
        return "missing"
    return "same" if sha256 == item.sha256 else "other"
