"""Text that means a source: what a person types or pastes, and what a catalogue and a journal hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ..errors import UsageError
from ..messages import msg
from .entry import (
    CivitaiSource,
    HttpsSource,
    HubSource,
    LocalSource,
    Source,
    bucket_source,
    is_loopback,
    safe_file_name,
)

__all__ = ["parse_source"]

_REPO_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_HUB_PAGE: Final = re.compile(r"/([^/]+/[^/]+)/(?:resolve|blob)/([^/]+)/(.+)")
_CIVITAI: Final = re.compile(r"([1-9][0-9]{0,14})(?:/(.+))?")
_CIVITAI_DOWNLOAD: Final = re.compile(r"/api/(?:download/models|v1/model-versions)/([1-9][0-9]{0,14})/?")
_CIVITAI_PAGE: Final = re.compile(r"/models/[0-9]+(?:/[^/]*)?/?")


def parse_source(text: str) -> Source:
    """Return the source that a text means.

    Accepted are `hub:OWNER/REPO/PATH[@REV]`, `civitai:VERSION[/FILE]`, an https address, an address of a bucket
    (`s3://BUCKET/PATH`, …), and the path of a local file.

    A link copied from a model page of huggingface.co (`…/blob/main/…`, which returns a web page, or `…/resolve/…`)
    becomes the hub source that it means, and one from civitai.com the version that it means, without other parts of the
    link (`type`, `format`, a `token`). Raises `UsageError`, and `RefusedError` for an invalid file name.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise UsageError(
            msg(
                "A source is hub:OWNER/REPO/PATH, civitai:VERSION, an https address, the address of a bucket, or the "
                "path of a file.",
                code="bad-source",
            )
        )
    if text.lower().startswith("hub:"):
        return _hub_source(text[len("hub:") :].lstrip("/"))
    if text.lower().startswith("civitai:"):
        return _civitai_source(text[len("civitai:") :])
    if "://" in text:  # "C:\\" is a Windows path
        return _parse_address(text) if text.lower().startswith(("https://", "http://")) else bucket_source(text)
    return LocalSource(Path(text).expanduser())


def _hub_source(text: str) -> HubSource:
    location, at, revision = text.rpartition("@")  # without "@", all of it is in `revision`
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
            msg(
                "“hub:{text}” is not a file of a hub. Write hub:OWNER/REPO/PATH or hub:OWNER/REPO/PATH@REV.",
                code="bad-hub-source",
                text=text,
            )
        )
    return HubSource(f"{owner}/{name}", path, revision or None)


def _civitai_source(text: str) -> CivitaiSource:
    match = _CIVITAI.fullmatch(text)
    if match is None:
        raise UsageError(
            msg(
                "“civitai:{text}” is not a model version. Write civitai:VERSION or civitai:VERSION/FILE.",
                code="bad-civitai-source",
                text=text,
            )
        )
    version, file = match.groups()
    return CivitaiSource(int(version), None if file is None else safe_file_name(file))


def _civitai_page(parts: SplitResult) -> CivitaiSource | None:
    """Return the version that an address of civitai.com means; None for other pages."""
    download = _CIVITAI_DOWNLOAD.fullmatch(parts.path)
    if download is not None:
        return CivitaiSource(int(download[1]))
    if not _CIVITAI_PAGE.fullmatch(parts.path):
        return None
    match = _CIVITAI.fullmatch(parse_qs(parts.query).get("modelVersionId", [""])[0])
    if match is None or match[2] is not None:
        raise UsageError(
            msg(
                "This is the address of a whole model. Choose the version on its page, then copy the address again: "
                "it ends with “?modelVersionId=…”.",
                code="whole-model",
            )
        )
    return CivitaiSource(int(match[1]))


def _parse_address(text: str) -> Source:
    parts = _split_url(text)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            msg(
                "An address must not carry a user name or password. Use the hub's token instead.",
                code="address-with-password",
            )
        )
    shown = text.partition("?")[0]
    if not host:
        raise UsageError(msg("“{address}” is not an https address.", code="not-https", address=shown))
    if scheme == "http" and not is_loopback(host):
        raise UsageError(
            msg(
                "{address} is plain http, which anybody on the way can change. Use its https address.",
                code="plain-http",
                address=shown,
            )
        )
    page = _HUB_PAGE.fullmatch(parts.path) if host in ("huggingface.co", "www.huggingface.co") else None
    if page is not None:
        repo, revision, path = (unquote(group) for group in page.groups())
        return _hub_source(f"{repo}/{path}" + ("" if revision == "main" else f"@{revision}"))
    version = _civitai_page(parts) if host in ("civitai.com", "www.civitai.com") else None
    return version or HttpsSource(text)


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is not a number
    except ValueError:
        raise UsageError(
            msg("“{address}” is not an https address.", code="not-https", address=text.partition("?")[0])
        ) from None
    return parts
