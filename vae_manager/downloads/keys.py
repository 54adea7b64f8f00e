"""API keys of sites that ask for one, in `keys.json`: {"civitai.com": "…"}, readable by its owner alone.

Not among the WebUI's settings: those are shown to everybody who opens the page, and written into reports. A key goes
from here into the network's hands and nowhere else; a page is told only whether there is one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import DiskError, UsageError
from ..files.state_file import StateFile, pairs_of
from ..sentences import say

CIVITAI: Final = "civitai.com"
_KEY: Final = re.compile(r"[\x21-\x7e]{8,200}")
"""What can stand in a header."""


class Keys:
    """By host."""

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, pairs_of, is_private=True)
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, str]:
        """Every key; empty where the file is missing or makes no sense."""
        return dict(self._file.items(_key))

    def __contains__(self, host: str) -> bool:
        return host in self.all()

    def save(self, host: str, key: str) -> None:
        key = key.strip()
        if not _KEY.fullmatch(key):
            raise UsageError(say("This is not an API key: letters and digits in one piece, copied whole."))
        with self._lock:
            self._write({**self.all(), host: key})

    def remove(self, host: str) -> None:
        with self._lock:
            self._write({other: key for other, key in self.all().items() if other != host})

    def _write(self, keys: Mapping[str, str]) -> None:
        try:
            self._file.write(dict(keys) or None)
        except OSError as error:
            raise DiskError(
                say("{path} cannot be written: {reason}", path=self._file.path, reason=error.strerror or error)
            ) from error


def _key(item: tuple[str, Any]) -> tuple[str, str]:
    host, key = item
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError("no key")
    return host, key
