"""Registering callbacks with the WebUI, quickly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..sentences import Sentence
from .faults import FAULTS
from .hosts import host_values

SCRIPT = str(Path(__file__).parents[2] / "scripts" / "vae_manager_webui.py")
"""The file that the WebUI's lists of callbacks name."""


def register(
    category: str, callback: Callable[..., Any], function: Sentence, otherwise: Callable[[], Any] = lambda: None
) -> None:
    """Register by `script_callbacks.on_CATEGORY(callback)`, with the name of the file. An error of the callback is a
    fault of `function`, and the WebUI gets `otherwise()`; a WebUI without such a callback is a fault too.

    Left alone, the WebUI looks for it on the stack, with all source lines (script_callbacks.py:128): some 50 ms a
    callback, measured. WebUIs before 1.9 do not take the name.
    """
    with FAULTS.caught(function):
        _add(category, FAULTS.edge(callback, function, otherwise))


def _add(category: str, callback: Callable[..., Any]) -> None:
    add = host_values.value("modules.script_callbacks", "add_callback")
    callbacks = host_values.value("modules.script_callbacks", "callback_map", {}).get(f"callbacks_{category}")
    if add is not None and callbacks is not None and "filename" in inspect.signature(add).parameters:
        add(callbacks, callback, category=category, filename=SCRIPT)
    else:
        host_values.needed("modules.script_callbacks", f"on_{category}")(callback)
