"""What a partial file is a part of: a JSON file beside it, so that it can go on after a restart.

Only a hint: a lost or garbled journal costs bytes, never correctness, since the hash decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..catalogue.sources import HttpsSource, HubSource, LocalSource, Source
from .addresses import without_secrets
from .order import Order

VERSION = 1


@dataclass(frozen=True)
class Journal:
    """The state of a partial file."""

    order: Order
    sha256: str | None
    """The expected hash: the order's, or the hub's own."""
    total: int | None = None
    source: Source | None = None
    """Whom `etag` is from."""
    etag: str | None = None
    segments: tuple[tuple[int, int], ...] = ()
    """Which bytes are there: [start, end) each, in order."""

    @property
    def done(self) -> int:
        """How many bytes there are from the first one on."""
        return self.segments[0][1] if self.segments and self.segments[0][0] == 0 else 0

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": VERSION,
                "file_name": self.order.file_name,
                "sources": [_written(source) for source in self.order.sources],
                "order_sha256": self.order.sha256,
                "order_size": self.order.size,
                "sha256": self.sha256,
                "total": self.total,
                "source": None if self.source is None else _written(self.source),
                "etag": self.etag,
                "segments": self.segments,
            },
            indent=1,
        )


def read(path: Path) -> Journal | None:
    """Read a journal; None if there is none that makes sense."""
    try:
        data = json.loads(path.read_bytes())
        return _from_data(data, path.parent) if data["version"] == VERSION else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def nameable(source: Source) -> Source:
    """Return `source` as it may be written down: without the keys that an address can carry."""
    return HttpsSource(without_secrets(source.url)) if isinstance(source, HttpsSource) else source


def _written(source: Source) -> dict[str, str | None]:
    if isinstance(source, HubSource):
        return {"hub": source.repo, "path": source.path, "revision": source.revision}
    if isinstance(source, HttpsSource):
        return {"https": without_secrets(source.url)}
    return {"local": str(source.path)}


def _source(data: dict[str, Any]) -> Source:
    if "hub" in data:
        revision = data["revision"]
        return HubSource(str(data["hub"]), str(data["path"]), None if revision is None else str(revision))
    if "https" in data:
        return HttpsSource(str(data["https"]))
    return LocalSource(Path(data["local"]))


def _from_data(data: dict[str, Any], folder: Path) -> Journal:
    order = Order(
        tuple(_source(one) for one in data["sources"]),
        folder,
        str(data["file_name"]),
        _text(data["order_sha256"]),
        _number(data["order_size"]),
    )
    source = data["source"]
    return Journal(
        order,
        _text(data["sha256"]),
        _number(data["total"]),
        None if source is None else _source(source),
        _text(data["etag"]),
        tuple((int(start), int(end)) for start, end in data["segments"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
