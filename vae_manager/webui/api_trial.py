"""Routes of a trial: pictures that are dropped for it, the parts that it shows, and its card.

    POST /vae-manager/trial/pictures            {"batch": TEXT, "name": TEXT, "picture": BASE64}
    GET  /vae-manager/trial/ID/NUMBER/PART.png  a part of the crop of that number; part 0 is the original
    GET  /vae-manager/trial/ID/card.png         the card

They have the admission and the sign-in of the page. The first accepts only JSON, which no form of another page can
send; the pictures stay in memory, within bounds, and nothing is opened before a trial begins.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..errors import NotAdmittedError, NotFoundError, VaeManagerError
from ..messages import msg
from .admission import OURS_ALONE, not_admitted, visitor_of
from .json_bodies import PICTURE_BYTES, answer, read_json, refuse
from .translation import plain
from .ui.gradio_compat import signed_in
from .ui.trial_page import crop_pixels, trial_of
from .ui.views.trial_section import CARD, TRIAL_PATH

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .ui.page import Page

__all__ = ["register_trial"]

PICTURES_PATH: Final = "/vae-manager/trial/pictures"
MAX_NAME: Final = 120
HEADERS: Final = {"Cache-Control": "no-store", **OURS_ALONE}


def register_trial(app: FastAPI, page: Callable[[], Page]) -> None:
    """Add the routes to a WebUI's app."""

    def guarded(request: Request, work: Callable[[Page], Response]) -> Response:
        try:
            seen = page().seen_by(visitor_of(page().host, request))
        except NotAdmittedError as error:
            return not_admitted(error, page().translate)
        if not signed_in(app, request):
            return refuse(401, "not-signed-in", "Sign in to the WebUI first.")
        try:
            return work(seen)
        except NotFoundError as error:
            return refuse(404, error.code, str(error.message))
        except VaeManagerError as error:
            return refuse(409, error.code, page().translate(error.message))

    async def pictures(request: Request) -> Response:
        refusal = guarded(request, lambda seen: Response())  # before anything is read
        if refusal.status_code != 200:
            return refusal
        asked = await read_json(request, PICTURE_BYTES)
        if isinstance(asked, Response):
            return asked
        return await run_in_threadpool(guarded, request, lambda seen: _added(seen, asked))

    def card(request: Request, id: str) -> Response:
        return guarded(request, lambda seen: _card(seen, id))

    def part(request: Request, id: str, number: str, part: str) -> Response:
        return guarded(request, lambda seen: _part(seen, id, number, part))

    app.post(PICTURES_PATH, include_in_schema=False)(pictures)
    app.get(TRIAL_PATH + "/{id}/" + CARD, include_in_schema=False)(card)
    app.get(TRIAL_PATH + "/{id}/{number}/{part}.png", include_in_schema=False)(part)


def _added(seen: Page, asked: Any) -> Response:
    try:
        batch, name = asked["batch"], asked["name"]
        if not isinstance(batch, str) or not isinstance(name, str):
            raise ValueError("no texts")
        content = base64.b64decode(asked["picture"], validate=True)
    except (ValueError, LookupError, TypeError):
        return refuse(400, "bad-picture", "This is no picture in base64.")
    shown = PurePath(plain(name)).name[:MAX_NAME]
    return answer({"count": seen.service.basket.add(batch[:MAX_NAME], shown, content)})


def _card(seen: Page, id: str) -> Response:
    from ..compare.trial_card import card

    now = trial_of(seen.service, id)
    if now.finding is None or not now.finding.ranking.rows:
        raise NotFoundError(msg("This picture is not there."))
    content = card(now.finding, translate=seen.translate, when=now.when)
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="best-vae.png"'}
    return Response(content, media_type="image/png", headers=headers)


def _part(seen: Page, id: str, number: str, part: str) -> Response:
    from ..compare.pictures import png

    pixels = crop_pixels(trial_of(seen.service, id), _index(number), _index(part))
    return Response(png(pixels), media_type="image/png", headers=HEADERS)


def _index(text: str) -> int:
    """Return a place in a list. Raises NotFoundError for any other text."""
    if not text.isascii() or not text.isdecimal() or len(text) > 4:
        raise NotFoundError(msg("This picture is not there."))
    return int(text)
