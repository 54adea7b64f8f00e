"""Civitai: from a model version to a file, its SHA-256, and the address that its bytes have right now.

Facts from the site's own source, github.com/civitai/civitai, and developer.civitai.com (site/reference/model-versions,
site/guide/authentication):

- GET /api/v1/model-versions/{id} answers with `files`, each with `name`, `type` ("Model", "Pruned Model", "VAE",
  "Config", …), `hashes` ("SHA256" in capitals, and others), `primary` and `downloadUrl`; 404 where there is none. A VAE
  that belongs to a checkpoint is among the files of the checkpoint's version.
- `sizeKB` is in units of 1024 bytes and may be rounded, so no size is taken from it: the storage says it exactly.
- GET /api/download/models/{id} leads to a signed address of the storage. Who has to sign in first is led to /login of
  the same host, or gets 401; early access is refused with 403 or leads to another page of the site.
- A key goes as `Authorization: Bearer`. The other way, `?token=`, would leave it in logs, and is never used.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from ...catalogue.entry import CivitaiSource
from ...catalogue.file_names import safe_file_name
from ...errors import NetworkError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ...files.json_text import parse_json
from ...files.state_file import list_of
from ...sentences import say
from ..wire.http_client import MOST_REDIRECTS, REDIRECTS, Wire, reader, status_error, too_many_redirects
from ..wire.urls import after_redirect, checked, host, origin
from .location import SHA256, Location

HOME: Final = "https://civitai.com"
KEY_PAGE: Final = "https://civitai.com/user/account"
MOST_JSON: Final = 20_000_000
"""Bytes of an answer of the API; real ones have some ten thousand, most of them about pictures."""


def locate(source: CivitaiSource, wire: Wire) -> Location:
    """Find the signed address of the file that `source` means, and the SHA-256 that Civitai publishes for it.

    Raises `NotFoundError`, `RefusedError` (a key is needed or wrong), `UsageError` (which of the files is not clear)
    and `NetworkError`.
    """
    file = _file(source, wire)
    address = file.get("downloadUrl")
    if not isinstance(address, str):
        raise NotFoundError(say("Civitai has no download for {source}.", source=source))
    hashes = file.get("hashes")
    digest = str(hashes.get("SHA256", "")).lower() if isinstance(hashes, dict) else ""
    return _storage(source, checked(address), wire, digest if SHA256.fullmatch(digest) else None)


def name_of(source: CivitaiSource, wire: Wire) -> str:
    """Ask for the file's name. Raises what `locate` raises, and `RefusedError` for a name that cannot be used."""
    return safe_file_name(str(_file(source, wire).get("name", "")))


def choose(source: CivitaiSource, files: list[dict[str, Any]]) -> dict[str, Any]:
    """Pick from the files of a version: the named one, else the only VAE, else the primary file."""
    if source.file is not None:
        named = [file for file in files if file.get("name") == source.file]
        if named:
            return named[0]
        raise NotFoundError(
            say(
                "Version {version} at Civitai has no file {file}. It has: {names}.",
                version=source.version,
                file=source.file,
                names=_names(files),
            )
        )
    vaes = [file for file in files if file.get("type") == "VAE"]
    if len(vaes) == 1:
        return vaes[0]
    primary = [file for file in vaes or files if file.get("primary") is True]
    if len(primary) == 1:
        return primary[0]
    if not files:
        raise NotFoundError(say("Version {version} at Civitai has no files.", version=source.version))
    raise UsageError(
        say(
            "Version {version} at Civitai has several files: {names}. Name one of them: civitai:{version}/FILE.",
            version=source.version,
            names=_names(vaes or files),
        )
    )


def _file(source: CivitaiSource, wire: Wire) -> dict[str, Any]:
    home = _home(wire)
    address = f"{home}/api/v1/model-versions/{source.version}"
    response = wire.follow(address, _authorization(address, wire))
    try:
        status = response.status_code
        if status in (401, 403):
            raise _key_error(source, address, wire)
        if status in (404, 410):
            raise NotFoundError(
                say("{host} has no model version {version}.", host=host(address), version=source.version)
            )
        if status != 200:
            raise status_error(response, address)
        data, read = bytearray(), reader(response, address)
        while chunk := read(MOST_JSON):
            data += chunk
            if len(data) > MOST_JSON:
                raise _no_sense(address)
    finally:
        response.close()
    try:
        files = list_of(parse_json(data)["files"])
    except (ValueError, LookupError, TypeError):
        raise _no_sense(address) from None
    return choose(source, [file for file in files if isinstance(file, dict)])


def _storage(source: CivitaiSource, address: str, wire: Wire, sha256: str | None) -> Location:
    """Follow the download's address as far as it stays on the site; what it leads to is good for a while only."""
    for _ in range(MOST_REDIRECTS):
        headers = _authorization(address, wire)
        response = wire.ask("GET", address, headers)
        response.close()
        status, target = response.status_code, response.headers.get("Location")
        if status in REDIRECTS and target:
            there = after_redirect(address, target)
            if origin(there) != origin(address):
                return Location(source, there, {}, sha256=sha256, expires=True)
            if urlsplit(there).path.startswith("/login"):
                raise _key_error(source, address, wire)
            address = there
        elif status == 200 and "html" not in response.headers.get("Content-Type", "").lower():
            return Location(source, address, headers, sha256=sha256)
        elif status == 401:
            raise _key_error(source, address, wire)
        elif status in (200, 403):
            raise RefusedError(
                say(
                    "{host} does not give {source} to everybody: it may be in early access. Open its page and see what "
                    "it asks for; an API key of an account that may download it is made at {link}.",
                    host=host(address),
                    source=source,
                    link=KEY_PAGE,
                )
            )
        elif status in (404, 410):
            raise NotFoundError(say("There is no file at {source}.", source=source))
        else:
            raise status_error(response, address)
    raise too_many_redirects(address)


def _home(wire: Wire) -> str:
    return checked((wire.network.civitai or HOME).rstrip("/"))


def _authorization(address: str, wire: Wire) -> dict[str, str]:
    """Return the header that signs in: at the site itself, and only with a key that was saved for this very host."""
    key = wire.network.keys.get(host(address))
    return {"Authorization": f"Bearer {key}"} if key and origin(address) == origin(_home(wire)) else {}


def _key_error(source: CivitaiSource, address: str, wire: Wire) -> VaeManagerError:
    if _authorization(address, wire):
        return RefusedError(
            say(
                "{host} does not accept the API key. Make a new one at {link} (“API Keys”) and put it in the old one's "
                "place.",
                host=host(address),
                link=KEY_PAGE,
            )
        )
    return RefusedError(
        say(
            "{host} gives {source} only to people who have signed in. Make an API key at {link} (“API Keys”) and save "
            "it; on the command line it is read from CIVITAI_API_KEY.",
            host=host(address),
            source=source,
            link=KEY_PAGE,
        )
    )


def _no_sense(address: str) -> NetworkError:
    return NetworkError(say("{host} answers with something that is no list of files.", host=host(address)))


def _names(files: list[dict[str, Any]]) -> str:
    """Some names, as one short printable line."""
    names = ", ".join(str(file.get("name", "?")) for file in files[:10])
    return "".join(character if character.isprintable() else "�" for character in names)[:500]
