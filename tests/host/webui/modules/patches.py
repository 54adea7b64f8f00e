"""Imitates modules/patches.py: named replacement of functions, refused when the same caller does it twice."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

originals: defaultdict[Any, dict[tuple[Any, str], Any]] = defaultdict(dict)


def patch(key: Any, obj: Any, field: str, replacement: Any) -> Any:
    """Put `replacement` in place of `obj.field` and give back what was there."""
    if (obj, field) in originals[key]:
        raise RuntimeError(f"patch for {field} is already applied")
    originals[key][obj, field] = before = getattr(obj, field)
    setattr(obj, field, replacement)
    return before


def undo(key: Any, obj: Any, field: str) -> None:
    """Put back what `patch` replaced."""
    if (obj, field) not in originals[key]:
        raise RuntimeError(f"there is no patch for {field} to undo")
    setattr(obj, field, originals[key].pop((obj, field)))


def original(key: Any, obj: Any, field: str) -> Any:
    """What `patch` of this key replaced, or None."""
    return originals[key].get((obj, field))
