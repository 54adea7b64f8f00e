"""JSON of requests and answers: a body is read within a bound, and a refusal is a code and a sentence.

The routes take only JSON, which no form of another page can send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..files.state_file import parse_json
from .admission import OURS_ALONE

__all__ = ["PICTURE_BYTES", "answer", "read_json", "refuse"]

PICTURE_BYTES: Final = 96 * 2**20
"""Bytes of a body with a picture: more than the base64 text of a PNG with the most pixels."""
NOT_KEPT: Final = {"Cache-Control": "no-store", **OURS_ALONE}

Json = Any
"""What JSON can hold."""


async def read_json(request: Request, max_bytes: int) -> Json | Response:
    """Return the body of a request, or the refusal of one that is no JSON or has more than `max_bytes` bytes."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return refuse(
            415, "not-json", "Only JSON is taken: the request needs the header Content-Type: application/json."
        )
    try:
        content = await _read(request, max_bytes)
    except ClientDisconnect:
        return refuse(400, "cut-off", "The connection ended before the whole body came.")
    if content is None:
        return refuse(413, "too-long", f"The body is too large: at most {max_bytes} bytes are taken.")
    try:
        return parse_json(content, max_bytes=max_bytes)
    except ValueError:
        return refuse(400, "bad-json", "This is no JSON, or its parts lie too deep in each other.")


async def _read(request: Request, max_bytes: int) -> bytes | None:
    """Read the body; None if it has more than `max_bytes` bytes."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def answer(content: Json, status: int = 200, headers: Mapping[str, str] = NOT_KEPT) -> Response:
    """Answer in ASCII: the name of a file can hold lone surrogates, which UTF-8 cannot encode."""
    return Response(json.dumps(content), status, dict(headers), "application/json")


def refuse(status: int, code: str, sentence: str, headers: Mapping[str, str] = NOT_KEPT) -> Response:
    """Return the answer to a request that failed."""
    return answer({"error": sentence, "code": code}, status, headers)
