"""`verify`: files held against the catalogue."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from ..catalogue import Catalogue
from ..errors import IntegrityError
from ..files import inspect, sha256_of
from ..library import Folder, scan
from .shared import folder_of, load_catalogue, print_json, stopped_by_ctrl_c, with_catalogue, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: every VAE file of the folder")
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue = load_catalogue(options)
    paths = options.files or [file.path for file in scan([Folder(folder_of(options))])]
    rows = []
    with stopped_by_ctrl_c() as stop:
        for path in paths:
            rows.append(_verdict(path, catalogue, stop))
            if not options.json:
                print(f"{rows[-1]['verdict']:<8} {path}  {rows[-1]['text']}")
    if options.json:
        print_json(rows)
    return IntegrityError.exit_status if any(row["verdict"] == "WRONG" for row in rows) else 0


def _verdict(path: Path, catalogue: Catalogue, stop: threading.Event) -> dict[str, Any]:
    """What a file's bytes are: proven (the catalogue knows them), unknown, or wrong (broken, or not what it is
    named like)."""
    problem = inspect(path).problem
    sha256 = sha256_of(path, stop=stop)
    entry = catalogue.recognise(sha256)
    namesake = next((other for other in catalogue.offered() if other.file_name == path.name), None)
    row = {"path": str(path), "sha256": sha256, "entry": entry.id if entry is not None else None}
    if entry is not None:
        return {**row, "verdict": "proven", "text": f"is {entry.name}, byte for byte"}
    if problem is not None:
        return {**row, "verdict": "WRONG", "text": str(problem)}
    if namesake is not None:
        return {**row, "verdict": "WRONG", "text": f"is named like {namesake.name}, but has other bytes: {sha256}"}
    return {**row, "verdict": "unknown", "text": f"is not in the catalogue: {sha256}"}
