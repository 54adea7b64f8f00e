"""Lock file: the verified files of a VAE folder, by their bytes and with their sources, for `sync` on another machine.

It is a declaration as `sync.read_declared` reads it, in YAML or JSON. It names no folder of this machine and holds no
secret: a local file is no source elsewhere, the history keeps addresses without users and queries, and an address of
the catalogue is left out unless its query is known to be harmless. An address without its query is no source either: it
was never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from .catalogue import Catalogue, HttpsSource, LocalSource
from .catalogue.entry import is_loopback
from .catalogue.source_text import parse_source
from .downloads import DownloadOutcome, PastDownload
from .errors import VaeManagerError
from .messages import Message, msg
from .transfer import urls

__all__ = ["LockedFile", "lock_file_text", "lock_item", "locked_file"]

_HEAD: Final = """\
# VAE files by their bytes. Bring a folder to them: python -m vae_manager sync THIS_FILE --dir DIR
"""
_NO_SOURCE: Final = """\
# No source of this file is known: sync takes it from the machine that it runs on, or tells that it is missing.
"""
_ENDED_WELL: Final = (DownloadOutcome.DELIVERED, DownloadOutcome.ALREADY_THERE)


@dataclass(frozen=True)
class LockedFile:
    """One file of a lock file."""

    file_name: str
    sha256: str
    size: int
    """Bytes."""
    sources: tuple[str, ...] = ()
    """As they are written; empty: none is known."""
    entry: str | None = None
    """The id of an entry that every installation offers."""
    left_out: tuple[Message, ...] = ()
    """The addresses that are no source in a lock file, each with the reason, and without its query."""


def locked_file(
    file_name: str, sha256: str, size: int, catalogue: Catalogue, history: Iterable[PastDownload]
) -> LockedFile:
    """Return a file with the sources of its bytes: those of the catalogue, then those of earlier downloads."""
    published = catalogue.published(sha256)
    entry = catalogue.recognise(sha256)
    known = {str(source): False for source in published.sources} if published is not None else {}
    for past in sorted(history, key=lambda past: past.ended_at):
        if past.sha256 == sha256 and past.ending in _ENDED_WELL:
            for text in past.sources:
                known[text] = known.get(text, True) and text in past.cut  # once asked as it stands, it is whole
    reasons = {text: _obstacle(text, file_name, is_cut=is_cut) for text, is_cut in known.items() if _is_remote(text)}
    is_everywhere = entry is not None and entry.evidence != "user" and entry.offered
    return LockedFile(
        file_name,
        sha256,
        size,
        tuple(text for text, reason in reasons.items() if reason is None),
        entry.id if entry is not None and is_everywhere else None,
        _one_each(reason for reason in reasons.values() if reason is not None),
    )


def _one_each(reasons: Iterable[Message]) -> tuple[Message, ...]:
    """Return the first reason of each address: the history has the catalogue's addresses too, without queries."""
    return tuple({str(reason.fields["address"]): reason for reason in reversed(list(reasons))}.values())[::-1]


def _is_remote(text: str) -> bool:
    """Return False for the path of a file of this machine, and for text that is no source."""
    try:
        return not isinstance(parse_source(text, http_hosts=None), LocalSource)
    except VaeManagerError:
        return False


def _obstacle(text: str, file_name: str, *, is_cut: bool) -> Message | None:
    """Return the reason why a lock file cannot have this source; None if it can."""
    source = parse_source(text, http_hosts=None)
    if not isinstance(source, HttpsSource):
        return None
    if is_loopback(urls.host(source.url)):
        return msg(
            "{file}: the source {address} is left out, since it is an address of this machine alone.",
            code="source-of-this-machine",
            file=file_name,
            address=urls.shown(source.url),
        )
    if urls.may_be_secret(source.url):
        return msg(
            "{file}: the source {address} is left out, since its query may be a key or another secret.",
            code="source-with-secret",
            file=file_name,
            address=urls.shown(source.url),
        )
    if is_cut:
        return msg(
            "{file}: the source {address} is left out, since it needs a query, which the history does not keep: it may "
            "be a secret.",
            code="source-without-query",
            file=file_name,
            address=urls.shown(source.url),
        )
    return None


def lock_item(file: LockedFile) -> Mapping[str, Any]:
    """Return the fields of an item, in their order, without empty ones."""
    item = {
        "file_name": file.file_name,
        "sha256": file.sha256,
        "size": file.size,
        "entry": file.entry,
        "sources": list(file.sources),
    }
    return {key: value for key, value in item.items() if value not in (None, [])}


def lock_file_text(files: Sequence[LockedFile]) -> str:
    """Return the YAML of a lock file; the same files give the same text."""
    return _HEAD + ("".join(map(_item_text, files)) or "[]\n")


def _item_text(file: LockedFile) -> str:
    # `width` keeps each value on its line.
    text: str = yaml.safe_dump([dict(lock_item(file))], sort_keys=False, allow_unicode=True, width=1 << 20)
    reasons = "".join(f"# {_on_one_line(reason)}\n" for reason in file.left_out)
    return reasons + ("" if file.sources else _NO_SOURCE) + text


def _on_one_line(reason: Message) -> str:
    """Return a text that cannot end the comment that it stands in."""
    return "".join(character if character.isprintable() else "?" for character in str(reason))
