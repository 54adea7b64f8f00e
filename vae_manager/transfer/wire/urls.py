"""Addresses: which are safe to ask, and what of them may be shown."""

from __future__ import annotations

import ipaddress
import logging
import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ...errors import RefusedError
from ...sentences import say
from ..retry import NETWORK_THREAD

SECRET = re.compile(r"token|key|secret|sig|pass|auth|credential|policy", re.IGNORECASE)
"""Names of query fields whose value opens a door."""


def checked(address: str) -> str:
    """Return `address` if it may be asked."""
    parts = _parts(address)
    if parts.username is not None or parts.password is not None:
        raise RefusedError(
            say("The address of {host} carries a name or password. Leave it out of the address.", host=parts.hostname)
        )
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return address
    if parts.scheme == "http":
        raise RefusedError(
            say(
                "{address} is not encrypted. Only https addresses are used; http only on this computer itself.",
                address=shown(address),
            )
        )
    raise RefusedError(say("{address} is not an https address.", address=shown(address)))


def after_redirect(address: str, location: str) -> str:
    """Return where a redirect from `address` leads, if it may be followed; `location` is the header as it was read."""
    there = urljoin(address, _as_sent(location))
    if _parts(address).scheme == "https" and _parts(there).scheme != "https":
        raise RefusedError(
            say(
                "{host} leads away from https to an address that is not encrypted. It is not followed.",
                host=host(address),
            )
        )
    return checked(there)


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what a token belongs to."""
    parts = _parts(address)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def host(address: str) -> str:
    """Return the host, for people."""
    return _parts(address).hostname or ""


def shown(address: str) -> str:
    """Return `address` without user, query and fragment, for people."""
    parts = _parts(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(address: str) -> str:
    """Return `address` without the query fields that look like keys, for the journal."""
    parts = _parts(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not SECRET.search(name)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(query), ""))


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise RefusedError(say("This is not a valid address.")) from None
    return parts


def _as_sent(header: str) -> str:
    """http.client reads every header as Latin-1; servers that send an address with other letters in it mean UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


LOGGER = "urllib3.connectionpool"
QUERY = re.compile(r"\?[^\s\"'<>]*")


class WithoutQueries(logging.Filter):
    """Cuts what follows a question mark out of the texts of a record; lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (record.threadName or "").startswith(NETWORK_THREAD):
            record.msg = QUERY.sub("?…", record.getMessage())
            record.args = ()
        return True


_FILTER = WithoutQueries()


def keep_queries_out_of_the_log() -> None:
    """Put the filter in place; once more changes nothing."""
    logging.getLogger(LOGGER).addFilter(_FILTER)
