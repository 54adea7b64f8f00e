"""`verify`: files held against the catalogue."""

from __future__ import annotations

import argparse
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..catalogue import Catalogue
from ..errors import IntegrityError, UsageError
from ..files import FileRecord, inspect, sha256_of
from ..files.numbers import find_nan
from ..library import Folder, scan
from ..records.verdict import Refused
from ..sentences import Sentence, say
from ..sync import worst
from .judging import judge, with_host
from .shared import (
    Outcomes,
    folder_of,
    load_catalogue,
    print_json,
    reading_bar,
    shown,
    stopped_by_ctrl_c,
    with_catalogue,
    with_folder,
)

Report = Callable[[int, int], None]


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: every VAE file of the folder")
    command.add_argument("--numbers", action="store_true", help="also look at every number: NaN makes pictures black")
    with_host(command)
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue = load_catalogue(options)
    if options.numbers and importlib.util.find_spec("numpy") is None:
        raise UsageError(say("--numbers needs numpy, which is not installed here."))
    paths = options.files or [file.path for file in scan([Folder(folder_of(options))])]
    outcomes = Outcomes(json=options.json)
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for path in paths:
            with outcomes.of(path):
                row = _verdict(path, catalogue, options, bar.of(path), stop)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(shown(f"{row['verdict']:<8} {path}  {row['text']}"))
    if options.json:
        print_json(outcomes.rows)
    if any(row.get("verdict") == "WRONG" for row in outcomes.rows):
        return IntegrityError.exit_status  # no error is worse than wrong bytes
    return worst(outcomes.errors)


def _verdict(
    path: Path, catalogue: Catalogue, options: argparse.Namespace, report: Report, stop: threading.Event
) -> dict[str, Any]:
    """What a file's bytes are: proven (the catalogue knows them), unknown, or wrong (broken, or not what it is
    named like). What is remembered of it counts for nothing here: its bytes are read."""
    record = inspect(path)
    sha256 = sha256_of(path, report=lambda done: report(done, record.size), stop=stop)
    entry = catalogue.recognise(sha256)
    namesake = next((other for other in catalogue.offered() if other.file_name == path.name), None)
    row = {"path": str(path), "sha256": sha256, "entry": entry.id if entry is not None else None}
    damage = _damage(record, report, stop) if options.numbers else None
    if damage is not None:
        return {**row, "verdict": "WRONG", "text": str(damage)}
    if entry is not None:
        return {**row, "verdict": "proven", "text": f"is {entry.name}, byte for byte"}
    answer = judge(record, options)
    if isinstance(answer, Refused):
        return {**row, "verdict": "WRONG", "text": str(answer.reason.sentence)}
    if namesake is not None:
        return {**row, "verdict": "WRONG", "text": f"is named like {namesake.name}, but has other bytes: {sha256}"}
    return {**row, "verdict": "unknown", "text": f"is not in the catalogue: {sha256}"}


def _damage(record: FileRecord, report: Report, stop: threading.Event) -> Sentence | None:
    """What is no number in it; nothing is said of a file whose tensors cannot be read."""
    if not record.tensors:
        return None
    found = find_nan(record.path, report=report, stop=stop)
    return found.sentence if found is not None else None
