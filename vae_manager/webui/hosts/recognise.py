"""Which host this is, told by what it has and never by its folder's name."""

from __future__ import annotations

import importlib
from typing import Any

from ...sentences import say
from ..faults import FAULTS
from .surfaces import host_here


def script_for_this_host() -> type[Any] | None:
    """Plug the extension into the running WebUI; return the class of which the WebUI makes the script.

    If the adapter fails, the one for unknown WebUIs takes its place; None if that fails too.
    """
    for host in dict.fromkeys([host_here(), "unknown"]):
        with FAULTS.caught(say("The adapter for this WebUI")):
            script: type[Any] = importlib.import_module(f"{__package__}.{host}.plug").into_webui()
            return script
    return None
