"""`list`: the VAE files of a folder and what they are."""

from __future__ import annotations

import argparse

from ..library import Folder, collisions, scan
from ..sentences import megabytes
from .memory import Known, data_of, with_data
from .shared import (
    fields_of,
    folder_of,
    judge,
    load_catalogue,
    print_json,
    print_problem,
    shown,
    verification_fields,
    with_catalogue,
    with_folder,
    with_host,
)


def add_options(command: argparse.ArgumentParser) -> None:
    with_host(command)
    with_data(command)
    with_folder(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    known = Known(data_of(options, folder))
    known.recover(folder)
    files = {file.path: file for file in scan([Folder(folder)], print_problem)}
    records = known.with_families(known.index.look(files.values()), load_catalogue(options))
    doubled = collisions(files[record.path] for record in records)
    rows = [
        {
            "path": str(record.path),
            "size": record.size,
            "container": record.container,
            "layout": record.layout,
            "family": record.family.family,
            "latent_channels": record.latent_channels,
            "dtype": record.dtype,
            "sha256": record.sha256,
            **fields_of(judge(record, options)),
            **verification_fields(known.verification_of(record)),
            "same_name_as": [
                str(other.path) for other in doubled.get(record.path.name, ()) if other.path != record.path
            ],
        }
        for record in records
    ]
    if options.json:
        print_json(rows)
        return 0
    if not rows:
        print(f"No VAE files in {folder}.")
    for record, row in zip(records, rows, strict=True):
        facts = ", ".join(str(row[key]) for key in ("family", "layout", "dtype") if row[key] not in (None, "unknown"))
        note = "  (another file has this name: the WebUI lists one of them)" if row["same_name_as"] else ""
        what = row["reason"] or row["verification_reason"] or facts or row["container"]
        print(shown(f"{megabytes(record.size):>8}  {files[record.path].relative}  {what}{note}"))
    return 0
