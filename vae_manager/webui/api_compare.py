"""POST /vae-manager/api/compare: a comparison for programs, where the WebUI was started with --api.

    {"infotext": TEXT | null, "picture": BASE64 | null, "encode": "current" | "each", "vaes": [NAME, …]}

Without a picture to be encoded, one of the last generated ones is compared: that of this infotext, else the newest.
"None" is the checkpoint's own VAE, as everywhere in the WebUI's API. The same sign-in as /sdapi is asked for, JSON
alone is taken, and no page elsewhere can ask. The answer comes when all is done; an error is a sentence.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..compare import Comparison, Encoder, Kept, Result, State
from ..errors import IntegrityError, NotAdmittedError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..files.json_text import parse_json
from ..sentences import Sentence, say
from ..service import Service
from .comparison_job import begin
from .hosts.comparison_protocol import MOST_PIXELS, Wanted
from .request_guard import OURS_ALONE, host_for, not_admitted
from .translation import without_paths, words_of
from .ui.comparison_facts import notes_of

if TYPE_CHECKING:
    from ..compare.comparison_values import Pixels
    from .hosts.host import Host

PATH: Final = "/vae-manager/api/compare"
FIELDS: Final = ("infotext", "picture", "encode", "vaes")
MAX_BODY_BYTES: Final = 96 * 2**20
"""More than a PNG of the most pixels takes in base64."""


def register(app: FastAPI, host: Host, service: Callable[[], Service], users: Mapping[str, str]) -> None:
    """Add the route. `users` are those of `--api-auth` with their passwords; none: nobody is asked to sign in."""

    async def compare(request: Request) -> Response:
        try:
            here = host_for(host, request)
        except NotAdmittedError as error:
            return not_admitted(error, words_of(host))
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refuse(415, "Only JSON is taken.")
        body = await _body(request)
        if body is None:
            return _refuse(413, f"A question has at most {MAX_BODY_BYTES // 2**20} MB.")
        try:
            asked = parse_json(body, max_bytes=MAX_BODY_BYTES)
        except ValueError:
            return _refuse(400, "This is no JSON, or its parts lie too deep in each other.")
        return await run_in_threadpool(_answer, here, service(), asked)

    app.post(PATH, dependencies=[Depends(_signed_in(users))] if users else [])(compare)


async def _body(request: Request) -> bytes | None:
    """Read the body; None if it is too long."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _signed_in(users: Mapping[str, str]) -> Callable[..., None]:
    """As the WebUI's own routes have it (modules/api/api.py:279)."""

    def signed_in(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        expected = users.get(credentials.username)
        if expected is None or not compare_digest(credentials.password.encode(), expected.encode()):
            raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    # The annotations are looked up by name otherwise, which this function's place hides.
    signed_in.__annotations__ = {"credentials": HTTPBasicCredentials, "return": None}
    return signed_in


def _answer(host: Host, service: Service, asked: Any) -> Response:
    try:
        wanted = _wanted(host, asked)
        done = _done(host, service, wanted)
        if done.error is not None:
            raise RefusedError(done.error)
    except VaeManagerError as error:
        status = {UsageError: 400, IntegrityError: 400, NotFoundError: 404}.get(type(error), 409)
        return _refuse(status, _text(error.sentence, host))
    return _as_ascii(_as_json(done, host))


def _wanted(host: Host, asked: Any) -> Wanted:
    if not isinstance(asked, dict) or asked.keys() - set(FIELDS):
        fields = ", ".join(FIELDS)
        raise UsageError(say("An object with some of these fields is wanted: {fields}.", fields=fields))
    vaes, encode = asked.get("vaes"), asked.get("encode", "current")
    if not isinstance(vaes, list) or not vaes or not all(isinstance(vae, str) for vae in vaes):
        raise UsageError(say("“vaes” is to be a list of names of VAE files; “None” is the checkpoint's own."))
    if encode not in ("current", "each"):
        raise UsageError(say("“encode” is to be “current” or “each”."))
    if not all(isinstance(asked.get(name), str | None) for name in ("infotext", "picture")):
        raise UsageError(say("“infotext” and “picture” are to be text."))
    if asked.get("picture") is not None:
        return Wanted(Encoder(_pixels(asked["picture"]), encode == "each"), vaes)
    return Wanted(_kept(host, asked.get("infotext")), vaes)


def _kept(host: Host, infotext: str | None) -> Kept:
    kept = host.comparing.kept
    found = next(iter(kept.all()), None) if infotext is None else kept.of_infotext(infotext)
    if found is None:
        raise NotFoundError(
            say("No such picture is kept. Make one, or send one; the settings say how many of the last ones are kept.")
        )
    return found


def _pixels(text: str) -> Pixels:
    """Of a picture in base64, with or without the beginning of a data address."""
    from ..compare.pictures import read_picture

    try:
        content = base64.b64decode(text.rpartition(",")[2], validate=True)
    except ValueError as error:
        raise UsageError(say("“picture” is no picture in base64.")) from error
    return read_picture(content, max_pixels=MOST_PIXELS)


def _done(host: Host, service: Service, wanted: Wanted) -> Comparison:
    """Waits for it, in the same line as those of the page."""
    done: list[Comparison] = []
    id = begin(host.comparing, service, wanted, say("A comparison asked for by a program"), done.append)
    service.comparing.wait(id)
    if not done or done[0].state is State.STOPPED:
        raise RefusedError(say("The comparison was stopped. The VAE in use is unchanged."))
    return done[0]


def _as_json(done: Comparison, host: Host) -> dict[str, Any]:
    return {
        "reference": "original" if done.original is not None else None if done.lacks_reference else done.reference,
        "note": _text(done.note, host) if done.note is not None else None,
        "seconds": done.seconds,
        "results": [_result(result, host) for result in done.results],
    }


def _result(result: Result, host: Host) -> dict[str, Any]:
    from ..compare.sheet import png

    decoded = result.decoded
    written = png(decoded.pixels, result.infotext) if decoded.pixels is not None else None
    return {
        "vae": decoded.vae,
        "picture": base64.b64encode(written).decode() if written is not None else None,
        "seconds": decoded.seconds,
        "peak_bytes": decoded.peak,
        "nan": decoded.nan,
        "figures": asdict(result.figures) if result.figures is not None else None,
        "words": [str(word) for word in result.words],
        "note": " ".join(map(str, notes_of(result))) or None,
        "error": _text(decoded.error, host) if decoded.error is not None else None,
        "infotext": result.infotext,
    }


def _text(sentence: Sentence, host: Host) -> str:
    """In English, for programs."""
    return str(sentence if host.shows_paths else without_paths(sentence))


def _refuse(status: int, reason: str) -> Response:
    return _as_ascii({"error": reason}, status)


def _as_ascii(content: Mapping[str, Any], status: int = 200) -> Response:
    """A name, of a file or in a question, can hold halves of characters, which no UTF-8 has."""
    return Response(json.dumps(content), status, OURS_ALONE, "application/json")
