"""ModelScope: the size and the SHA-256 that it publishes for a file.

GET /api/v1/models/OWNER/REPO/repo/files?Revision=…&Root=FOLDER lists the files of a folder: `Data.Files`, each with
`Path`, `Size` and `Sha256` (github.com/modelscope/modelscope, modelscope/hub/api.py and file_download.py).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from ..catalogue.entry import SHA256, HttpsSource
from ..files.state_file import list_of, parse_json
from .http_client import HttpClient, json_of, senseless_answer
from .refusals import status_error
from .urls import is_open_to_change

__all__ = ["is_modelscope_file", "published_by_modelscope"]

_PAGE = re.compile(r"/models/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/v1/models/([^/]+/[^/]+)/repo/?")


class _Place(NamedTuple):
    repo: str
    revision: str
    path: str


def _place_of(source: HttpsSource) -> _Place | None:
    """Return where the file of an address is; None for an address that has not the form of ModelScope's."""
    parts = urlsplit(source.url)
    page = _PAGE.fullmatch(parts.path)
    if page is not None:
        return _Place(*map(unquote, page.groups()))
    api, query = _API.fullmatch(parts.path), parse_qs(parts.query)
    if api is None or "FilePath" not in query:
        return None
    return _Place(unquote(api[1]), query.get("Revision", ["master"])[0], query["FilePath"][0])


def is_modelscope_file(source: HttpsSource) -> bool:
    """Return True for an address from which ModelScope gives a file, on whatever host."""
    return _place_of(source) is not None


def published_by_modelscope(source: HttpsSource, client: HttpClient) -> tuple[int | None, str | None]:
    """Return the size in bytes and the SHA-256 of the file at such an address; None for what is not told.

    Raises NetworkError.
    """
    place = _place_of(source)
    if place is None:
        return None, None
    parts = urlsplit(source.url)
    listing = urlencode({"Revision": place.revision, "Root": place.path.rpartition("/")[0]})
    address = urlunsplit((parts.scheme, parts.netloc, f"/api/v1/models/{quote(place.repo)}/repo/files", listing, ""))
    response = client.follow(address, {})
    try:
        if response.status_code != 200:
            raise status_error(response, address)
        data = json_of(response, address)
    finally:
        response.close()
    try:
        files: list[Any] = list(list_of(parse_json(data)["Data"]["Files"]))
    except (ValueError, LookupError, TypeError):
        raise senseless_answer(address) from None
    file = next((one for one in files if isinstance(one, dict) and one.get("Path") == place.path), {})
    size, digest = file.get("Size"), str(file.get("Sha256", "")).lower()
    is_proof = SHA256.fullmatch(digest) and not is_open_to_change(address)
    return (size if isinstance(size, int) else None), (digest if is_proof else None)
