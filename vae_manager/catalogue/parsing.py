"""How a source is written: `hub:…`, an https address, or a path."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from ..errors import UsageError
from ..sentences import say
from .sources import HttpsSource, HubSource, LocalSource, Source

__all__ = ["parse_source"]

_REPO_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters or more: "C:\" is a Windows path
_HUB_PAGE: Final = re.compile(r"/([^/]+/[^/]+)/(?:resolve|blob)/([^/]+)/(.+)")


def parse_source(text: str) -> Source:
    """Read `hub:OWNER/REPO/PATH[@REV]`, an https address, or the path of a local file.

    A link copied from a model page of huggingface.co (`…/blob/main/…`, which answers with a web page, or
    `…/resolve/…`) becomes the hub source that it means. Raises `UsageError`.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise UsageError(say("A source is hub:OWNER/REPO/PATH, an https address, or the path of a file."))
    if text.lower().startswith("hub:"):
        return _hub_source(text[len("hub:") :].lstrip("/"))
    if _SCHEME.match(text):
        return _address(text)
    return LocalSource(Path(text).expanduser())


def _hub_source(text: str) -> HubSource:
    location, at, revision = text.rpartition("@")  # without "@", all of it lands in `revision`
    if not at:
        location, revision = text, ""
    owner, _, rest = location.partition("/")
    name, _, path = rest.partition("/")
    well_formed = (
        _REPO_PART.fullmatch(owner)
        and _REPO_PART.fullmatch(name)
        and "\\" not in path
        and all(part.strip(". ") for part in path.split("/"))
        and (not at or (_REVISION.fullmatch(revision) and ".." not in revision))
    )
    if not well_formed:
        raise UsageError(
            say("“hub:{text}” is not a file of a hub. Write hub:OWNER/REPO/PATH or hub:OWNER/REPO/PATH@REV.", text=text)
        )
    return HubSource(f"{owner}/{name}", path, revision or None)


def _address(text: str) -> Source:
    parts = _split(text)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme == "http" and not _is_loopback(host):
        raise UsageError(
            say("{address} is plain http, which anybody on the way can change. Use its https address.", address=text)
        )
    if scheme not in ("https", "http") or not host:
        raise UsageError(say("“{address}” is not an https address.", address=text))
    if parts.username is not None or parts.password is not None:
        raise UsageError(say("An address must not carry a user name or password. Use the hub's token instead."))
    page = _HUB_PAGE.fullmatch(parts.path) if host in ("huggingface.co", "www.huggingface.co") else None
    if page is not None:
        repo, revision, path = (unquote(group) for group in page.groups())
        return _hub_source(f"{repo}/{path}" + ("" if revision == "main" else f"@{revision}"))
    return HttpsSource(text)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is not a number
    except ValueError:
        raise UsageError(say("“{address}” is not an https address.", address=text)) from None
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
