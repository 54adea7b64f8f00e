"""Admission of requests: the permissions of each visitor for the page's events and for the routes.

The extension answers its own page and programs, and no other web page. One function decides for each route and each
event of gradio. It uses a request's headers, the address of the client, the interface that the server listens on, and
the names that the owner has added.

- A browser sends `Origin` with each POST and `Sec-Fetch-Site` with each request to this machine, and a page cannot set
  them. A request without both comes from a program, or is a GET whose answer no other page can read.
- A server that listens on loopback alone answers to loopback names alone: a foreign name that resolves to this machine
  (DNS rebinding) would make a foreign page one of the same origin.
- Behind a reverse proxy the names of `Host`, `Origin` and `X-Forwarded-Host` can differ: the owner adds the proxy's.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from ..errors import NotAdmittedError
from ..messages import msg
from .hosts.host_values import Permission
from .translation import Translator

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Match
    from starlette.types import Scope

    from ..messages import Message
    from .hosts.host import Host

__all__ = [
    "FLAG",
    "OURS_ALONE",
    "Listening",
    "Name",
    "Visitor",
    "admit",
    "close_folder",
    "host_for",
    "is_loopback",
    "names_in",
    "no_names_in",
    "not_admitted",
    "not_direct",
    "seen_from_elsewhere",
    "seen_from_here",
    "visitor_of",
]


FLAG: Final = "--vae-manager-allowed-hosts"

Name = tuple[str, int | None]
"""A host's name, and its port if one is given."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
OWN_PAGE: Final = frozenset({"same-origin", "none"})
FORWARDED_NAMES: Final = ("x-forwarded-host", "x-original-host")
FORWARDING: Final = frozenset(
    {*FORWARDED_NAMES, "forwarded", "via", "x-forwarded-for", "x-real-ip", "cf-connecting-ip"}
)
"""Headers that a proxy or a tunnel sends: the client's address is then its own, not the person's."""

FOREIGN_PAGE: Final = "foreign-page"
UNKNOWN_NAME: Final = "unknown-name"
NOT_DIRECT: Final = "not-direct"

BELOW: Final = "*."
"""Prefix of a name that covers all names below it."""

_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")
"""A DNS name or an IPv6 address, in lower case."""

OURS_ALONE: Final = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Headers of all answers. On a network without TLS a browser sends no `Sec-Fetch-Site`: the second header prevents
another page from showing a picture of the extension, and from measuring it."""

PREFIXES: Final = ("/file=", "/file/", "/gradio_api/file=", "/gradio_api/file/")


@dataclass(frozen=True)
class Listening:
    """The reach of the server."""

    is_loopback: bool
    """Only this machine can connect."""
    allowed: frozenset[Name] = frozenset()
    """Names that the owner has added. `*.tunnel.example` covers the names below it, for the server alone: any person
    may have a page under another one."""


@dataclass(frozen=True)
class Visitor:
    """The sender of an admitted request."""

    is_owner: bool
    """True for the person at this machine; for every person if only this machine can connect."""


def admit(headers: Iterable[tuple[str, str]], client: str | None, listening: Listening) -> Visitor:
    """Admit or refuse one request, by its headers (all of them, names in any case) and the client's address.

    Raises NotAdmittedError; its sentence names the line that admits the owner's proxy.
    """
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    _check_names(found, listening)
    _check_page(found, listening)
    return Visitor(is_owner=listening.is_loopback or _is_at_this_machine(found, client))


def not_direct() -> NotAdmittedError:
    """Return the refusal of an event whose sender gradio does not reveal."""
    return NotAdmittedError(
        msg("VAE Manager takes clicks from its own page alone, and this came another way. Nothing was changed."),
        NOT_DIRECT,
    )


def is_loopback(name: str) -> bool:
    """Return True for a name or an address of this machine that needs no network.

    These are 127.0.0.0/8, ::1, localhost and names below it.
    """
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def names_in(text: str) -> frozenset[Name]:
    """Return the names of a comma-separated list; a whole address (`https://sd.example/`) counts as its name."""
    return frozenset(name for word in _words(text) if (name := _typed(word)) is not None)


def no_names_in(text: str) -> list[str]:
    """Return the words of such a list that are no names."""
    return [word for word in _words(text) if _typed(word) is None]


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,;\s]+", text.lower()) if word]


def _typed(word: str) -> Name | None:
    """Return a name as a person types it: IPv6 without brackets, or in the letters of any language."""
    host = (word.partition("://")[2] or word).partition("/")[0]
    if _address(host) is not None:
        return str(ipaddress.ip_address(host)), None
    below = BELOW if host.startswith(BELOW) else ""
    try:
        name = _name(host.removeprefix(below).encode("idna").decode())
    except UnicodeError:
        name = _name(host)
    return (below + name[0], name[1]) if name is not None else None


# -- names ---------------------------------------------------------------------------------------------------------
def _check_names(found: dict[str, list[str]], listening: Listening) -> None:
    hosts = found.get("host", [])
    if len(hosts) != 1 or _name(hosts[0]) is None:
        raise _unknown_name(None)
    if not listening.is_loopback:
        return
    for name in (_name(hosts[0]), *_forwarded_names(found)):
        if name is None or not (_is_here(name[0]) or _is_added(name, listening) or _is_below_added(name, listening)):
            raise _unknown_name(name)


def _forwarded_names(found: dict[str, list[str]]) -> list[Name | None]:
    return [_name(one.strip()) for name in FORWARDED_NAMES for value in found.get(name, []) for one in value.split(",")]


def _is_here(name: str) -> bool:
    """Return True for this machine, with 0.0.0.0 and ::, the addresses that the WebUI prints under --listen."""
    address = _address(name)
    return is_loopback(name) or (address is not None and address.is_unspecified)


def _is_added(name: Name, listening: Listening) -> bool:
    return name in listening.allowed or (name[0], None) in listening.allowed


def _is_below_added(name: Name, listening: Listening) -> bool:
    parts = name[0].split(".")
    return any(_is_added((BELOW + ".".join(parts[n:]), name[1]), listening) for n in range(1, len(parts)))


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(host: str) -> Name | None:
    """Return name and port of a `Host` header; None for an invalid one."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if parts.netloc != host or "@" in host or _NAME.fullmatch(name) is None:
        return None
    return name, port


def _unknown_name(name: Name | None) -> NotAdmittedError:
    if name is None:
        message = msg("VAE Manager does not answer a request that names no server. Nothing was changed.")
    else:
        message = msg(
            "VAE Manager does not answer under the name {name}: this WebUI listens on this machine alone. If the name "
            "is a proxy of yours, start the WebUI with {flag} {name}, or add it in Settings → VAE Manager and restart. "
            "Nothing was changed.",
            name=name[0],
            flag=FLAG,
        )
    return NotAdmittedError(message, UNKNOWN_NAME)


# -- the page ------------------------------------------------------------------------------------------------------
def _check_page(found: dict[str, list[str]], listening: Listening) -> None:
    if any(site.strip().lower() not in OWN_PAGE for site in found.get("sec-fetch-site", [])):
        raise _foreign_page(None)
    host = _name(found["host"][0])
    for origin in found.get("origin", []):
        scheme, _, rest = origin.partition("://")
        name = _name(rest) if scheme in DEFAULT_PORTS else None
        if name is None:
            raise _foreign_page(None)
        if host is not None and _is_same(name, host, DEFAULT_PORTS[scheme]):
            continue
        is_the_servers = name[0] in {one[0] for one in _forwarded_names(found) if one is not None}
        if not (_is_added(name, listening) or (is_the_servers and _is_below_added(name, listening))):
            raise _foreign_page(name)


def _is_same(origin: Name, host: Name, default_port: int) -> bool:
    """Compare names and ports; both usually leave out the default port of the scheme."""
    return origin[0] == host[0] and (origin[1] or default_port) == (host[1] or default_port)


def _foreign_page(name: Name | None) -> NotAdmittedError:
    if name is None:
        message = msg("Another web page has sent this, and VAE Manager obeys its own page alone. Nothing was changed.")
    else:
        message = msg(
            "A page of {name} has sent this, and VAE Manager obeys its own page alone. If {name} is a proxy of yours "
            "in front of this WebUI, start the WebUI with {flag} {name}, or add it in Settings → VAE Manager and "
            "restart. Nothing was changed.",
            name=name[0],
            flag=FLAG,
        )
    return NotAdmittedError(message, FOREIGN_PAGE)


# -- the owner -----------------------------------------------------------------------------------------------------
def _is_at_this_machine(found: dict[str, list[str]], client: str | None) -> bool:
    """Return True for a direct connection.

    Tunnels (--share, --ngrok) connect from this machine too, but their requests have another name or a forwarding
    header.
    """
    name = _name(found["host"][0])
    direct = not FORWARDING & found.keys()
    return direct and name is not None and _is_here(name[0]) and client is not None and is_loopback(client)


class _Visited:
    """A view of the host, which replaces the members that depend on the visitor."""

    def __init__(self, host: Host, *, is_owner: bool) -> None:
        self._host = host
        self._is_owner = is_owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    @property
    def shows_paths(self) -> bool:
        return self._is_owner

    def refusal(self, act: Permission) -> Message | None:
        return self._host.refusal(act, remote=not self._is_owner)


def seen_from_here(host: Host) -> Host:
    """Return the view of the host for its owner, at this machine."""
    return cast("Host", _Visited(host, is_owner=True))


def seen_from_elsewhere(host: Host) -> Host:
    """Return the view of the host for all others."""
    return cast("Host", _Visited(host, is_owner=False))


def visitor_of(host: Host, request: Request) -> Visitor:
    """Return the sender of the request. Raises NotAdmittedError."""
    return admit(request.headers.items(), request.client.host if request.client is not None else None, host.listening())


def host_for(host: Host, request: Request) -> Host:
    """Return the host with the permissions of the request's sender. Raises NotAdmittedError."""
    return seen_from_here(host) if visitor_of(host, request).is_owner else seen_from_elsewhere(host)


def not_admitted(error: NotAdmittedError, translate: Translator) -> JSONResponse:
    """Return the refusal as JSON: the page shows the sentence; programs use the code."""
    from starlette.responses import JSONResponse  # the rest of this module needs no server

    content = {"code": error.code, "error": translate(error.message)}
    return JSONResponse(content, status_code=403, headers={"Cache-Control": "no-store", **OURS_ALONE})


def close_folder(app: FastAPI, folder: Path) -> None:
    """Answer requests for files of `folder` before gradio does."""
    from starlette.responses import JSONResponse
    from starlette.routing import Match, Route

    def refuse(request: Request) -> Response:
        return JSONResponse({"detail": "File not allowed."}, status_code=403)

    class Closed(Route):
        """A route that matches just the requests for files of the folder."""

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            if scope["type"] == "http" and _leads_into(str(scope["path"]), folder):
                return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}
            return Match.NONE, {}

    app.router.routes.insert(0, Closed("/file={path:path}", refuse, include_in_schema=False))


def _leads_into(path: str, folder: Path) -> bool:
    """Return True if a request's path names a file of the folder by one of gradio's routes."""
    for prefix in PREFIXES:
        _, found, file = path.partition(prefix)  # a proxy may pass on the path prefix before it
        if found and _is_inside(file, folder):
            return True
    return False


def _is_inside(file: str, folder: Path) -> bool:
    """Return True if the file is in the folder, under any name, or does not exist by its name."""
    try:
        status = folder.stat()
        places = {Path(os.path.abspath(file)), Path(os.path.realpath(file))}  # noqa: PTH100 - gradio's own way
    except (OSError, ValueError):
        return False  # the folder does not exist yet, or the path is invalid
    return any(_is_same_file(one, status) for place in places for one in (place, *place.parents))


def _is_same_file(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False
