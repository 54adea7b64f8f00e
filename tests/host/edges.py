"""Functions that the extension has registered without an error boundary. Runs inside the stand-in."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

PACKAGE = "vae_manager"


def registered() -> Iterator[tuple[str, Any]]:
    """A name for each function of the extension that the WebUI calls, and the function."""
    yield from _callbacks()
    yield from _hooks()
    yield from _patches()
    yield from _events()
    yield from _settings()


def without_edge() -> list[str]:
    from vae_manager.webui.faults import is_boundary

    return [name for name, function in registered() if not is_boundary(function)]


def kinds() -> dict[str, int]:
    """Count the registered functions of each kind, so that a test can require some of each."""
    found: dict[str, int] = {}
    for name, _ in registered():
        kind = name.partition(" ")[0]
        found[kind] = found.get(kind, 0) + 1
    return found


def _callbacks() -> Iterator[tuple[str, Any]]:
    from modules import script_callbacks

    for category, callbacks in script_callbacks.callback_map.items():
        for known in callbacks:
            if _is_ours(known.callback):
                yield f"callback {category}", known.callback


def _hooks() -> Iterator[tuple[str, Any]]:
    from modules import scripts

    for data in scripts.scripts_data:
        if not any(_module(kind) == PACKAGE for kind in data.script_class.__mro__):
            continue
        for name, function in inspect.getmembers(data.script_class, inspect.isfunction):
            if _is_ours(function) and hasattr(scripts.Script, name):
                yield f"hook {name}", function


def _patches() -> Iterator[tuple[str, Any]]:
    from modules import patches

    for place, name in patches.originals["vae-manager"]:
        yield f"patch {name}", getattr(place, name)


def _events() -> Iterator[tuple[str, Any]]:
    from modules import shared

    known = shared.demo.fns
    for event in known.values() if isinstance(known, dict) else known:
        if event.fn is not None and _is_ours(event.fn):
            yield f"event {event.fn.__qualname__}", event.fn


def _settings() -> Iterator[tuple[str, Any]]:
    from modules import shared

    for name, info in shared.opts.data_labels.items():
        for called in ("onchange", "refresh", "component_args"):
            function = getattr(info, called, None)
            if name.startswith("vae_manager_") and callable(function):
                yield f"setting {name}.{called}", function


def _is_ours(function: Any) -> bool:
    while isinstance(function, staticmethod | classmethod):
        function = function.__func__
    return _module(inspect.unwrap(function)) == PACKAGE


def _module(thing: Any) -> str:
    return str(getattr(thing, "__module__", "")).split(".")[0]
