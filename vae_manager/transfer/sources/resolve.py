"""From a source to the place where its bytes can be fetched right now.

Signed addresses expire, so this is done again before each attempt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...catalogue.entry import BucketSource, CivitaiSource, HttpsSource, HubSource, LocalSource, Source
from ...errors import NetworkError, NotFoundError, RefusedError, VaeManagerError
from ...sentences import say
from ..wire.http_client import MOST_REDIRECTS, REDIRECTS, Wire, status_error, too_many_redirects
from ..wire.urls import after_redirect, checked, host, origin
from . import bucket, civitai, hub
from .location import SHA256, Location

if TYPE_CHECKING:
    from requests import Response

__all__ = ["locate"]

MOVED = frozenset({301, 308})
"""The whole hub is elsewhere (a mirror that leads back to the origin); the other redirects lead to the bytes."""


def locate(source: Source, wire: Wire, *, hash_decides: bool) -> Location:
    """Find the bytes of `source`.

    With `hash_decides`, a pinned revision that has vanished falls back to the main branch: other bytes than the
    wanted ones would be refused anyway.
    """
    if isinstance(source, LocalSource):
        return _local(source)
    if isinstance(source, HttpsSource):
        return Location(source, checked(source.url))
    if isinstance(source, BucketSource):
        return _in_bucket(source, wire)
    if isinstance(source, CivitaiSource):
        return civitai.locate(source, wire)
    try:
        return _at_hub(source, wire)
    except NotFoundError:
        if source.revision is None or not hash_decides:
            raise
        return _at_hub(replace(source, revision=None), wire)


def _local(source: LocalSource) -> Location:
    try:
        size = source.path.stat().st_size
    except OSError:
        raise NotFoundError(say("There is no file {path}.", path=source.path)) from None
    return Location(source, str(source.path), size=size)


def _in_bucket(source: BucketSource, wire: Wire) -> Location:
    if wire.network.public_only:
        raise RefusedError(
            say(
                "{source} is a bucket, which this computer reads with its own keys. Here only public https addresses "
                "are fetched.",
                source=source,
            )
        )
    return bucket.locate(source)


def _at_hub(source: HubSource, wire: Wire) -> Location:
    if hub.is_offline():
        raise NetworkError(say("HF_HUB_OFFLINE is set, so the hub is not asked for {source}.", source=source))
    endpoint = hub.endpoint(wire.network.endpoint)
    address = hub.address(source, endpoint)
    headers = hub.authorization(endpoint, chosen=wire.network.token_for_endpoint)
    home = origin(address)
    for _ in range(MOST_REDIRECTS):
        response = wire.ask("HEAD", address, headers)
        response.close()
        target = response.headers.get("Location")
        if response.status_code == 401 and headers and not response.headers.get("X-Error-Code"):
            headers = {}  # the saved token is no longer valid; most repositories need none
            continue
        if response.status_code not in REDIRECTS or not target:
            if response.status_code != 200:
                raise _hub_error(source, response, address)
            return Location(source, address, headers, *_published(response), _in_parts(response))
        there = after_redirect(address, target)
        if origin(there) != origin(address):
            headers = {}
            if response.status_code not in MOVED:
                return Location(source, there, {}, *_published(response), _in_parts(response), expires=True)
        elif _published(response) != (None, None):
            known = (*_published(response), _in_parts(response))
            return Location(source, there, headers, *known, expires=origin(there) != home)
        address = there
    raise too_many_redirects(address)


def _published(response: Response) -> tuple[int | None, str | None]:
    """Return size and SHA-256 as the hub gives them; an ETag is no hash."""
    size = response.headers.get("X-Linked-Size", "").strip()
    digest = response.headers.get("X-Linked-Etag", "").strip().strip('"').lower()
    return (int(size) if size.isdecimal() else None), (digest if SHA256.fullmatch(digest) else None)


def _in_parts(response: Response) -> bool:
    return response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def _hub_error(source: HubSource, response: Response, address: str) -> VaeManagerError:
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return RefusedError(
            say(
                "{repo} wants its licence to be accepted first: open {link}, accept it there, then sign in on this "
                "computer with `huggingface-cli login` and try again.",
                repo=source.repo,
                link=f"https://huggingface.co/{source.repo}",
            )
        )
    if code == "RevisionNotFound":
        return NotFoundError(
            say("{repo} has no revision {revision}.", repo=source.repo, revision=source.revision or "main")
        )
    if code == "EntryNotFound" or (status in (404, 410) and code != "RepoNotFound"):
        return NotFoundError(
            say(
                "{host} has no file {path} in {repo} at revision {revision}.",
                host=host(address),
                path=source.path,
                repo=source.repo,
                revision=source.revision or "main",
            )
        )
    if code == "RepoNotFound" or status == 401:
        return NotFoundError(
            say(
                "{host} has no repository {repo}, or it is private: sign in with `huggingface-cli login` if it is "
                "yours.",
                host=host(address),
                repo=source.repo,
            )
        )
    return status_error(response, address)
