"""`list`: the VAE files of a folder and what they are."""

from __future__ import annotations

import argparse

from ..files import inspect
from ..library import Folder, scan
from ..sentences import megabytes
from .shared import folder_of, print_json, with_catalogue, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    files = scan([Folder(folder_of(options))])
    rows = []
    for file in files:
        inspection = inspect(file.path)
        rows.append(
            {
                "path": str(file.path),
                "size": file.size,
                "container": inspection.container,
                "layout": inspection.layout,
                "latent_channels": inspection.latent_channels,
                "dtype": inspection.dtype,
                "problem": str(inspection.problem) if inspection.problem is not None else None,
            }
        )
    if options.json:
        print_json(rows)
        return 0
    if not rows:
        print(f"No VAE files in {folder_of(options)}.")
    for file, row in zip(files, rows, strict=True):
        facts = ", ".join(str(row[key]) for key in ("layout", "dtype") if row[key] not in (None, "unknown"))
        print(f"{megabytes(file.size):>8}  {file.relative}  {row['problem'] or facts or row['container']}")
    return 0
