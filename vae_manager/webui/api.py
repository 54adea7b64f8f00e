"""The one HTTP route: what an open page shows. It changes nothing; actions go through gradio's events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .ui.gradio_compat import signed_in
from .ui.page import COMPARISON, LIBRARY, TABS, Page

PATH = "/vae-manager/state"


def register(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route to a WebUI's app. `--gradio-auth` guards gradio's own routes only, so it is asked here too."""

    def state(request: Request) -> Response:
        if not signed_in(app, request):
            return _refuse(401, "Sign in to the WebUI first.")
        if not same_site(request):
            return _refuse(403, "Only the WebUI's own page may ask.")
        if "pace" in request.query_params:
            return _answer(page().pace())
        choices = {tab: request.query_params.get(tab, "") for tab in TABS}
        asked = request.query_params
        library = (asked[LIBRARY], asked.get("file", "")) if LIBRARY in asked else None
        comparison = (asked[COMPARISON], asked.get("shown", "")) if COMPARISON in asked else None
        return _answer(page().state(choices, library, comparison))

    app.get(PATH, include_in_schema=False)(state)


def _answer(content: Mapping[str, Any]) -> Response:
    """A name on the disk can hold what no UTF-8 has; it is shown with a question mark, and breaks nothing."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)


def same_site(request: Request) -> bool:
    """False for a request that a page elsewhere makes a browser send."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


