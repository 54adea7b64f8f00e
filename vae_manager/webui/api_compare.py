"""POST /vae-manager/api/compare: a comparison for programs, where the WebUI was started with --api.

    {"infotext": TEXT | null, "picture": BASE64 | null, "encode": "current" | "each", "vaes": [NAME, …]}

Without a picture to be encoded, one of the last generated ones is compared: that of this infotext, else the newest.
"None" is the checkpoint's own VAE, as everywhere in the WebUI's API. The same sign-in as /sdapi is asked for, JSON
alone is taken, and no page elsewhere can ask. The answer comes when all is done; an error is a sentence.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..compare import Comparison, Encoder, Kept, Result, State
from ..errors import NotFoundError, RefusedError, UsageError, VaeManagerError
from ..sentences import Sentence, say
from ..service import Service
from .api import same_site
from .comparing import begin
from .hosts.comparing import MOST_PIXELS, Wanted
from .ui.comparison.figures import notes_of

if TYPE_CHECKING:
    from ..compare.values import Pixels
    from .hosts.host import Host

PATH: Final = "/vae-manager/api/compare"
FIELDS: Final = ("infotext", "picture", "encode", "vaes")


def register(app: FastAPI, host: Host, service: Callable[[], Service], users: Mapping[str, str]) -> None:
    """Add the route. `users` are those of `--api-auth` with their passwords; none: nobody is asked to sign in."""

    async def compare(request: Request) -> JSONResponse:
        if not same_site(request):
            return _refuse(403, "Only programs and the WebUI's own page may ask.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refuse(415, "Only JSON is taken.")
        try:
            asked = await request.json()
        except ValueError:
            return _refuse(400, "This is no JSON.")
        return await run_in_threadpool(_answer, host, service(), asked)

    app.post(PATH, dependencies=[Depends(_signed_in(users))] if users else [])(compare)


def _signed_in(users: Mapping[str, str]) -> Callable[..., None]:
    """As the WebUI's own routes have it (modules/api/api.py:279)."""

    def signed_in(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        expected = users.get(credentials.username)
        if expected is None or not compare_digest(credentials.password.encode(), expected.encode()):
            raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    # The annotations are looked up by name otherwise, which this function's place hides.
    signed_in.__annotations__ = {"credentials": HTTPBasicCredentials, "return": None}
    return signed_in


def _answer(host: Host, service: Service, asked: Any) -> JSONResponse:
    try:
        wanted = _wanted(host, asked)
        done = _done(host, service, wanted)
        if done.error is not None:
            raise RefusedError(done.error)
    except VaeManagerError as error:
        status = {UsageError: 400, NotFoundError: 404}.get(type(error), 409)
        return _refuse(status, str(error.sentence))
    return JSONResponse(_as_json(done))


def _wanted(host: Host, asked: Any) -> Wanted:
    if not isinstance(asked, dict) or asked.keys() - set(FIELDS):
        fields = ", ".join(FIELDS)
        raise UsageError(say("An object with some of these fields is wanted: {fields}.", fields=fields))
    vaes, encode = asked.get("vaes"), asked.get("encode", "current")
    if not isinstance(vaes, list) or not vaes or not all(isinstance(vae, str) for vae in vaes):
        raise UsageError(say("“vaes” is to be a list of names of VAE files; “None” is the checkpoint's own."))
    if encode not in ("current", "each"):
        raise UsageError(say("“encode” is to be “current” or “each”."))
    if asked.get("picture") is not None:
        return Wanted(Encoder(_pixels(asked["picture"]), encode == "each"), vaes)
    return Wanted(_kept(host, asked.get("infotext")), vaes)


def _kept(host: Host, infotext: Any) -> Kept:
    kept = host.comparing.kept
    found = next(iter(kept.all()), None) if infotext is None else kept.of_infotext(str(infotext))
    if found is None:
        raise NotFoundError(
            say("No such picture is kept. Make one, or send one; the settings say how many of the last ones are kept.")
        )
    return found


def _pixels(text: Any) -> Pixels:
    """Of a picture in base64, with or without the beginning of a data address."""
    import numpy as np
    from PIL import Image

    refusal = UsageError(say("“picture” is no picture in base64, or one of more than 16 megapixels."))
    try:
        content = base64.b64decode(str(text).rpartition(",")[2], validate=True)
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise refusal
            return np.asarray(image.convert("RGB"))
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise refusal from error


def _done(host: Host, service: Service, wanted: Wanted) -> Comparison:
    """Waits for it, in the same line as those of the page."""
    done: list[Comparison] = []
    id = begin(host.comparing, service, wanted, say("A comparison asked for by a program"), done.append)
    service.comparing.wait(id)
    if not done or done[0].state is State.STOPPED:
        raise RefusedError(say("The comparison was stopped. The VAE in use is unchanged."))
    return done[0]


def _as_json(done: Comparison) -> dict[str, Any]:
    return {
        "reference": "original" if done.original is not None else None if done.lacks_reference else done.reference,
        "note": _text(done.note),
        "seconds": done.seconds,
        "results": [_result(result) for result in done.results],
    }


def _result(result: Result) -> dict[str, Any]:
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
        "error": _text(decoded.error),
        "infotext": result.infotext,
    }


def _text(sentence: Sentence | None) -> str | None:
    return str(sentence) if sentence is not None else None


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)
