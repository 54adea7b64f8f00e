"""Civitai: from a model version to a file, its SHA-256, and its signed address.

The facts are from the site's own source, github.com/civitai/civitai, and developer.civitai.com
(site/reference/model-versions, site/guide/authentication):

- GET /api/v1/model-versions/{id} returns `files`, each with `name`, `type` ("Model", "Pruned Model", "VAE", "Config",
  …), `hashes` ("SHA256" in capitals, and others), `primary` and `downloadUrl`; 404 if there is no such version. A VAE
  that belongs to a checkpoint is among the files of the checkpoint's version.
- `sizeKB` is in units of 1024 bytes and may be rounded, so the size is taken from the storage's answer instead.
- GET /api/download/models/{id} redirects to a signed address of the storage. A request that needs a login is redirected
  to /login of the same host, or gets 401; early access is refused with 403 or redirects to another page of the site.
- A key is sent as `Authorization: Bearer`. The alternative `?token=` would leave it in logs, and is never used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from ..catalogue.entry import SHA256, CivitaiSource, name_problem
from ..errors import NotFoundError, RefusedError, UsageError, VaeManagerError
from ..files.state_file import list_of, parse_json
from ..messages import msg
from .http_client import (
    MAX_REDIRECTS,
    REDIRECTS,
    HttpClient,
    json_of,
    senseless_answer,
    too_many_redirects,
)
from .refusals import status_error
from .resolved_url import ListedFile, ResolvedUrl
from .urls import host, is_open_to_change, origin

__all__ = ["choose_file", "civitai_file_name", "civitai_files", "resolve_civitai"]


HOME: Final = "https://civitai.com"
KEY_PAGE: Final = "https://civitai.com/user/account"


def resolve_civitai(source: CivitaiSource, client: HttpClient) -> ResolvedUrl:
    """Find the signed address of the file that `source` means, and the SHA-256 that Civitai publishes for it.

    Raises `NotFoundError`, `RefusedError` (a key is needed or wrong), `UsageError` (the choice of file is ambiguous)
    and `NetworkError`.
    """
    file = _file(source, client)
    address = file.get("downloadUrl")
    if not isinstance(address, str):
        raise NotFoundError(msg("Civitai has no download for {source}.", source=source))
    hashes = file.get("hashes")
    digest = str(hashes.get("SHA256", "")).lower() if isinstance(hashes, dict) else ""
    is_proof = SHA256.fullmatch(digest) and not is_open_to_change(_home(client))
    location = _storage(source, client.checked(address), client, digest if is_proof else None)
    return replace(location, file_name=str(file.get("name", "")))


def civitai_file_name(source: CivitaiSource, client: HttpClient) -> str:
    """Return the file's name from the site, unchecked. Raises as `resolve_source`."""
    return str(_file(source, client).get("name", ""))


def choose_file(source: CivitaiSource, files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one of the files of a version: the named one, else the only VAE, the primary file, or the only one."""
    if source.file is not None:
        named = [file for file in files if file.get("name") == source.file]
        if named:
            return named[0]
        raise NotFoundError(
            msg(
                "Version {version} at Civitai has no file {file}. It has: {names}.",
                code="no-such-file",
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
    if len(files) == 1:
        return files[0]
    if not files:
        raise NotFoundError(msg("Version {version} at Civitai has no files.", code="no-files", version=source.version))
    raise UsageError(
        msg(
            "Version {version} at Civitai has several files: {names}. Name one of them: civitai:{version}/FILE.",
            code="several-files",
            version=source.version,
            names=_names(vaes or files),
        )
    )


def civitai_files(source: CivitaiSource, client: HttpClient) -> list[ListedFile]:
    """Return the files of the version whose names can be part of a source; raises as `resolve_civitai`."""
    found = []
    for file in _files(source, client):
        name, kilobytes = str(file.get("name", "")), file.get("sizeKB")
        if name_problem(name) is None:
            size = round(kilobytes * 1024) if isinstance(kilobytes, int | float) else None
            found.append(ListedFile(CivitaiSource(source.version, name), size))
    return found


def _file(source: CivitaiSource, client: HttpClient) -> dict[str, Any]:
    return choose_file(source, _files(source, client))


def _files(source: CivitaiSource, client: HttpClient) -> list[dict[str, Any]]:
    home = _home(client)
    address = f"{home}/api/v1/model-versions/{source.version}"
    response = client.follow(address, _authorization(address, client))
    try:
        status = response.status_code
        if status in (401, 403):
            raise _key_error(source, address, client)
        if status in (404, 410):
            raise NotFoundError(
                msg(
                    "{host} has no model version {version}.",
                    code="no-such-model-version",
                    host=host(address),
                    version=source.version,
                )
            )
        if status != 200:
            raise status_error(response, address)
        data = json_of(response, address)
    finally:
        response.close()
    try:
        files = list_of(parse_json(data)["files"])
    except (ValueError, LookupError, TypeError):
        raise senseless_answer(address) from None
    return [file for file in files if isinstance(file, dict)]


def _storage(source: CivitaiSource, address: str, client: HttpClient, sha256: str | None) -> ResolvedUrl:
    """Follow the download's address while it stays on the site; the resulting address is valid for a limited time."""
    for _ in range(MAX_REDIRECTS):
        headers = _authorization(address, client)
        response = client.ask("GET", address, headers)
        response.close()
        status, target = response.status_code, response.headers.get("Location")
        if status in REDIRECTS and target:
            there = client.after_redirect(address, target)
            if origin(there) != origin(address):
                return ResolvedUrl(source, there, {}, sha256=sha256, expires=True)
            if urlsplit(there).path.startswith("/login"):
                raise _key_error(source, address, client)
            address = there
        elif status == 200 and "html" not in response.headers.get("Content-Type", "").lower():
            return ResolvedUrl(source, address, headers, sha256=sha256)
        elif status == 401:
            raise _key_error(source, address, client)
        elif status in (200, 403):
            raise RefusedError(
                msg(
                    "{host} does not give {source} to everybody: it may be in early access. Open its page and see what "
                    "it asks for; an API key of an account that may download it is made at {link}.",
                    host=host(address),
                    source=source,
                    link=KEY_PAGE,
                )
            )
        elif status in (404, 410):
            raise NotFoundError(msg("There is no file at {source}.", code="no-such-file", source=source))
        else:
            raise status_error(response, address)
    raise too_many_redirects(address)


def _home(client: HttpClient) -> str:
    return client.checked((client.network.civitai or HOME).rstrip("/"))


def _authorization(address: str, client: HttpClient) -> dict[str, str]:
    """Return the Authorization header: at the site itself, and only with a key that was saved for this exact host."""
    key = client.network.keys.get(host(address))
    return {"Authorization": f"Bearer {key}"} if key and origin(address) == origin(_home(client)) else {}


def _key_error(source: CivitaiSource, address: str, client: HttpClient) -> VaeManagerError:
    if _authorization(address, client):
        return RefusedError(
            msg(
                "{host} does not accept the API key. Make a new one at {link} (“API Keys”) and put it in the old one's "
                "place.",
                code="api-key-refused",
                host=host(address),
                link=KEY_PAGE,
            )
        )
    return RefusedError(
        msg(
            "{host} gives {source} only to people who have signed in. Make an API key at {link} (“API Keys”) and save "
            "it; on the command line it is read from CIVITAI_API_KEY.",
            code="api-key-needed",
            host=host(address),
            source=source,
            link=KEY_PAGE,
        )
    )


def _names(files: list[dict[str, Any]]) -> str:
    """Return some names as one short printable line."""
    names = ", ".join(str(file.get("name", "?")) for file in files[:10])
    return "".join(character if character.isprintable() else "�" for character in names)[:500]
