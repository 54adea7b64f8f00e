"""Plugs the extension into reForge."""

from __future__ import annotations

from typing import Any

from ..family.plug import Plug
from .adapter import ReForge

HOST = ReForge()
PLUG = Plug(HOST)


def into_webui() -> type[Any]:
    return PLUG.into_webui()
