"""The pictures of a comparison, to the pixel, and where two of them differ. Nothing is changed here.

    GET /vae-manager/comparison/ID/NUMBER.png              what the VAE of that place made; `original`
    GET /vae-manager/comparison/ID/difference/A/B.png      grey: the larger the difference the brighter
    GET /vae-manager/comparison/ID/differences/A/B         where they differ most, and what white stands for
    GET /vae-manager/comparison/ID/sheet.png               the sheet, once it is saved

They belong to whoever may see the page: the same sign-in is asked for, and no page elsewhere gets one. Numbers begin
anew with each process, so the page adds `?` and a word of this one, and the browser may keep what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..compare import Comparison
from ..errors import NotAdmittedError, NotFoundError, VaeManagerError
from ..sentences import say
from .request_guard import OURS_ALONE, not_admitted, visitor_of
from .ui.comparison_actions import comparison_of
from .ui.gradio_compat import signed_in
from .ui.markup.comparison_section import ORIGINAL, PATH, SHEET
from .ui.markup.picture_viewer import legend
from .ui.page import Page

if TYPE_CHECKING:
    from ..compare.comparison_values import Pixels

KEPT = {"Cache-Control": "private, max-age=86400", **OURS_ALONE}
NOT_KEPT = {"Cache-Control": "no-store", **OURS_ALONE}
PLACES = 8
"""Where two pictures differ most, of which a person is led from one to the next."""


def register(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the routes to a WebUI's app."""

    def guarded(request: Request, id: str, answer: Callable[[Comparison], Response]) -> Response:
        try:
            visitor_of(page().host, request)
        except NotAdmittedError as error:
            return not_admitted(error, page().words)
        if not signed_in(app, request):
            return _refuse(401, "Sign in to the WebUI first.")
        try:
            return answer(comparison_of(page().service, id))
        except VaeManagerError as error:
            return _refuse(404, str(error.sentence))

    def picture(request: Request, id: str, which: str) -> Response:
        return guarded(request, id, lambda comparison: _picture(comparison, which))

    def difference(request: Request, id: str, first: str, second: str) -> Response:
        return guarded(request, id, lambda comparison: _difference(comparison, first, second))

    def differences(request: Request, id: str, first: str, second: str) -> Response:
        return guarded(request, id, lambda comparison: _differences(page(), comparison, first, second))

    def sheet(request: Request, id: str) -> Response:
        return guarded(request, id, lambda comparison: _sheet(page().service.saved.get(comparison.id, ())))

    app.get(PATH + "/{id}/" + SHEET, include_in_schema=False)(sheet)
    app.get(PATH + "/{id}/{which}.png", include_in_schema=False)(picture)
    app.get(PATH + "/{id}/difference/{first}/{second}.png", include_in_schema=False)(difference)
    app.get(PATH + "/{id}/differences/{first}/{second}", include_in_schema=False)(differences)


def _picture(comparison: Comparison, which: str) -> Response:
    from ..compare.sheet import png

    return _png(png(pixels_of(comparison, which)), KEPT)


def _difference(comparison: Comparison, first: str, second: str) -> Response:
    from ..compare.metrics import difference_map
    from ..compare.sheet import png

    return _png(png(difference_map(*_two(comparison, first, second)).pixels), KEPT)


def _differences(page: Page, comparison: Comparison, first: str, second: str) -> Response:
    from ..compare.metrics import difference_map, most_different

    two = _two(comparison, first, second)
    boxes = most_different(two, PLACES)
    text = legend(difference_map(*two).white if boxes else 0, page.words)
    return JSONResponse({"boxes": [list(box) for box in boxes], "legend": text}, headers=KEPT)


def _sheet(saved: Sequence[Path]) -> Response:
    """The file that was saved, which may be gone by now."""
    try:
        return _png(saved[-1].read_bytes(), NOT_KEPT)
    except (IndexError, OSError):
        raise NotFoundError(say("This picture is not there.")) from None


def _two(comparison: Comparison, first: str, second: str) -> tuple[Pixels, Pixels]:
    left, right = pixels_of(comparison, first), pixels_of(comparison, second)
    if left.shape != right.shape:
        raise NotFoundError(say("These two pictures have different sizes."))
    return left, right


def pixels_of(comparison: Comparison, which: str) -> Pixels:
    """The original, or what the VAE of that number has made. Raises NotFoundError."""
    pixels = comparison.original if which == ORIGINAL else None
    if which.isascii() and which.isdecimal() and len(which) < 5 and int(which) < len(comparison.vaes):
        result = comparison.of(comparison.vaes[int(which)])
        pixels = result.decoded.pixels if result is not None else None
    if pixels is None:
        raise NotFoundError(say("This picture is not there."))
    return pixels


def _png(content: bytes, headers: dict[str, str]) -> Response:
    return Response(content, media_type="image/png", headers=headers)


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=NOT_KEPT)
