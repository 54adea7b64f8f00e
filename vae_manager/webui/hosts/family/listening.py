"""The reach of the WebUI's server, by its flags. Forks lack some of them, so each is read with a default."""

from __future__ import annotations

import os
from typing import Any

from ...admission import Name, is_loopback, names_in

SHARING = ("share", "ngrok")
"""Flags that lead strangers here, whatever the server listens on."""


def is_shared(flags: Any) -> bool:
    """Other machines can reach the page, or the WebUI takes it so: it does for any --server-name."""
    return bool(getattr(flags, "webui_is_non_local", False)) or not is_on_loopback(flags)


def is_on_loopback(flags: Any) -> bool:
    """Only this machine can connect."""
    if any(getattr(flags, flag, None) for flag in SHARING) or _is_on(os.environ.get("GRADIO_SHARE")):
        return False
    name = getattr(flags, "server_name", None)
    if not name and getattr(flags, "listen", False):
        return False
    return is_loopback(name or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1")


def added_names(flags: Any, setting: object) -> frozenset[Name]:
    """Those of the flag and of the setting."""
    flag = getattr(flags, "vae_manager_allowed_hosts", None) or ""
    return names_in(f"{flag},{setting or ''}")


def _is_on(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true")
