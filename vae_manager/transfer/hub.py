"""The Hugging Face Hub, or a server with its protocol: from a file in a repository to the address of its bytes.

Addresses, token and endpoint come from huggingface_hub, in every version that a host has (0.16 and newer). Only
functions common to all of them are used, and `http_client` sends the requests: `get_hf_file_metadata` has changed its
arguments, its errors and the HTTP library below it. The import is slow, so it happens at the first use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..catalogue.entry import SHA256, HttpsSource, HubSource, is_named_host
from ..errors import NetworkError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..messages import msg
from .http_client import MAX_REDIRECTS, REDIRECTS, HttpClient, count_of, too_many_redirects
from .refusals import is_explained, status_error
from .request import Network
from .resolved_url import ResolvedUrl
from .urls import checked, host, is_open_to_change, origin, shown

if TYPE_CHECKING:
    from requests import Response

__all__ = [
    "HUB_FILE",
    "check_online",
    "hub_authorization",
    "hub_endpoint",
    "hub_error",
    "is_hub_offline",
    "resolve_at_mirror",
    "resolve_hub",
]


TOKEN_HOME = ("https", "huggingface.co", 443)
"""The origin that a saved token belongs to."""
HUB_FILE = re.compile(r"(?:/datasets|/spaces)?/[^/]+/[^/]+/resolve/[^/]+/.+")
"""The path of a file's address at a hub or a mirror of it, under whatever host."""

MOVED = frozenset({301, 308})
"""Redirects of the whole hub (a mirror that redirects to the origin); the others lead to the bytes."""


def hub_endpoint(network: Network) -> str:
    """Return the hub's address: the chosen one, or huggingface_hub's own, which HF_ENDPOINT sets unless it is empty."""
    chosen = network.endpoint
    own = hub_constants().ENDPOINT.strip() or f"https://{TOKEN_HOME[1]}"
    try:
        return checked((chosen or own).rstrip("/"), network.http_hosts)
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
                "{variable} is set, so the hub is not asked for {source}, and no copy of it is on this computer. "
                "Remove the variable, or bring the file here and import it.",
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


def hub_authorization(hub: str, network: Network) -> dict[str, str]:
    """Return the Authorization header for `hub`: only if the token was saved for it, or the person has named it."""
    if origin(hub) != TOKEN_HOME and not is_named_host(hub, network.token_hosts):
        return {}
    return _saved_token()


def _saved_token() -> dict[str, str]:
    """Return the Authorization header that huggingface_hub makes of its token; empty without one.

    Versions before 0.19 do not read HF_TOKEN, which all documentation names.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    value = build_hf_headers().get("authorization")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not value and token and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        value = f"Bearer {token}"
    return {"Authorization": value} if value else {}


def resolve_hub(source: HubSource, client: HttpClient) -> ResolvedUrl:
    """Return the resolved address of a file of a hub. Raises NotFoundError, RefusedError and NetworkError."""
    check_online(source)
    endpoint = hub_endpoint(client.network)
    address = hub_address(source, endpoint)
    headers = hub_authorization(endpoint, client.network)
    return _resolved(
        source, address, headers, client, lambda response, at: hub_error(source, response, at, client.network)
    )


def resolve_at_mirror(source: HttpsSource, client: HttpClient) -> ResolvedUrl:
    """Return the resolved address of a file whose https address has the form of a hub's, with what the server tells.

    Raises the errors of `resolve_hub`. No token is sent.
    """
    return _resolved(source, client.checked(source.url), {}, client, status_error)


def _resolved(
    source: HubSource | HttpsSource,
    address: str,
    headers: dict[str, str],
    client: HttpClient,
    error: Callable[[Response, str], VaeManagerError],
) -> ResolvedUrl:
    """Follow the redirects up to the answer that tells size and hash, or to the bytes.

    A mirror may redirect to the hub, which alone tells the hash, or to bytes whose server takes no HEAD request.
    """
    home, is_open = origin(address), False
    unasked: ResolvedUrl | None = None
    for _ in range(MAX_REDIRECTS):
        try:
            response = client.ask("HEAD", address, headers)
        except NetworkError:
            if unasked is not None:
                return unasked
            raise
        response.close()
        target = response.headers.get("Location")
        if response.status_code == 401 and headers and not response.headers.get("X-Error-Code"):
            # the saved token is no longer valid, and most repositories are public
            headers = {}
            continue
        is_open = is_open or is_open_to_change(address)  # it may have led to anybody's server
        known = _published(response, is_open=is_open)
        if response.status_code not in REDIRECTS or not target:
            if response.status_code == 200:
                is_signed = unasked is not None
                return ResolvedUrl(source, address, headers, *known, _accepts_ranges(response), expires=is_signed)
            if unasked is not None:
                return unasked
            raise error(response, address)
        there = client.after_redirect(address, target)
        is_elsewhere = origin(there) != origin(address)
        if is_elsewhere:
            headers = {}
        if known != (None, None) and not (is_elsewhere and response.status_code in MOVED):
            is_signed = origin(there) != home
            return ResolvedUrl(source, there, headers, *known, _accepts_ranges(response), expires=is_signed)
        if is_elsewhere and response.status_code not in MOVED:
            unasked = ResolvedUrl(source, there, {}, expires=True)
        address = there
    raise too_many_redirects(address)


def _published(response: Response, *, is_open: bool) -> tuple[int | None, str | None]:
    """Return size and SHA-256 from the hub's headers; an ETag is no hash, nor, with `is_open`, is any text."""
    size = response.headers.get("X-Linked-Size", "").strip()
    digest = response.headers.get("X-Linked-Etag", "").strip().strip('"').lower()
    is_proof = SHA256.fullmatch(digest) and not is_open
    return count_of(size), (digest if is_proof else None)


def _accepts_ranges(response: Response) -> bool:
    return response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def hub_error(source: HubSource, response: Response, address: str, network: Network) -> VaeManagerError:
    """Return the error for a hub's refusal, by its code and status."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    is_closed = code in ("GatedRepo", "RepoNotFound") or (status in (401, 403) and not code)
    if is_closed and not hub_authorization(address, network) and _saved_token():
        return _kept_back_error(source, address, is_hidden=code == "RepoNotFound")
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
    if code == "RepoNotFound" or (status == 401 and not is_explained(response)):
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


def _kept_back_error(source: HubSource, address: str, *, is_hidden: bool) -> VaeManagerError:
    """Return the error for a repository that the token of this computer might open; `is_hidden`: if it is there."""
    name = urlsplit(address).netloc
    problem = (
        msg("{host} has no repository {repo}, or it is private.", host=name, repo=source.repo)
        if is_hidden
        else msg("{host} does not give {repo} to everybody.", host=name, repo=source.repo)
    )
    return (NotFoundError if is_hidden else RefusedError)(
        msg(
            "{problem} The token of this computer was not sent, since it belongs to {home}. If it is for {host} too, "
            "name {host} as a host that gets it: in the settings, or with --token-host on the command line.",
            code="token-kept-back",
            problem=problem,
            home=TOKEN_HOME[1],
            host=name,
        )
    )
