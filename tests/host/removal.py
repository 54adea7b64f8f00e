"""A WebUI that lacks one name, as far as the extension can see: everybody else goes on finding it.

`hide` takes a dotted name of the recorded surface (signatures.py) from the extension's modules alone, so that the
stand-in, which needs the name itself, still works. `names_in_use` are those that the extension's source mentions.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.host.signatures import MISSING, _find, names_of

PACKAGE = "vae_manager"
ROOT = Path(__file__).resolve().parents[2]


def hide(name: str) -> Callable[[], None]:
    """Hide the name from the extension; gives what undoes it. Raises LookupError if there is no such owner."""
    owner_name, _, attribute = name.rpartition(".")
    owner = _find(owner_name)
    if owner is MISSING:
        raise LookupError(owner_name)
    if isinstance(owner, type):
        return _hide_of_class(owner, attribute)
    kind = type(owner)
    owner.__class__ = type(kind.__name__, (kind,), {"__getattribute__": _without(kind, attribute)})

    def show() -> None:
        owner.__class__ = kind

    return show


def _hide_of_class(owner: Any, attribute: str) -> Callable[[], None]:
    had = owner.__dict__.get("__getattribute__")
    owner.__getattribute__ = _without(owner, attribute)

    def show() -> None:
        if had is None:
            del owner.__getattribute__
        else:
            owner.__getattribute__ = had

    return show


def _without(kind: Any, attribute: str) -> Callable[[Any, str], Any]:
    get = kind.__getattribute__

    def without(self: Any, name: str) -> Any:
        asking = sys._getframe(1)
        while asking.f_code is without.__code__ and asking.f_back is not None:  # another name is hidden too
            asking = asking.f_back
        if name == attribute and _is_ours(asking):
            raise AttributeError(f"{get(self, '__class__').__name__} has no attribute {name!r}")
        return get(self, name)

    return without


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == PACKAGE


def names_in_use(like: str | None) -> list[str]:
    """Names of the surface whose last part the extension's part for WebUIs mentions, as an attribute or in quotes."""
    mentioned: set[str] = set()
    for path in (ROOT / PACKAGE / "webui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                mentioned.add(node.attr)
            elif isinstance(node, ast.alias):
                mentioned.add(node.name)
            elif isinstance(node, ast.keyword) and node.arg is not None:
                mentioned.add(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                mentioned.add(node.value)
    return [name for name in dict.fromkeys(names_of(like)) if name.rpartition(".")[2] in mentioned]
