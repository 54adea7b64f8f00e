"""Notes beside a partial file: which byte ranges have arrived, so that another process can go on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...catalogue.entry import BucketSource, CivitaiSource, HttpsSource, HubSource, LocalSource, Source, bucket_source
from ...catalogue.file_names import safe_file_name
from ...files.json_text import hexadecimal, parse_json, path_of, text, whole
from ...files.state_file import UNREADABLE, DamagedError, bytes_of, list_of, report_damage
from ...sentences import say
from ..order import Order
from ..wire.urls import without_secrets

Span = tuple[int, int]
Spans = tuple[Span, ...]


def added(spans: Spans, start: int, end: int) -> Spans:
    """Return `spans` with the bytes from `start` up to `end`.

    >>> added(((0, 10), (20, 30)), 10, 20)
    ((0, 30),)
    >>> added(((0, 10),), 15, 20)
    ((0, 10), (15, 20))
    """
    if start >= end:
        return spans
    before = [span for span in spans if span[1] < start]
    after = [span for span in spans if span[0] > end]
    touched = spans[len(before) : len(spans) - len(after)]
    joined = (min([start, *(span[0] for span in touched)]), max([end, *(span[1] for span in touched)]))
    return (*before, joined, *after)


def missing(spans: Spans, total: int) -> Spans:
    """Return the spans of a file of `total` bytes that are not there.

    >>> missing(((5, 10),), 20)
    ((0, 5), (10, 20))
    """
    edges = [0, *(edge for span in spans for edge in span), total]
    return tuple((start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end)


def count(spans: Iterable[Span]) -> int:
    """Return how many bytes there are."""
    return sum(end - start for start, end in spans)


def front(spans: Spans) -> int:
    """Return how many bytes there are from the first one on, up to the first hole."""
    return spans[0][1] if spans and spans[0][0] == 0 else 0


def cut(spans: Spans, size: int) -> Spans:
    """Return what of `spans` lies in a file of `size` bytes.

    >>> cut(((0, 10), (20, 30)), 25)
    ((0, 10), (20, 25))
    """
    return tuple((start, min(end, size)) for start, end in spans if start < size)


def are_sound(spans: Spans) -> bool:
    """Tell whether these can be spans at all: a journal may be garbled."""
    edges = [edge for span in spans for edge in span]
    apart = all(before < after for before, after in itertools.pairwise(edges))
    return apart and (not edges or edges[0] >= 0)


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
    segments: Spans = ()
    """Which bytes are there."""
    owner: str | None = None
    """The process that wrote them (see `owner`)."""

    @property
    def done(self) -> int:
        """How many bytes are there."""
        return count(self.segments)

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
                "owner": self.owner,
            },
            indent=1,
        )


def read(path: Path) -> Journal | None:
    """Read a journal; None if it is missing or invalid. A damaged one is reported, and the download begins anew at the
    next request."""
    try:
        written, _ = bytes_of(path)
        if written is None:
            return None
        data = parse_json(written)
        return _from_data(data, path.parent) if data["version"] == VERSION else None
    except (DamagedError, *UNREADABLE):
        sentence = say(
            "{file}, the notes of an unfinished download, cannot be read. The download begins anew when it is asked "
            "for again.",
            file=path,
        )
        report_damage(path, sentence)
        return None


def nameable(source: Source) -> Source:
    """Return `source` as it may be written down: without the keys that an address can carry."""
    return HttpsSource(without_secrets(source.url)) if isinstance(source, HttpsSource) else source


def _written(source: Source) -> dict[str, str | int | None]:
    if isinstance(source, HubSource):
        return {"hub": source.repo, "path": source.path, "revision": source.revision}
    if isinstance(source, HttpsSource):
        return {"https": without_secrets(source.url)}
    if isinstance(source, BucketSource):
        return {"bucket": str(source)}
    if isinstance(source, CivitaiSource):
        return {"civitai": source.version, "file": source.file}
    return {"local": str(source.path)}


def _source(data: dict[str, Any]) -> Source:
    if "hub" in data:
        revision = data["revision"]
        return HubSource(text(data["hub"]), text(data["path"]), None if revision is None else text(revision))
    if "https" in data:
        return HttpsSource(text(data["https"]))
    if "bucket" in data:
        return bucket_source(text(data["bucket"]))
    if "civitai" in data:
        return CivitaiSource(whole(data["civitai"]), _text(data["file"]))
    return LocalSource(path_of(data["local"]))


def _from_data(data: dict[str, Any], folder: Path) -> Journal:
    order = Order(
        tuple(_source(one) for one in list_of(data["sources"])),
        folder,
        safe_file_name(text(data["file_name"])),
        _sha256(data["order_sha256"]),
        _number(data["order_size"]),
    )
    source = data["source"]
    segments = tuple((whole(start), whole(end)) for start, end in data["segments"])
    if not are_sound(segments):
        raise ValueError("segments that overlap")
    return Journal(
        order,
        _sha256(data["sha256"]),
        _number(data["total"]),
        None if source is None else _source(source),
        _etag(data["etag"]),
        segments,
        _text(data.get("owner")),
    )


def _text(value: object) -> str | None:
    return None if value is None else text(value)


def _sha256(value: object) -> str | None:
    return None if value is None else hexadecimal(value)


def _etag(value: object) -> str | None:
    """An ETag goes into a header: one that could not have come in one is left out."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _number(value: object) -> int | None:
    return None if value is None else whole(value)
