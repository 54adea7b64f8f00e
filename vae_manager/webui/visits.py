"""Requests to the extension's own routes: who asks, and the host as that person may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from ..errors import NotAdmittedError
from .admission import Visitor, admit
from .hosts.visited import seen_from_elsewhere, seen_from_here
from .translation import Words

if TYPE_CHECKING:
    from .hosts.host import Host

__all__ = ["OURS_ALONE", "host_for", "not_admitted", "visitor_of"]


OURS_ALONE: Final = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Headers of all answers. On a network without TLS a browser sends no `Sec-Fetch-Site`: the second header prevents
another page from showing a picture of the extension, and from measuring it."""


def visitor_of(host: Host, request: Request) -> Visitor:
    """The sender of the request. Raises NotAdmittedError."""
    return admit(request.headers.items(), request.client.host if request.client is not None else None, host.listening())


def host_for(host: Host, request: Request) -> Host:
    """The host as the sender of the request may use it. Raises NotAdmittedError."""
    return seen_from_here(host) if visitor_of(host, request).is_owner else seen_from_elsewhere(host)


def not_admitted(error: NotAdmittedError, words: Words) -> JSONResponse:
    """The page shows the sentence; programs go by the code."""
    content = {"code": error.code, "error": words(error.sentence)}
    return JSONResponse(content, status_code=403, headers={"Cache-Control": "no-store", **OURS_ALONE})
