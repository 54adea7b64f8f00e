"""Records of finished trials: what was measured here, by checkpoint, so that advice can begin with it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..errors import DiskError
from ..files.state_file import StateFile, finite, list_of, text, whole
from ..messages import Message, from_data, msg, to_data
from .findings import phrases, standing
from .ranking import Standing
from .trial import Finding

__all__ = ["FileMark", "Measured", "TrialRecord", "TrialRecords", "changed_meanwhile", "mark_of", "record_of"]

MAX_RECORDS: Final = 50


class FileMark(NamedTuple):
    """What shows that a file is another one than before; a copy or a move keeps both."""

    size: int
    mtime_ns: int


def mark_of(path: Path) -> FileMark | None:
    """Return the mark of a file; None if it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return FileMark(status.st_size, status.st_mtime_ns)


def changed_meanwhile(file: str) -> Message:
    """Return why a file is left out whose scores would be those of another one."""
    return msg(
        "{file} was changed while it was measured. Begin anew: what was measured before is kept.",
        code="changed-meanwhile",
        file=file,
    )


@dataclass(frozen=True)
class Measured:
    """One VAE of a record."""

    vae: str
    """The name of the choice."""
    standing: str
    """A value of `ranking.Standing`."""
    distance: float
    sentence: Message
    phrases: tuple[Message, ...] = ()
    """What is wrong with it."""
    file: FileMark | None = None
    """Its file, that of the checkpoint for its own VAE; None: not known."""


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial."""

    checkpoint: str
    """The file's name."""
    when: float
    """Seconds since 1970."""
    pictures: int
    rows: tuple[Measured, ...]
    """The nearest first."""

    @property
    def nearest(self) -> Sequence[str]:
        """The VAEs that are nearest, or certainly as near."""
        near = (Standing.NEAREST.value, Standing.EQUAL.value)
        return [row.vae for row in self.rows if row.standing in near]


def record_of(
    checkpoint: str, when: float, finding: Finding, files: Mapping[str, FileMark | None] | None = None
) -> TrialRecord:
    """Return the record of a trial's result. `files` are the files of the VAEs as they were measured, by name."""
    rows = [
        Measured(
            row.vae,
            row.standing.value,
            row.distance,
            standing(row.vae, finding),
            phrases(finding.defects.get(row.vae, ())),
            (files or {}).get(row.vae),
        )
        for row in finding.ranking.rows
    ]
    return TrialRecord(checkpoint, when, finding.ranking.pictures, tuple(rows))


class TrialRecords:
    """The records of one data folder, the newest of each checkpoint. Safe to use from any thread."""

    NAME: Final = "trials.json"

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path, list_of)
        self._lock = threading.Lock()
        self._records: Mapping[str, TrialRecord] = {}

    def of(self, checkpoint: str | None) -> TrialRecord | None:
        """Return the record of a checkpoint, by the path or the name of its file; None without one."""
        if checkpoint is None:
            return None
        with self._lock:
            return self._current().get(Path(checkpoint).name)

    def put(self, record: TrialRecord) -> None:
        """Keep a record, in the place of an earlier one of that checkpoint. Raises DiskError without effect."""
        with self._lock:
            others = {name: one for name, one in self._current().items() if name != record.checkpoint}
            records = dict([*others.items(), (record.checkpoint, record)][-MAX_RECORDS:])
            try:
                self._file.write([_to_data(one) for one in records.values()], indent=1)
            except OSError as error:
                reason = error.strerror or error
                raise DiskError(
                    msg("{path} cannot be written: {reason}", code="not-writable", path=self._file.path, reason=reason)
                ) from error
            self._records = records

    def _current(self) -> Mapping[str, TrialRecord]:
        if self._file.has_changed:
            self._records = {one.checkpoint: one for one in self._file.items(_from_data)}
        return self._records


def _to_data(record: TrialRecord) -> dict[str, Any]:
    rows = [
        {**asdict(row), "sentence": to_data(row.sentence), "phrases": [to_data(phrase) for phrase in row.phrases]}
        for row in record.rows
    ]
    return {"checkpoint": record.checkpoint, "when": record.when, "pictures": record.pictures, "rows": rows}


def _from_data(data: Any) -> TrialRecord:
    rows = [
        Measured(
            text(row["vae"]),
            Standing(row["standing"]).value,
            finite(row["distance"]),
            from_data(row["sentence"]),
            tuple(from_data(phrase) for phrase in row["phrases"]),
            FileMark(*(whole(number) for number in row["file"])) if row.get("file") is not None else None,
        )
        for row in data["rows"]
    ]
    return TrialRecord(text(data["checkpoint"]), finite(data["when"]), whole(data["pictures"]), tuple(rows))
