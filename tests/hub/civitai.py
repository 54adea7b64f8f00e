"""Civitai on loopback: the API of model versions, downloads that lead to a storage under another host, and keys.

Protocol facts: github.com/civitai/civitai, src/pages/api/v1/model-versions/[id].ts for the fields of an answer and
src/pages/api/download/models/[modelVersionId].ts for the redirects, the login page among them.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .content import Content
from .hub import _other_host
from .messages import Answer, Headers, Request, page
from .sending import Link
from .server import Server
from .shelf import Shelf

_VERSION = re.compile(r"/api/v1/model-versions/(\d+)")
_DOWNLOAD = re.compile(r"/api/download/models/(\d+)")


@dataclass
class _File:
    name: str
    type: str
    content: Content
    sha256: str | None
    primary: bool


@dataclass
class _Version:
    files: list[_File] = field(default_factory=list)
    needs_key: bool = False


class Civitai:
    """`add` files to versions; `endpoint` is what `Network.civitai` wants; `keys` are those of its accounts."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.keys: set[str] = set()
        self._versions: dict[int, _Version] = {}
        self._shelf = Shelf()
        self.api = Server("hub", "127.0.0.1", 0, self._route, Link(), tls)
        self.cdn = Server("cdn", _other_host(), 0, self._shelf.route, Link(), tls)

    @property
    def endpoint(self) -> str:
        return self.api.address

    def __enter__(self) -> Civitai:
        self.api.start()
        self.cdn.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.api.stop()
        finally:
            self.cdn.stop()

    def add(
        self,
        version: int,
        name: str,
        data: bytes,
        *,
        type: str = "Model",
        primary: bool = False,
        needs_key: bool = False,
        sha256: str | None = "",
    ) -> None:
        """Add a file; `sha256` is what is announced for it: "" the true one, None none."""
        content = Content(data)
        there = self._versions.setdefault(version, _Version())
        there.needs_key = there.needs_key or needs_key
        there.files.append(_File(name, type, content, content.sha256 if sha256 == "" else sha256, primary))
        self._shelf.put(f"/{version}/{len(there.files)}", content, "application/octet-stream", signed=True)

    def _route(self, request: Request) -> Answer:
        if match := _VERSION.fullmatch(request.path):
            return self._answer(int(match[1]))
        if match := _DOWNLOAD.fullmatch(request.path):
            return self._lead(request, int(match[1]))
        if request.path == "/login":
            return page(200, b"<!DOCTYPE html><html>Sign in</html>", "text/html")
        return _json(404, {"error": "Not found"})

    def _answer(self, version: int) -> Answer:
        there = self._versions.get(version)
        if there is None:
            return _json(404, {"error": "Model not found"})
        files = [self._fields(version, number, file) for number, file in enumerate(there.files, 1)]
        return _json(200, {"id": version, "name": "v1", "model": {"type": "VAE"}, "files": files})

    def _fields(self, version: int, number: int, file: _File) -> dict[str, Any]:
        hashes = {"AutoV2": file.content.sha256[:10].upper()}
        if file.sha256 is not None:
            hashes["SHA256"] = file.sha256.upper()
        return {
            "id": number,
            "sizeKB": file.content.size / 1024,
            "name": file.name,
            "type": file.type,
            "hashes": hashes,
            "primary": file.primary,
            "downloadUrl": f"{self.endpoint}/api/download/models/{version}?{urlencode({'fileId': number})}",
        }

    def _lead(self, request: Request, version: int) -> Answer:
        there = self._versions.get(version)
        if there is None:
            return _json(404, {"error": "Model not found"})
        if request.token is not None and request.token not in self.keys:
            return _json(401, {"error": "Unauthorized"})
        if there.needs_key and request.token is None:
            query = urlencode({"returnUrl": f"/models/{version}", "reason": "download-auth"})
            return page(307, b"", "text/plain", (("Location", f"/login?{query}"),))
        location = self.cdn.address + self._shelf.sign(f"/{version}/{request.query['fileId'][0]}")
        return page(307, b"", "text/plain", (("Location", location),))


def _json(status: int, value: Any, headers: Headers = ()) -> Answer:
    return page(status, json.dumps(value).encode(), "application/json; charset=utf-8", headers)
