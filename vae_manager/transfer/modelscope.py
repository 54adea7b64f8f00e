"""ModelScope: the size and the SHA-256 that it publishes for a file.

GET /api/v1/models/OWNER/REPO/repo/files?Revision=…&Root=FOLDER lists the files of a folder: `Data.Files`, each with
`Path`, `Size` and `Sha256` (github.com/modelscope/modelscope, modelscope/hub/api.py and file_download.py).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from ..catalogue.entry import SHA256, HttpsSource
from ..files.state_file import list_of, parse_json
from .http_client import HttpClient, json_of, senseless_answer
from .refusals import status_error
from .urls import is_open_to_change

__all__ = ["is_modelscope_file", "published_by_modelscope"]

_DOWNLOAD = re.compile(r"(/api/v1/models/[^/]+/[^/]+/repo)/?")


def is_modelscope_file(source: HttpsSource) -> bool:
    """Return True for the address from which ModelScope gives a file, on whatever host."""
    parts = urlsplit(source.url)
    return _DOWNLOAD.fullmatch(parts.path) is not None and "FilePath" in parse_qs(parts.query)


def published_by_modelscope(source: HttpsSource, client: HttpClient) -> tuple[int | None, str | None]:
    """Return the size in bytes and the SHA-256 of the file at such an address; None for what is not told.

    Raises NetworkError.
    """
    parts = urlsplit(source.url)
    match, query = _DOWNLOAD.fullmatch(parts.path), parse_qs(parts.query)
    path = query.get("FilePath", [""])[0]
    listing = {"Revision": query.get("Revision", ["master"])[0], "Root": path.rpartition("/")[0]}
    address = urlunsplit((parts.scheme, parts.netloc, f"{match[1] if match else ''}/files", urlencode(listing), ""))
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
    file = next((one for one in files if isinstance(one, dict) and one.get("Path") == path), {})
    size, digest = file.get("Size"), str(file.get("Sha256", "")).lower()
    is_proof = SHA256.fullmatch(digest) and not is_open_to_change(address)
    return (size if isinstance(size, int) else None), (digest if is_proof else None)
