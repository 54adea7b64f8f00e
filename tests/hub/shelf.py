"""What the CDN serves: contents under plain addresses, or under signed ones that expire."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode

from .content import Content
from .faults import EXPIRED
from .messages import Answer, Headers, Request, page, ranged

LAST_MODIFIED = ("Last-Modified", "Sun, 01 Jan 2023 00:00:00 GMT")


@dataclass(frozen=True)
class _Item:
    content: Content
    headers: Headers
    signed: bool


class Shelf:
    """Contents by path. As with the real CDN, an ETag is not the file's SHA-256 although it looks like one."""

    def __init__(self) -> None:
        self.lifetime = 3600.0
        """Seconds for which an address that is signed from now on is good."""
        self._key = secrets.token_bytes(16)
        self._items: dict[str, _Item] = {}

    def put(self, path: str, content: Content, content_type: str, *, signed: bool) -> None:
        """Serve a content under a path, which is given without encoding and starts with a slash."""
        name = path.rpartition("/")[2]
        plain = name.encode("ascii", "replace").decode().replace('"', "_")
        disposition = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\";"
        headers = (("Content-Type", content_type), ("Content-Disposition", disposition), LAST_MODIFIED)
        self._items[path] = _Item(content, headers, signed)

    def sign(self, path: str) -> str:
        """The path with the query that opens it for `lifetime` seconds."""
        expires = str(time.time() + self.lifetime)
        query = {"Expires": expires, "Signature": self._signature(path, expires), "Key-Pair-Id": "K2TEST"}
        return f"{quote(path)}?{urlencode(query)}"

    def expire_addresses(self) -> None:
        """None of the addresses signed so far is good any more."""
        self._key = secrets.token_bytes(16)

    def route(self, request: Request) -> Answer:
        path = unquote(request.path)
        item = self._items.get(path)
        if item is None:
            return page(404, b"Not Found", "text/plain")
        if item.signed and not self._is_open(path, request):
            return page(403, EXPIRED, "application/xml")
        return ranged(request, item.content, etag_of(item.content), item.headers)

    def _is_open(self, path: str, request: Request) -> bool:
        expires = request.query.get("Expires", ["0"])[0]
        signature = request.query.get("Signature", [""])[0]
        return hmac.compare_digest(signature, self._signature(path, expires)) and time.time() < float(expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()


def etag_of(content: Content) -> str:
    """The CDN's own quoted ETag: 64 digits, and not the SHA-256."""
    return f'"{hashlib.sha256(content.sha256.encode()).hexdigest()}"'
