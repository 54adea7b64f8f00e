"""The one HTTP route: what an open page shows. It changes nothing; actions go through gradio's events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import NotAdmittedError
from .request_guard import OURS_ALONE, not_admitted, visitor_of
from .ui.gradio_compat import signed_in
from .ui.page import COMPARISON, LIBRARY, TABS, Page

PATH = "/vae-manager/state"


def register(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route to a WebUI's app. `--gradio-auth` guards gradio's own routes only, so it is asked here too."""

    def state(request: Request) -> Response:
        try:
            seen = page().seen_by(visitor_of(page().host, request))
        except NotAdmittedError as error:
            return not_admitted(error, page().words)
        if not signed_in(app, request):
            return _refuse(401, "Sign in to the WebUI first.")
        if "pace" in request.query_params:
            return _answer(seen.pace())
        choices = {tab: request.query_params.get(tab, "") for tab in TABS}
        asked = request.query_params
        library = (asked[LIBRARY], asked.get("file", "")) if LIBRARY in asked else None
        comparison = (asked[COMPARISON], asked.get("shown", "")) if COMPARISON in asked else None
        return _answer(seen.state(choices, library, comparison))

    app.get(PATH, include_in_schema=False)(state)


def _answer(content: Mapping[str, Any]) -> Response:
    """A name on the disk can hold what no UTF-8 has; it is shown with a question mark, and breaks nothing."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = {"Cache-Control": "no-store", **OURS_ALONE}
    return Response(body, media_type="application/json", headers=headers)


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=OURS_ALONE)
