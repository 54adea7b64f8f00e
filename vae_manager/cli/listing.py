"""`list`: the VAE files of a folder and what they are."""

from __future__ import annotations

import argparse

from ..library import Folder, collisions, scan
from ..sentences import megabytes
from .known import Known, data_of, with_data
from .shared import folder_of, load_catalogue, print_json, print_problem, shown, with_catalogue, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    with_data(command)
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    known = Known(data_of(options, folder))
    known.recover(folder)
    indexed = known.index.look(scan([Folder(folder)], print_problem))
    families = known.families(indexed, load_catalogue(options))
    doubled = collisions(one.file for one in indexed)
    rows = [
        {
            "path": str(one.file.path),
            "size": one.file.size,
            "container": one.summary.container,
            "layout": one.summary.layout,
            "family": family.family,
            "latent_channels": one.summary.latent_channels,
            "dtype": one.summary.dtype,
            "sha256": one.sha256,
            "problem": str(one.summary.problem) if one.summary.problem is not None else None,
            "same_name_as": [str(other.path) for other in doubled.get(one.file.name, ()) if other != one.file],
        }
        for one, family in zip(indexed, families, strict=True)
    ]
    if options.json:
        print_json(rows)
        return 0
    if not rows:
        print(f"No VAE files in {folder}.")
    for one, row in zip(indexed, rows, strict=True):
        facts = ", ".join(str(row[key]) for key in ("family", "layout", "dtype") if row[key] not in (None, "unknown"))
        note = "  (another file has this name: the WebUI lists one of them)" if row["same_name_as"] else ""
        what = row["problem"] or facts or row["container"]
        print(shown(f"{megabytes(one.file.size):>8}  {one.file.relative}  {what}{note}"))
    return 0
