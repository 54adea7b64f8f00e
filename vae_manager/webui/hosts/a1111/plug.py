"""Plugs the extension into AUTOMATIC1111's WebUI."""

from __future__ import annotations

from typing import Any

from ..family.plug import Plug
from .adapter import A1111

HOST = A1111()
PLUG = Plug(HOST)


def into_webui() -> type[Any]:
    return PLUG.into_webui()
