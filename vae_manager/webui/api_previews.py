"""Previews of the library's files.

    GET /vae-manager/preview/KEY      the picture beside the file of that key

They are admitted as the state is. A key names a file of the library, so no path comes from outside.
"""

from __future__ import annotations

import stat
from collections.abc import Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import NotAdmittedError, NotFoundError
from ..library.sidecars import MAX_BYTES, media_type_of
from .request_guard import OURS_ALONE, not_admitted, visitor_of
from .ui.gradio_compat import signed_in
from .ui.page import Page

__all__ = ["register"]

PATH = "/vae-manager/preview"
HEADERS = {"Cache-Control": "private, no-cache", **OURS_ALONE}


def register(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route to a WebUI's app."""

    def preview(request: Request, key: str) -> Response:
        try:
            visitor_of(page().host, request)
        except NotAdmittedError as error:
            return not_admitted(error, page().words)
        if not signed_in(app, request):
            return _refuse(401)
        return _preview(page(), key, request.headers.get("if-none-match"))

    app.get(PATH + "/{key}", include_in_schema=False)(preview)


def _preview(page: Page, key: str, had: str | None) -> Response:
    try:
        path = page.preview_of(key)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for a writer
            return _refuse(404)
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if had == tag:
            return Response(status_code=304, headers={**HEADERS, "ETag": tag})
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (NotFoundError, OSError):
        return _refuse(404)
    kind = media_type_of(content)
    if kind is None or len(content) > MAX_BYTES:
        return _refuse(404)
    return Response(content, media_type=kind, headers={**HEADERS, "ETag": tag})


def _refuse(status: int) -> JSONResponse:
    return JSONResponse({"error": "There is no such picture."}, status_code=status, headers=HEADERS)
