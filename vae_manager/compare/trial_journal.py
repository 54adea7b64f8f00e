"""The journal of a trial: the score of each picture by each VAE, so that a trial that was cut off goes on.

A line is one score, under a key of the picture's pixels, the VAE's weights and the settings; or a note, a text under
such a key. A line that a power cut left half written is not read; its picture is measured again.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Final

from ..errors import DiskError
from ..files.headers import disk_error
from ..files.state_file import UNREADABLE, parse_json
from ..messages import msg
from .scores import VERSION, Score, score_of_fields

__all__ = ["TrialJournal", "key_of"]

MAX_BYTES: Final = 64 << 20
"""Some 60,000 scores; a longer journal is begun anew."""


def key_of(vae_hash: str, picture_hash: str, settings: str) -> str:
    """Return the key of a score; `settings` is what changes it besides picture and VAE."""
    return f"{VERSION} {vae_hash} {picture_hash} {settings}"


class TrialJournal:
    """The scores of one file, or of the memory alone without a path. Safe to use from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._scores: dict[str, Score] = {}
        self._notes: dict[str, str] = {}
        self._ends_whole = True
        if path is not None:
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            data = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else b""
            if not data and path.is_file():
                path.unlink()
        except OSError as error:
            raise disk_error(path, error) from error
        self._ends_whole = not data or data.endswith(b"\n")
        for line in data.splitlines():
            try:
                key, fields = parse_json(line)
                if isinstance(fields, str):
                    self._notes[str(key)] = fields
                else:
                    self._scores[str(key)] = score_of_fields(fields)
            except UNREADABLE:
                continue  # half a line: its picture is measured again

    def get(self, key: str) -> Score | None:
        """Return the score of that key; None if it was not measured."""
        with self._lock:
            return self._scores.get(key)

    def add(self, key: str, score: Score) -> None:
        """Keep a score. Raises DiskError if the file cannot be written; the score then counts for this process."""
        with self._lock:
            self._scores[key] = score
            self._append([key, score.fields()])

    def noted(self, key: str) -> str | None:
        """Return the note of that key; None without one."""
        with self._lock:
            return self._notes.get(key)

    def note(self, key: str, text: str) -> None:
        """Keep a note. Raises DiskError as `add` does."""
        with self._lock:
            if self._notes.get(key) != text:
                self._notes[key] = text
                self._append([key, text])

    def _append(self, item: list[Any]) -> None:
        if self._path is None:
            return
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line if self._ends_whole else b"\n" + line)
        except OSError as error:
            reason = error.strerror or error
            raise DiskError(
                msg("{path} cannot be written: {reason}", code="not-writable", path=self._path, reason=reason)
            ) from error
        self._ends_whole = True
