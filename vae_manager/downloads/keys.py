"""API keys of sites that ask for one, in `keys.json`: {"civitai.com": "…"}, readable by its owner alone.

Not among the WebUI's settings: those are shown to everybody who opens the page, and written into reports. A key goes
from here into the network's hands and nowhere else; a page is told only whether there is one.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import DiskError, UsageError
from ..files.writing import rename_over
from ..sentences import say

CIVITAI: Final = "civitai.com"
_KEY: Final = re.compile(r"[\x21-\x7e]{8,200}")
"""What can stand in a header."""


class Keys:
    """By host."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, str]:
        """Every key; empty where the file is missing or makes no sense."""
        try:
            keys = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(keys, dict):
            return {}
        return {host: key for host, key in keys.items() if isinstance(key, str) and _KEY.fullmatch(key)}

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
        new = self._file.with_name(self._file.name + ".new")
        try:
            if not keys:
                self._file.unlink(missing_ok=True)
                return
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            # Made for its owner alone from the first moment on: a change afterwards would leave a gap.
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(dict(keys), file)
            rename_over(new, self._file)
        except OSError as error:
            raise DiskError(
                say("{path} cannot be written: {reason}", path=self._file, reason=error.strerror or error)
            ) from error
