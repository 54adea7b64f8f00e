"""The Hugging Face Hub, or a server with its protocol: from a file in a repository to the address of its bytes.

Addresses, token and endpoint come from huggingface_hub, in every version that a host has (0.16 and newer). Only
functions common to all of them are used, and `http_client` sends the requests: `get_hf_file_metadata` has changed its
arguments, its errors and the HTTP library below it. The import is slow, so it happens at the first use.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..catalogue.entry import SHA256, HubSource
from ..errors import NetworkError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..messages import msg
from .http_client import MAX_REDIRECTS, REDIRECTS, HttpClient, status_error, too_many_redirects
from .resolved_url import ResolvedUrl
from .urls import after_redirect, checked, host, origin, shown

if TYPE_CHECKING:
    from requests import Response

__all__ = ["check_online", "hub_authorization", "hub_endpoint", "hub_error", "is_hub_offline", "resolve_hub"]


TOKEN_HOME = ("https", "huggingface.co", 443)
"""The origin that a saved token belongs to."""
MOVED = frozenset({301, 308})
"""Redirects of the whole hub (a mirror that redirects to the origin); the others lead to the bytes."""


def hub_endpoint(chosen: str | None) -> str:
    """Return the hub's address: `chosen`, or huggingface_hub's own, which HF_ENDPOINT sets unless it is empty."""
    own = hub_constants().ENDPOINT.strip() or f"https://{TOKEN_HOME[1]}"
    try:
        return checked((chosen or own).rstrip("/"))
    except RefusedError:
        if chosen:
            raise
        raise UsageError(
            msg(
                "HF_ENDPOINT is “{value}”, which is not the https address of a hub. Correct it, or remove it.",
                code="bad-endpoint-variable",
                value=shown(own) if "//" in own else own,
            )
        ) from None


def hub_constants() -> Any:
    """Return the module of huggingface_hub with its settings.

    Raises UsageError if the package cannot be imported, as with a value of a variable that it does not understand.
    """
    try:
        from huggingface_hub import constants
    except Exception as error:
        wrong = [name for name in sorted(os.environ) if name.startswith(("HF_", "HUGGINGFACE_"))]
        raise UsageError(
            msg(
                "The package huggingface_hub cannot be loaded here ({error}). Check the variables of this machine that "
                "it reads ({variables}), or install it again.",
                code="hub-library-broken",
                error=f"{type(error).__name__}: {error}"[:200],
                variables=", ".join(wrong) or "HF_…",
            )
        ) from error
    return constants


def is_hub_offline() -> bool:
    """Return True if the user has set HF_HUB_OFFLINE, or TRANSFORMERS_OFFLINE, which newer versions read too."""
    return bool(hub_constants().HF_HUB_OFFLINE)


def check_online(source: HubSource) -> None:
    """Raise NetworkError if a variable of this machine forbids a request for `source`."""
    if is_hub_offline():
        variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # in the order of huggingface_hub/constants.py
        raise NetworkError(
            msg(
                "{variable} is set, so the hub is not asked for {source}.",
                code="offline",
                variable=next((name for name in variables if os.environ.get(name)), variables[0]),
                source=source,
            )
        )


def hub_address(source: HubSource, hub: str) -> str:
    """Return the address that `source` has at `hub`."""
    constants = hub_constants()
    from huggingface_hub import hf_hub_url

    try:
        # Without `endpoint=`: 0.16 has no such argument.
        url = hf_hub_url(source.repo, source.path, revision=source.revision)
    except ValueError:
        raise UsageError(
            msg("{repo} is not the name of a repository (owner/name).", code="bad-repository-name", repo=source.repo)
        ) from None
    return hub + url[len(constants.ENDPOINT) :]


def hub_authorization(hub: str, *, chosen: bool) -> dict[str, str]:
    """Return the Authorization header for `hub`: only if the token was saved for it, or the user has `chosen` so."""
    if origin(hub) != TOKEN_HOME and not chosen:
        return {}
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    value = build_hf_headers().get("authorization")
    return {"Authorization": value} if value else {}


def resolve_hub(source: HubSource, client: HttpClient) -> ResolvedUrl:
    """Return the resolved address of a file of a hub. Raises NotFoundError, RefusedError and NetworkError."""
    check_online(source)
    endpoint = hub_endpoint(client.network.endpoint)
    address = hub_address(source, endpoint)
    headers = hub_authorization(endpoint, chosen=client.network.token_for_endpoint)
    home = origin(address)
    for _ in range(MAX_REDIRECTS):
        response = client.ask("HEAD", address, headers)
        response.close()
        target = response.headers.get("Location")
        if response.status_code == 401 and headers and not response.headers.get("X-Error-Code"):
            # the saved token is no longer valid, and most repositories are public
            headers = {}
            continue
        if response.status_code not in REDIRECTS or not target:
            if response.status_code != 200:
                raise hub_error(source, response, address)
            return ResolvedUrl(source, address, headers, *_published(response), _accepts_ranges(response))
        there = after_redirect(address, target)
        if origin(there) != origin(address):
            headers = {}
            if response.status_code not in MOVED:
                return ResolvedUrl(source, there, {}, *_published(response), _accepts_ranges(response), expires=True)
        elif _published(response) != (None, None):
            known = (*_published(response), _accepts_ranges(response))
            return ResolvedUrl(source, there, headers, *known, expires=origin(there) != home)
        address = there
    raise too_many_redirects(address)


def _published(response: Response) -> tuple[int | None, str | None]:
    """Return size and SHA-256 from the hub's headers; an ETag is no hash."""
    size = response.headers.get("X-Linked-Size", "").strip()
    digest = response.headers.get("X-Linked-Etag", "").strip().strip('"').lower()
    return (int(size) if size.isdecimal() else None), (digest if SHA256.fullmatch(digest) else None)


def _accepts_ranges(response: Response) -> bool:
    return response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def hub_error(source: HubSource, response: Response, address: str) -> VaeManagerError:
    """Return the error for a hub's refusal, by its code and status."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return RefusedError(
            msg(
                "{repo} wants its licence to be accepted first: open {link}, accept it there, then sign in on this "
                "computer with `huggingface-cli login` and try again.",
                code="licence-at-hub",
                repo=source.repo,
                link=f"https://huggingface.co/{source.repo}",
            )
        )
    if code == "RevisionNotFound":
        return NotFoundError(
            msg(
                "{repo} has no revision {revision}.",
                code="no-such-revision",
                repo=source.repo,
                revision=source.revision or "main",
            )
        )
    if code == "EntryNotFound" or (status in (404, 410) and code != "RepoNotFound"):
        return NotFoundError(
            msg(
                "{host} has no file {path} in {repo} at revision {revision}.",
                code="no-such-file",
                host=host(address),
                path=source.path,
                repo=source.repo,
                revision=source.revision or "main",
            )
        )
    if code == "RepoNotFound" or status == 401:
        return NotFoundError(
            msg(
                "{host} has no repository {repo}, or it is private: sign in with `huggingface-cli login` if it is "
                "yours.",
                code="no-such-repository",
                host=host(address),
                repo=source.repo,
            )
        )
    return status_error(response, address)
