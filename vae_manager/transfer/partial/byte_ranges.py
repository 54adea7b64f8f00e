"""Which bytes of a file are there: spans `(start, end)`, end excluded, in order, apart from each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

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
