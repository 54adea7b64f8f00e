"""Conclusions of the last look, while they still stand on the same: an open page looks every few seconds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")

_Basis = tuple[tuple[object, ...], tuple[object, ...]]


class Memo:
    """One value a name. All methods may be called from any thread; two that miss at once both make the value."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_Basis, Any]] = {}

    def get(
        self, name: str, same: tuple[object, ...], equal: tuple[object, ...], make: Callable[[], Value]
    ) -> Value:
        """Return what was made last under `name`, or make it.

        Args:
            same: Inputs that may be long: taken for unchanged only if they are the same object.
            equal: Further inputs: short, or quick to compare. An object that others may change must be copied.
        """
        kept = self._kept.get(name)
        if kept is not None:
            (then_same, then_equal), value = kept
            if len(same) == len(then_same) and all(map(operator.is_, same, then_same)) and equal == then_equal:
                known: Value = value
                return known
        made = make()
        self._kept[name] = (same, equal), made
        return made
