"""`verify`: files read whole, and compared with the catalogue and with earlier readings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import IntegrityError, UsageError
from ..library import Folder, scan
from ..library.verification import Outcome, Verification, can_look_at_numbers, verify
from ..sentences import say
from ..sync import worst
from ..upkeep.maintenance import summary_of
from .memory import Known, data_of, with_data
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


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: every VAE file of the folder")
    command.add_argument(
        "--numbers",
        action="store_true",
        help="fail if numpy is missing, without which NaN and infinite values are not found",
    )
    with_data(command)
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue, folder = load_catalogue(options), folder_of(options)
    has_numbers = can_look_at_numbers()
    if options.numbers and not has_numbers:
        raise UsageError(say("--numbers needs numpy, which is not installed here."))
    known = Known(data_of(options, folder))
    paths = options.files or [file.path for file in scan([Folder(folder)])]
    outcomes = Outcomes(json=options.json)
    found = []
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for path in paths:
            with outcomes.of(path):
                one = verify(path, catalogue, known.hashes, has_numbers=has_numbers, report=bar.of(path), stop=stop)
                found.append(one)
                known.note(path, one)
                if one.error is not None:
                    raise one.error
                row = _row(path, one)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(shown(f"{row['verdict']:<10} {path}  {row['text']}"))
    if options.json:
        print_json(outcomes.rows)
    elif len(found) > 1:
        print(summary_of(found))
    if any(not one.is_right and one.error is None for one in found):
        return IntegrityError.exit_status  # no error is worse than wrong bytes
    return worst(outcomes.errors)


def _row(path: Path, one: Verification) -> dict[str, Any]:
    entry = one.entry.id if one.entry is not None else None
    return {"path": str(path), "sha256": one.sha256, "entry": entry, "verdict": one.outcome.value, "text": _text(one)}


def _text(one: Verification) -> str:
    if one.reason is not None:
        return str(one.reason)
    if one.entry is not None:
        return f"is {one.entry.name}, byte for byte"
    if one.outcome is Outcome.VERIFIED:
        return f"has the bytes of an earlier reading: {one.sha256}"
    if one.was_other:
        return f"was written to since its last reading, and is not in the catalogue: {one.sha256}"
    return f"is not in the catalogue, and no earlier reading of these bytes is remembered: {one.sha256}"
