"""Refusals: answers with an error status, as errors of this project, with the server's own words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ..errors import NetworkError, RefusedError, TransientNetworkError, VaeManagerError
from ..messages import msg
from .network_faults import proxy_sign_in_error
from .request import retry_after_of
from .urls import header_text, host

if TYPE_CHECKING:
    from requests import Response

__all__ = ["is_explained", "status_error"]

_MAX_BODY: Final = 1 << 14
"""Bytes of an error's body that are read."""
_MAX_REASON: Final = 300
"""Characters of a reason that are shown."""
_REASON_KEYS: Final = ("error", "message", "Message", "detail", "error_description")
"""Keys under which servers put a sentence into JSON: the hub, Civitai, ModelScope, FastAPI, OAuth."""
LEGAL_REASONS: Final = 451


def status_error(response: Response, address: str) -> VaeManagerError:
    """Return the error for a status without a more specific sentence from its source."""
    status, name = response.status_code, host(address)
    if status == 407:
        return proxy_sign_in_error(address)
    if _is_browser_check(response):
        return RefusedError(
            msg(
                "{host} wants to see a browser first (a check by Cloudflare). Open the address in a browser, save the "
                "file there, and import it.",
                code="browser-check",
                host=name,
            )
        )
    if status == 429:
        message = msg("{host} is asked too often (429).", code="too-many-requests", host=name)
        return TransientNetworkError(message, retry_after_of(response.headers))
    if status >= 500 or status in (408, 425):
        return TransientNetworkError(
            msg(
                "{host} has a server error ({status}). Try again later.", code="server-error", host=name, status=status
            ),
            retry_after_of(response.headers),
        )
    reason = _reason(response)
    if status == LEGAL_REASONS:
        return RefusedError(
            msg(
                "{host} does not give this file here, for legal reasons (451). It says: “{reason}” Try another source "
                "of the same file: its hash proves it.",
                code="legal-reasons",
                host=name,
                reason=reason or "Unavailable For Legal Reasons",
            )
        )
    if reason:
        return (RefusedError if status in (401, 403) else NetworkError)(
            msg(
                "{host} refuses the request ({status}). It says: “{reason}”",
                code="refused-by-server",
                host=name,
                status=status,
                reason=reason,
            )
        )
    return NetworkError(msg("{host} answers with status {status}.", host=name, status=status))


def is_explained(response: Response) -> bool:
    """Return whether `status_error` knows more of a refusal than its status."""
    return _is_browser_check(response) or bool(header_text(response.headers.get("X-Error-Message", "")).strip())


def _is_browser_check(response: Response) -> bool:
    """Return whether Cloudflare wants to see a browser (developers.cloudflare.com: detect a challenge page)."""
    return response.headers.get("cf-mitigated", "").lower() == "challenge"


def _reason(response: Response) -> str:
    """Return the server's own sentence for a refusal, as one short line; empty if it gives none.

    It is in the hub's X-Error-Message header, or in the JSON of the body, of which only the beginning is read.
    """
    return _line(header_text(response.headers.get("X-Error-Message", ""))) or _line(_in_body(response))


def _in_body(response: Response) -> str:
    if "json" not in response.headers.get("Content-Type", "").lower() or response.request.method == "HEAD":
        return ""
    try:
        data = response.raw.read(_MAX_BODY, decode_content=True)
        found = json.loads(data)
    except Exception:  # noqa: BLE001 - the status is the error; its reason is an extra, from whatever the server sends
        return ""
    while isinstance(found, dict):
        found = next((found[key] for key in _REASON_KEYS if found.get(key)), "")
    return found if isinstance(found, str) else ""


def _line(text: str) -> str:
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 1] + "…"
