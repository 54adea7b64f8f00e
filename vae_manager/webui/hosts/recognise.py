"""Which host this is, told by what it has and never by its folder's name."""

from __future__ import annotations

import importlib.util
from types import ModuleType


def plug_for_this_host() -> ModuleType:
    """The module whose `into_webui()` plugs the extension into the running WebUI."""
    if importlib.util.find_spec("modules_forge") is not None:
        from .unknown import plug
    else:
        from .a1111 import plug  # type: ignore[no-redef]
    return plug
