"""Closure of the extension's data folder to gradio's route for files.

    GET /file=PATH, GET /file/PATH

The WebUI lets gradio serve its whole data folder, to everybody who sees the page and under any name of the server. It
holds the keys of the owner, and paths of this machine. The page reads no file from there, so the folder is closed to
everybody. `blocked_paths` of gradio compares names: another case, or a link, would lead past it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

__all__ = ["close_folder"]

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
