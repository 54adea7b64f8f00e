"""Lock file: the verified files of a VAE folder, by their bytes and with their sources, for `sync` on another machine.

It is a declaration as `sync.read_declared` reads it, in YAML or JSON. It names no folder of this machine and holds no
secret: a local file is no source elsewhere, and the history keeps addresses without users and queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from .catalogue import Catalogue, LocalSource
from .catalogue.source_text import parse_source
from .downloads import DownloadOutcome, PastDownload
from .errors import VaeManagerError

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


def locked_file(
    file_name: str, sha256: str, size: int, catalogue: Catalogue, history: Iterable[PastDownload]
) -> LockedFile:
    """Return a file with the sources of its bytes: those of the catalogue, then those of earlier downloads."""
    published = catalogue.published(sha256)
    entry = catalogue.recognise(sha256)
    known = [str(source) for source in published.sources] if published is not None else []
    for past in sorted(history, key=lambda past: past.ended_at):
        if past.sha256 == sha256 and past.ending in _ENDED_WELL:
            known += past.sources
    sources = tuple(dict.fromkeys(text for text in known if _is_portable(text)))
    is_everywhere = entry is not None and entry.evidence != "user" and entry.offered
    return LockedFile(file_name, sha256, size, sources, entry.id if entry is not None and is_everywhere else None)


def _is_portable(text: str) -> bool:
    """Return False for the path of a file of this machine, and for text that is no source."""
    try:
        return not isinstance(parse_source(text), LocalSource)
    except VaeManagerError:
        return False


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
    return text if file.sources else _NO_SOURCE + text
