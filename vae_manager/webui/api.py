"""Routes of the page: its state, its looks at addresses, and its pictures. Those for programs: `program_api`.

Previews of the library's files:

    GET /vae-manager/preview/KEY      the picture beside the file of that key

They have the same admission as the state. A key names a file of the library, so no path comes from outside.

Pictures of a comparison, pixel by pixel, and their differences. These routes change no state:

    GET /vae-manager/comparison/ID/NUMBER.png              the picture of the VAE at that index; `original`
    GET /vae-manager/comparison/ID/look-NUMBER.png         its first look: a part that is decoded before the whole
    GET /vae-manager/comparison/ID/difference/A/B.png      grey: the larger the difference the brighter
    GET /vae-manager/comparison/ID/differences/A/B         the parts with the largest difference, and the level of white
    GET /vae-manager/comparison/ID/sheet.png               the sheet, once it is saved

They are visible to the visitors of the page: they require the same sign-in, and refuse other pages. Numbers restart
with each process, so the page adds `?` and a token of this process, and the browser may cache the pictures.

A look at the file behind an address that the user typed, before its download:

    POST /vae-manager/look    {"address": TEXT, "name": TEXT, "page": TEXT}

The answer is the panel below the field, and the proposed name. It sends requests to the address under the rules of
downloads and changes nothing. It accepts only JSON, which no form of another page can send. `page`, which may be
missing, is a word of the browser's page: a newer look with the same word cancels an older one. No thread of the WebUI
waits for the network.
"""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..compare import Comparison
from ..downloads import MAX_WAIT_SECONDS, Look
from ..errors import NotAdmittedError, NotFoundError, VaeManagerError
from ..library.folders import MAX_BYTES, media_type_of
from ..messages import msg
from .admission import OURS_ALONE, not_admitted, visitor_of
from .json_bodies import read_json, refuse
from .ui.comparison_page import comparison_of
from .ui.gradio_compat import signed_in
from .ui.page import COMPARISON, LIBRARY, TABS, Page
from .ui.views.comparison_section import FIRST_LOOK, ORIGINAL, PICTURES_PATH, SHEET, legend

if TYPE_CHECKING:
    from ..compare.comparison_store import Pixels

__all__ = ["register", "register_look", "register_pictures", "register_previews"]


PREVIEW_PATH = "/vae-manager/preview"
HEADERS = {"Cache-Control": "private, no-cache", **OURS_ALONE}

KEPT = {"Cache-Control": "private, max-age=86400", **OURS_ALONE}
NOT_KEPT = {"Cache-Control": "no-store", **OURS_ALONE}
PLACES = 8
"""The number of parts with the largest difference that the page steps through."""

STATE_PATH = "/vae-manager/state"
LOOK_PATH: Final = "/vae-manager/look"
MAX_QUESTION_BYTES: Final = 20_000
"""More than the longest signed address."""


def register_previews(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route of previews to a WebUI's app."""

    def preview(request: Request, key: str) -> Response:
        try:
            visitor_of(page().host, request)
        except NotAdmittedError as error:
            return not_admitted(error, page().translate)
        if not signed_in(app, request):
            return _refuse_preview(401)
        return _preview(page(), key, request.headers.get("if-none-match"))

    app.get(PREVIEW_PATH + "/{key}", include_in_schema=False)(preview)


def _preview(page: Page, key: str, had: str | None) -> Response:
    try:
        path = page.preview_of(key)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
            return _refuse_preview(404)
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if had == tag:
            return Response(status_code=304, headers={**HEADERS, "ETag": tag})
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (NotFoundError, OSError):
        return _refuse_preview(404)
    kind = media_type_of(content)
    if kind is None or len(content) > MAX_BYTES:
        return _refuse_preview(404)
    return Response(content, media_type=kind, headers={**HEADERS, "ETag": tag})


def _refuse_preview(status: int) -> JSONResponse:
    return JSONResponse({"error": "There is no such picture."}, status_code=status, headers=HEADERS)


def register_pictures(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the routes of a comparison's pictures to a WebUI's app."""

    def guarded(request: Request, id: str, answer: Callable[[Comparison], Response]) -> Response:
        try:
            visitor_of(page().host, request)
        except NotAdmittedError as error:
            return not_admitted(error, page().translate)
        if not signed_in(app, request):
            return _refuse_picture(401, "Sign in to the WebUI first.")
        try:
            return answer(comparison_of(page().service, id))
        except VaeManagerError as error:
            return _refuse_picture(404, str(error.message))

    def picture(request: Request, id: str, which: str) -> Response:
        return guarded(request, id, lambda comparison: _picture(comparison, which))

    def difference(request: Request, id: str, first: str, second: str) -> Response:
        return guarded(request, id, lambda comparison: _difference(comparison, first, second))

    def differences(request: Request, id: str, first: str, second: str) -> Response:
        return guarded(request, id, lambda comparison: _differences(page(), comparison, first, second))

    def sheet(request: Request, id: str) -> Response:
        return guarded(request, id, lambda comparison: _sheet(page().service.saved.get(comparison.id, ())))

    app.get(PICTURES_PATH + "/{id}/" + SHEET, include_in_schema=False)(sheet)
    app.get(PICTURES_PATH + "/{id}/{which}.png", include_in_schema=False)(picture)
    app.get(PICTURES_PATH + "/{id}/difference/{first}/{second}.png", include_in_schema=False)(difference)
    app.get(PICTURES_PATH + "/{id}/differences/{first}/{second}", include_in_schema=False)(differences)


def _picture(comparison: Comparison, which: str) -> Response:
    from ..compare.pictures import png

    return _png(png(pixels_of(comparison, which)), KEPT)


def _difference(comparison: Comparison, first: str, second: str) -> Response:
    from ..compare.metrics import difference_map
    from ..compare.pictures import png

    return _png(png(difference_map(*_two(comparison, first, second)).pixels), KEPT)


def _differences(page: Page, comparison: Comparison, first: str, second: str) -> Response:
    from ..compare.metrics import difference_map, most_different

    two = _two(comparison, first, second)
    boxes = most_different(two, PLACES)
    text = legend(difference_map(*two).white if boxes else 0, page.translate)
    return JSONResponse({"boxes": [list(box) for box in boxes], "legend": text}, headers=KEPT)


def _sheet(saved: Sequence[Path]) -> Response:
    """Answer with the saved file, which may be deleted by now."""
    try:
        return _png(saved[-1].read_bytes(), NOT_KEPT)
    except (IndexError, OSError):
        raise NotFoundError(msg("This picture is not there.")) from None


def _two(comparison: Comparison, first: str, second: str) -> tuple[Pixels, Pixels]:
    left, right = pixels_of(comparison, first), pixels_of(comparison, second)
    if left.shape != right.shape:
        raise NotFoundError(msg("These two pictures have different sizes."))
    return left, right


def pixels_of(comparison: Comparison, which: str) -> Pixels:
    """Return the original, or the picture or the first look by the VAE of that number. Raises NotFoundError."""
    pixels = comparison.original if which == ORIGINAL else None
    number = which.removeprefix(FIRST_LOOK)
    if number.isascii() and number.isdecimal() and len(number) < 5 and int(number) < len(comparison.vaes):
        vae = comparison.vaes[int(number)]
        look, result = comparison.look_of(vae), comparison.of(vae)
        decoded = result.decoded.pixels if result is not None else None
        pixels = decoded if number == which else look.pixels if look is not None else None
    if pixels is None:
        raise NotFoundError(msg("This picture is not there."))
    return pixels


def _png(content: bytes, headers: dict[str, str]) -> Response:
    return Response(content, media_type="image/png", headers=headers)


def _refuse_picture(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=NOT_KEPT)


def register(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route of the state to a WebUI's app.

    `--gradio-auth` guards gradio's own routes only, so this route checks it too.
    """

    def state(request: Request) -> Response:
        try:
            seen = page().seen_by(visitor_of(page().host, request))
        except NotAdmittedError as error:
            return not_admitted(error, page().translate)
        if not signed_in(app, request):
            return refuse(401, "not-signed-in", "Sign in to the WebUI first.")
        if "pace" in request.query_params:
            return _answer(seen.pace())
        choices = {tab: request.query_params.get(tab, "") for tab in TABS}
        asked = request.query_params
        library = (asked[LIBRARY], asked.get("file", "")) if LIBRARY in asked else None
        comparison = (asked[COMPARISON], asked.get("shown", "")) if COMPARISON in asked else None
        return _answer(seen.state(choices, library, comparison))

    app.get(STATE_PATH, include_in_schema=False)(state)


def register_look(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the route of looks at addresses to a WebUI's app."""

    async def look(request: Request) -> Response:
        try:
            seen = page().seen_by(visitor_of(page().host, request))
        except NotAdmittedError as error:
            return not_admitted(error, page().translate)
        if not signed_in(app, request):
            return refuse(401, "not-signed-in", "Sign in to the WebUI first.")
        asked = await read_json(request, MAX_QUESTION_BYTES)
        if isinstance(asked, Response):
            return asked
        try:
            address, name, word = asked["address"], asked["name"], asked.get("page", "")
            if not all(isinstance(text, str) for text in (address, name, word)):
                raise ValueError("no texts")
        except (ValueError, LookupError, TypeError):
            return refuse(400, "no-address", "This is no address.")
        answer = await run_in_threadpool(seen.begin_look, address, word)
        await _wait_for(answer)
        return _answer(await run_in_threadpool(seen.show_look, answer, name))

    app.post(LOOK_PATH, include_in_schema=False)(look)


async def _wait_for(answer: Future[Look]) -> None:
    """Wait until `answer` is there or it has taken too long, without a thread."""
    waited = asyncio.wrap_future(answer)
    await asyncio.wait([waited], timeout=MAX_WAIT_SECONDS)
    if waited.done():
        waited.exception()  # the page shows that of `answer`; asyncio logs what is not asked for


def _answer(content: Mapping[str, Any]) -> Response:
    """Answer in UTF-8; characters of file names that UTF-8 cannot encode are replaced by a question mark."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = {"Cache-Control": "no-store", **OURS_ALONE}
    return Response(body, media_type="application/json", headers=headers)
