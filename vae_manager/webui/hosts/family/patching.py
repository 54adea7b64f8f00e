"""Patches of a WebUI, through its own registry (modules/patches.py): applied once however often the UI is reloaded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from modules import patches

KEY = "vae-manager"

Function = Callable[..., Any]


@dataclass(frozen=True)
class Patch:
    place: Any
    """What has the function: a module or a class."""
    name: str
    make: Callable[[Any, Function], Function]
    """Makes another of the host and the WebUI's own."""


def install(host: Any, wanted: Iterable[Patch]) -> None:
    """Apply those that are not applied."""
    for patch in wanted:
        original = getattr(patch.place, patch.name)
        if patches.original(KEY, patch.place, patch.name) is None:
            ours = functools.wraps(original)(patch.make(host, original))
            patches.patch(KEY, patch.place, patch.name, ours)


def remove(source: ModuleType, wanted: Iterable[Patch]) -> None:
    """Take back those that are still of the module `source`: what another extension has put over one of them stays."""
    for patch in wanted:
        applied = patches.original(KEY, patch.place, patch.name) is not None
        if applied and is_of(source, getattr(patch.place, patch.name)):
            patches.undo(KEY, patch.place, patch.name)


def is_of(source: ModuleType, function: Function) -> bool:
    return function.__globals__ is vars(source)
