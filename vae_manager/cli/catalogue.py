"""`catalogue`: what can be fetched."""

from __future__ import annotations

import argparse
from typing import Any

from ..catalogue import Entry
from ..sentences import megabytes
from .shared import load_catalogue, print_json, with_catalogue


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--all", action="store_true", help="include entries that are recognised but not offered")
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue = load_catalogue(options)
    entries = catalogue.entries if options.all else catalogue.offered()
    if options.json:
        print_json([_entry_fields(entry) for entry in entries])
        return 0
    for entry in entries:
        size = megabytes(entry.size) if entry.size is not None else ""
        licence = entry.licence.name if entry.licence is not None else "licence not stated"
        print(f"{entry.id:<28} {entry.family:<6} {size:>7}  {licence:<24} {entry.name}: {entry.purpose}")
        if entry.not_offered_because is not None:
            print(f"{'':<28} not offered: {entry.not_offered_because}")
    return 0


def _entry_fields(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "family": entry.family,
        "purpose": entry.purpose,
        "file_name": entry.file_name,
        "sha256": entry.sha256,
        "size": entry.size,
        "layout": entry.layout,
        "dtype": entry.dtype,
        "licence": entry.licence.name if entry.licence is not None else None,
        "sources": [str(source) for source in entry.sources],
        "offered": entry.offered,
        "not_offered_because": entry.not_offered_because,
    }
