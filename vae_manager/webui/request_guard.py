"""Admission applied to requests: who is answered, and the data folder that no route gives away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from ..errors import NotAdmittedError
from .admission import Visitor, admit
from .hosts.visited import seen_from_elsewhere, seen_from_here
from .translation import Words

if TYPE_CHECKING:
    from .hosts.host import Host

__all__ = ["OURS_ALONE", "close_folder", "host_for", "not_admitted", "visitor_of"]


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


PREFIXES: Final = ("/file=", "/file/", "/gradio_api/file=", "/gradio_api/file/")


def close_folder(app: FastAPI, folder: Path) -> None:
    """Answer requests for files of `folder` before gradio does."""
    app.router.routes.insert(0, _Closed(folder))


class _Closed(Route):
    """Route that matches just the requests for files of the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("/file={path:path}", _refuse, include_in_schema=False)
        self._folder = folder

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and self._leads_here(str(scope["path"])):
            return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}
        return Match.NONE, {}

    def _leads_here(self, path: str) -> bool:
        for prefix in PREFIXES:
            _, found, file = path.partition(prefix)  # a proxy may pass on what stands before it
            if found and _is_inside(file, self._folder):
                return True
        return False


def _refuse(request: Request) -> Response:
    return JSONResponse({"detail": "File not allowed."}, status_code=403)


def _is_inside(file: str, folder: Path) -> bool:
    """True if the file is in the folder, under any name, or does not exist by its name."""
    try:
        status = folder.stat()
        places = {Path(os.path.abspath(file)), Path(os.path.realpath(file))}  # noqa: PTH100 - gradio's own way
    except (OSError, ValueError):
        return False  # there is no folder yet, or no such path
    return any(_is_same(one, status) for place in places for one in (place, *place.parents))


def _is_same(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False
