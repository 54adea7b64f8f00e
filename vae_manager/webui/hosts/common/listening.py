"""The reach of the WebUI's server, by its flags. Forks lack some of them, so each is read with a default."""

from __future__ import annotations

import logging
import os
from typing import Any

from ....sentences import say
from ...admission import FLAG, Name, is_loopback, names_in, no_names_in

logger = logging.getLogger(__name__)

SHARING = ("share", "ngrok")
"""Flags that open the WebUI to the internet, on any interface."""


def is_shared(flags: Any) -> bool:
    """Other machines can reach the page, or the WebUI takes it so: it does for any --server-name."""
    return bool(getattr(flags, "webui_is_non_local", False)) or not is_on_loopback(flags)


def is_closed_to_strangers(flags: Any) -> bool:
    """Extensions may change only the picture. WebUIs that lack the flag for it have those that it is made of."""
    closed = getattr(flags, "disable_extension_access", None)
    if closed is not None:
        return bool(closed)
    return is_shared(flags) and not getattr(flags, "enable_insecure_extension_access", False)


def is_on_loopback(flags: Any) -> bool:
    """Only this machine can connect."""
    if any(getattr(flags, flag, None) for flag in SHARING) or _is_on(os.environ.get("GRADIO_SHARE")):
        return False
    name = getattr(flags, "server_name", None)
    if not name and getattr(flags, "listen", False):
        return False
    return is_loopback(name or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1")


def added_names(flags: Any, setting: object) -> frozenset[Name]:
    """Return the names of the flag and of the setting. Invalid names are reported in the console."""
    flag = getattr(flags, "vae_manager_allowed_hosts", None) or ""
    typed = f"{flag},{setting or ''}"
    wrong = no_names_in(typed)
    if wrong:
        sentence = say(
            "{flag}, or the setting for it, holds what is no name of a server, and it is left out: {words}.",
            flag=FLAG,
            words=" ".join(wrong),
        )
        logger.warning("%s", sentence)
    return names_in(typed)


def _is_on(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true")
