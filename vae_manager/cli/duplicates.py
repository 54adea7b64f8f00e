"""`duplicates`: VAEs that a folder has more than once."""

from __future__ import annotations

import argparse
from typing import Any

from ..files import FileRecord
from ..library import Folder, scan
from ..library.family_evidence import Group, by_hash, by_weights
from ..sentences import megabytes
from .memory import Known, data_of, with_data
from .shared import (
    fields_of,
    folder_of,
    judge,
    print_json,
    reading_bar,
    shown,
    stopped_by_ctrl_c,
    with_folder,
    with_host,
)


def add_options(command: argparse.ArgumentParser) -> None:
    with_host(command)
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    known = Known(data_of(options, folder))
    known.recover(folder)
    files = scan([Folder(folder)])
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for record in known.index.look(files):
            if record.has_decoder or record.has_encoder:
                known.fingerprints(record.path, report=bar.of(record.path), stop=stop)
        groups = by_weights(known.index.look(files))
        for record in (record for group in groups for record in group):  # equal bytes are named below
            known.hash(record.path, report=bar.of(record.path), stop=stop)
    groups = by_weights(known.index.look(files))
    if options.json:
        print_json([_fields(group, options) for group in groups])
        return 0
    if not groups:
        print(f"No VAE is in {folder} more than once.")
    for group in groups:
        print(f"The same weights, {(group[0].weights or '')[:10]}:")
        for record in group:
            name = shown(str(record.path.relative_to(folder)))
            print(f"{megabytes(record.size):>8}  {name}  {_facts(record, group, options)}")
    return 0


def _fields(group: Group, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "weights_fingerprint": group[0].weights,
        "files": [
            {
                "path": str(record.path),
                "size": record.size,
                "sha256": record.sha256,
                "container": record.container,
                "layout": record.layout,
                **fields_of(judge(record, options)),
                "same_bytes_as": _same_bytes(record, group),
            }
            for record in group
        ],
    }


def _same_bytes(record: FileRecord, group: Group) -> list[str]:
    return [str(other.path) for same in by_hash(group) if record in same for other in same if other is not record]


def _facts(record: FileRecord, group: Group, options: argparse.Namespace) -> str:
    facts: list[str] = [record.container, record.layout]
    if not fields_of(judge(record, options))["loadable"]:
        facts.append("not loadable")
    if _same_bytes(record, group):
        facts.append("byte for byte")
    return ", ".join(facts)
