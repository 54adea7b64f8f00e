"""URLs: which may be requested, which parts of them may be shown or stored, and the origin that a token belongs to."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ..catalogue.entry import is_loopback, is_named_host
from ..errors import RefusedError
from ..messages import msg

SECRET = re.compile(r"token|key|secret|sig|pass|auth|credential|policy", re.IGNORECASE)
"""Names of query fields whose value is a secret."""

_YES_OR_NO: Final = re.compile(r"|true|false|yes|no|[01]", re.IGNORECASE)
_REVISION: Final = re.compile(r"main|master|v?[0-9]+(\.[0-9]+)*|[0-9a-f]{40}|refs/(heads|tags|pr)/[\w.-]{1,40}")
_HARMLESS: Final = {
    "download": _YES_OR_NO,  # the hub, Nextcloud, SharePoint
    "dl": _YES_OR_NO,  # Dropbox
    "raw": _YES_OR_NO,  # Dropbox, Gitea
    "inline": _YES_OR_NO,  # GitLab
    "alt": re.compile("media"),  # storages of Google
    "version": re.compile(r"v?[0-9]{1,4}(\.[0-9]{1,4}){0,3}"),
    "type": re.compile("Model|VAE|Pruned Model"),  # Civitai, with the next three
    "format": re.compile("SafeTensor|PickleTensor|Other"),
    "size": re.compile("full|pruned"),
    "fp": re.compile("fp8|fp16|fp32|bf16"),
    "revision": _REVISION,
    "Revision": _REVISION,  # ModelScope, with the next one
    "FilePath": re.compile(r"([\w .-]{1,60}/){0,8}[\w .-]{1,120}\.(safetensors|sft|ckpt|pt|pth|bin|gguf)"),
}
"""Query fields that are no secret, with their values."""


def checked(address: str, http_hosts: Collection[str] = ()) -> str:
    """Return `address` if a request to it is allowed; plain http is, on this machine and to the hosts `http_hosts`."""
    parts = _parts(address)
    if parts.username is not None or parts.password is not None:
        raise RefusedError(
            msg(
                "The address of {host} carries a name or password. Leave it out of the address.",
                code="address-with-password",
                host=parts.hostname,
            )
        )
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return address
    if parts.scheme == "http" and is_named_host(address, http_hosts):
        return address
    if parts.scheme == "http":
        raise RefusedError(
            msg(
                "{address} is not encrypted, and anybody on the way could change it. If {host} is in your own network, "
                "allow plain http for it: in the settings, or with --http-host on the command line.",
                code="not-encrypted",
                address=shown(address),
                host=parts.netloc,
            )
        )
    raise RefusedError(msg("{address} is not an https address.", code="not-https", address=shown(address)))


def is_open_to_change(address: str) -> bool:
    """Return whether anybody on the way could change what comes from `address`: plain http to another machine."""
    parts = _parts(address)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def after_redirect(address: str, location: str, http_hosts: Collection[str] = ()) -> str:
    """Return the target of a redirect from `address`, if it may be followed; `location` is the raw header."""
    try:
        there = urljoin(address, header_text(location))
    except ValueError:
        raise RefusedError(
            msg("{host} leads to something that is no address.", code="leads-nowhere", host=host(address))
        ) from None
    if _parts(address).scheme == "https" and _parts(there).scheme != "https":
        raise RefusedError(
            msg(
                "{host} leads away from https to an address that is not encrypted. It is not followed.",
                code="leads-away-from-https",
                host=host(address),
            )
        )
    return checked(there, http_hosts)


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port: the scope of a token."""
    parts = _parts(address)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def host(address: str) -> str:
    """Return the host, for display."""
    return _parts(address).hostname or ""


def shown(address: str) -> str:
    """Return `address` without user, query and fragment, for display."""
    parts = _parts(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(address: str) -> str:
    """Return `address` without the query fields that look like keys, for the journal."""
    parts = _parts(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not SECRET.search(name)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(query), ""))


def may_be_secret(address: str) -> bool:
    """Return whether a part of `address` may be a secret: a user, a fragment, or a query field that is not harmless.

    A field counts as harmless by its name and value together, since anything can be the name of a key.
    """
    parts = _parts(address)
    fields = parse_qsl(parts.query, keep_blank_values=True)
    is_odd = bool(parts.query) and not fields
    is_known = all(name in _HARMLESS and _HARMLESS[name].fullmatch(value) for name, value in fields)
    return "@" in parts.netloc or bool(parts.fragment) or is_odd or not is_known


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise RefusedError(msg("This is not a valid address.", code="bad-address")) from None
    return parts


def header_text(header: str) -> str:
    """Decode a header as UTF-8 if possible: http.client reads Latin-1, and servers send UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
