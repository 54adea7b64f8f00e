"""Routes of the API, and those that serve the page's pictures.

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

A comparison for programs, if the WebUI was started with --api:

    POST /vae-manager/api/compare
    {"infotext": TEXT | null, "picture": BASE64 | null, "encode": "current" | "each", "vaes": [NAME, …]}

Without a picture to be encoded, one of the last generated ones is compared: that of this infotext, else the newest.
    POST /vae-manager/v1/rescue
    {"infotext": TEXT | null}

Decodes one of the last generated pictures again: with more precision, then by other VAEs, until one gives a picture.
The answer is that of a comparison; its last result has the picture, if any has.

"None" is the checkpoint's own VAE, as everywhere in the WebUI's API. The route requires the same sign-in as /sdapi,
accepts only JSON, and refuses requests of other pages. The answer comes after the whole comparison; an error is a
sentence.
"""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..compare import Comparison, Encoder, RecentPicture, Result, State
from ..downloads import MAX_WAIT_SECONDS, Look
from ..errors import IntegrityError, NotAdmittedError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..files.state_file import parse_json
from ..library.folders import MAX_BYTES, media_type_of
from ..messages import Message, msg
from ..service import Service
from .admission import OURS_ALONE, host_for, not_admitted, visitor_of
from .comparison_job import begin
from .hosts.host import MAX_PIXELS, ComparisonRequest
from .translation import translator_of, without_paths
from .ui.comparison_page import comparison_of, notes_of
from .ui.gradio_compat import signed_in
from .ui.page import COMPARISON, LIBRARY, TABS, Page
from .ui.views.comparison_section import FIRST_LOOK, ORIGINAL, PICTURES_PATH, SHEET, legend

if TYPE_CHECKING:
    from ..compare.comparison_store import Pixels
    from .hosts.host import Host

__all__ = ["register", "register_compare", "register_look", "register_pictures", "register_previews", "sign_in_of"]


PREVIEW_PATH = "/vae-manager/preview"
HEADERS = {"Cache-Control": "private, no-cache", **OURS_ALONE}

KEPT = {"Cache-Control": "private, max-age=86400", **OURS_ALONE}
NOT_KEPT = {"Cache-Control": "no-store", **OURS_ALONE}
PLACES = 8
"""The number of parts with the largest difference that the page steps through."""

COMPARE_PATH: Final = "/vae-manager/api/compare"
RESCUE_PATH: Final = "/vae-manager/v1/rescue"
FIELDS: Final = ("infotext", "picture", "encode", "vaes")
MAX_BODY_BYTES: Final = 96 * 2**20
"""More than the base64 text of a PNG with the most pixels."""

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


def register_compare(
    app: FastAPI, host: Host, service: Callable[[], Service], sign_in: Callable[[Request], Response | None]
) -> None:
    """Add the routes of comparing and rescuing. `sign_in` is that of `sign_in_of`."""

    async def answer(request: Request, wanted: Callable[[Host, Any], ComparisonRequest]) -> Response:
        try:
            here = host_for(host, request)
        except NotAdmittedError as error:
            return not_admitted(error, translator_of(host))
        refusal = sign_in(request)
        if refusal is not None:
            return refusal
        if not sends_json(request):
            return _refuse_comparison(415, "Only JSON is taken.", "not-json")
        body = await read_body(request)
        if body is None:
            return _refuse_comparison(413, f"A question has at most {MAX_BODY_BYTES // 2**20} MB.", "too-long")
        try:
            asked = parse_json(body, max_bytes=MAX_BODY_BYTES)
        except ValueError:
            return _refuse_comparison(400, "This is no JSON, or its parts lie too deep in each other.", "bad-json")
        return await run_in_threadpool(_comparison_answer, here, service(), lambda: wanted(here, asked))

    async def compare(request: Request) -> Response:
        return await answer(request, _wanted)

    async def rescue(request: Request) -> Response:
        return await answer(request, _wanted_rescue)

    app.post(COMPARE_PATH)(compare)
    app.post(RESCUE_PATH, tags=["VAE Manager"], summary="Decode one of the last pictures again")(rescue)


def sends_json(request: Request) -> bool:
    """Return True for a body of JSON, which no form of another page can send."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def read_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes | None:
    """Read the body; None if it has more than `most` bytes."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def sign_in_of(app: FastAPI, users: Mapping[str, str]) -> Callable[[Request], Response | None]:
    """Return a function that returns the refusal of a request without the wanted sign-in; None for a good one.

    It checks as the WebUI's own routes do (modules/api/api.py:279). Without `users` the sign-in of the page is wanted,
    if the WebUI has one.
    """

    def refusal(request: Request) -> Response | None:
        if not users:
            has_page = hasattr(app, "auth") or hasattr(app, "auth_dependency")
            is_good = not has_page or signed_in(app, request)
        else:
            name, password = _credentials(request)
            expected = users.get(name)
            is_good = expected is not None and compare_digest(password.encode(), expected.encode())
        if is_good:
            return None
        answer = _refuse_comparison(401, "Sign in first, as for the WebUI's own API.", "not-signed-in")
        answer.headers["WWW-Authenticate"] = "Basic"
        return answer

    return refusal


def _credentials(request: Request) -> tuple[str, str]:
    """Return the name and the password of a request; empty without them."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def _comparison_answer(host: Host, service: Service, wanted: Callable[[], ComparisonRequest]) -> Response:
    try:
        done = _done(host, service, wanted())
        if done.error is not None:
            raise RefusedError(done.error)
    except VaeManagerError as error:
        status = {UsageError: 400, IntegrityError: 400, NotFoundError: 404}.get(type(error), 409)
        return _refuse_comparison(status, _text(error.message, host), error.code)
    return _as_ascii(_as_json(done, host))


def _wanted(host: Host, asked: Any) -> ComparisonRequest:
    if not isinstance(asked, dict) or asked.keys() - set(FIELDS):
        fields = ", ".join(FIELDS)
        raise UsageError(msg("An object with some of these fields is wanted: {fields}.", fields=fields))
    vaes, encode = asked.get("vaes"), asked.get("encode", "current")
    if not isinstance(vaes, list) or not vaes or not all(isinstance(vae, str) for vae in vaes):
        raise UsageError(msg("“vaes” is to be a list of names of VAE files; “None” is the checkpoint's own."))
    if encode not in ("current", "each"):
        raise UsageError(msg("“encode” is to be “current” or “each”."))
    if not all(isinstance(asked.get(name), str | None) for name in ("infotext", "picture")):
        raise UsageError(msg("“infotext” and “picture” are to be text."))
    if asked.get("picture") is not None:
        return ComparisonRequest(Encoder(_pixels(asked["picture"]), encode == "each"), vaes)
    return ComparisonRequest(_kept(host, asked.get("infotext")), vaes)


def _wanted_rescue(host: Host, asked: Any) -> ComparisonRequest:
    if not isinstance(asked, dict) or asked.keys() - {"infotext"}:
        raise UsageError(msg("An object with some of these fields is wanted: {fields}.", fields="infotext"))
    if not isinstance(asked.get("infotext"), str | None):
        raise UsageError(msg("“infotext” is to be text, or null for the newest picture."))
    return ComparisonRequest(_kept(host, asked.get("infotext")), (), is_rescue=True)


def _kept(host: Host, infotext: str | None) -> RecentPicture:
    kept = host.comparing.kept
    found = next(iter(kept.all()), None) if infotext is None else kept.of_infotext(infotext)
    if found is None:
        raise NotFoundError(
            msg("No such picture is kept. Make one, or send one; the settings say how many of the last ones are kept.")
        )
    return found


def _pixels(text: str) -> Pixels:
    """Return the pixels of a picture in base64, with or without the beginning of a data address."""
    from ..compare.pictures import read_picture

    try:
        content = base64.b64decode(text.rpartition(",")[2], validate=True)
    except ValueError as error:
        raise UsageError(msg("“picture” is no picture in base64.")) from error
    return read_picture(content, max_pixels=MAX_PIXELS)


def _done(host: Host, service: Service, wanted: ComparisonRequest) -> Comparison:
    """Queue the comparison with those of the page, and wait for its end."""
    done: list[Comparison] = []
    id = begin(host.comparing, service, wanted, msg("A comparison asked for by a program"), done.append, looks=False)
    service.comparing.wait(id)
    if not done or done[0].state is State.STOPPED:
        raise RefusedError(msg("The comparison was stopped. The VAE in use is unchanged.", code="comparison-stopped"))
    return done[0]


def _as_json(done: Comparison, host: Host) -> dict[str, Any]:
    return {
        "reference": "original" if done.original is not None else None if done.lacks_reference else done.reference,
        "note": _text(done.note, host) if done.note is not None else None,
        "seconds": done.seconds,
        "results": [_result(result, host) for result in done.results],
    }


def _result(result: Result, host: Host) -> dict[str, Any]:
    from ..compare.pictures import png

    decoded = result.decoded
    written = png(decoded.pixels, result.infotext) if decoded.pixels is not None else None
    return {
        "vae": decoded.vae,
        "picture": base64.b64encode(written).decode() if written is not None else None,
        "seconds": decoded.seconds,
        "peak_bytes": decoded.peak,
        "nan": decoded.nan,
        "figures": asdict(result.figures) if result.figures is not None else None,
        "words": [str(word) for word in result.findings],
        "note": " ".join(map(str, notes_of(result))) or None,
        "error": _text(decoded.error, host) if decoded.error is not None else None,
        "code": (decoded.error.code or None) if decoded.error is not None else None,
        "infotext": result.infotext,
    }


def _text(message: Message, host: Host) -> str:
    """Return the message in English, for programs."""
    return str(message if host.shows_paths else without_paths(message))


def _refuse_comparison(status: int, reason: str, code: str) -> Response:
    return _as_ascii({"error": reason, "code": code}, status)


def _as_ascii(content: Mapping[str, Any], status: int = 200) -> Response:
    """Answer in ASCII: the name of a file or in a request can hold lone surrogates, which UTF-8 cannot encode."""
    return Response(json.dumps(content), status, OURS_ALONE, "application/json")


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
            return _refuse(401, "Sign in to the WebUI first.")
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
            return _refuse(401, "Sign in to the WebUI first.")
        if not sends_json(request):
            return _refuse(415, "Only JSON is taken.")
        body = await read_body(request, MAX_QUESTION_BYTES)
        if body is None:
            return _refuse(413, "This address is too long.")
        try:
            asked = parse_json(body)
            address, name, word = asked["address"], asked["name"], asked.get("page", "")
            if not all(isinstance(text, str) for text in (address, name, word)):
                raise ValueError("no texts")
        except (ValueError, LookupError, TypeError):
            return _refuse(400, "This is no address.")
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


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status, headers=OURS_ALONE)
