"""Plugs the extension into Forge."""

from __future__ import annotations

from typing import Any

from ..family.plug import Plug
from .adapter import Forge

HOST = Forge()
PLUG = Plug(HOST)


def into_webui() -> type[Any]:
    return PLUG.into_webui()
