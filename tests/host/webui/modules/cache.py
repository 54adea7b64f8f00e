"""Imitates modules/cache.py: a mapping on disk for each subsection. The WebUI keeps it with diskcache, this in JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from modules.paths import data_path

cache_dir = str(Path(data_path, "cache"))
caches: dict[str, DiskMapping]
cache_lock = threading.Lock()


class DiskMapping(MutableMapping[str, Any]):
    """Writes itself to its file at each change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value
        self._write()

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._write()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._values), encoding="utf-8")


caches = {}


def dump_cache() -> None:
    """Does nothing, as in the WebUI since it writes at once."""


def cache(subsection: str) -> DiskMapping:
    """The mapping of this name, the same object each time."""
    with cache_lock:
        if subsection not in caches:
            caches[subsection] = DiskMapping(Path(cache_dir, f"{subsection}.json"))
        return caches[subsection]


def cached_data_for_file(subsection: str, title: str, filename: str, func: Callable[[], Any]) -> Any:
    """What `func` gave, until the file is newer than when it was asked."""
    existing = cache(subsection)
    changed = Path(filename).stat().st_mtime
    entry = existing.get(title)
    if entry and changed <= entry.get("mtime", 0) and "value" in entry:
        return entry["value"]
    value = func()
    if value is not None:
        existing[title] = {"mtime": changed, "value": value}
    return value
