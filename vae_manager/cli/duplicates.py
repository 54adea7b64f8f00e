"""`duplicates`: VAEs that a folder has more than once."""

from __future__ import annotations

import argparse
from typing import Any

from ..library import Folder, scan
from ..library.duplicates import Group, by_hash, by_weights
from ..library.index import IndexedFile
from ..sentences import megabytes
from .known import Known, data_of, with_data
from .shared import folder_of, print_json, reading_bar, shown, stopped_by_ctrl_c, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    known = Known(data_of(options, folder))
    known.recover(folder)
    files = scan([Folder(folder)])
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for indexed in known.index.look(files):
            if indexed.summary.has_decoder or indexed.summary.has_encoder:
                known.fingerprints(indexed.file.path, report=bar.of(indexed.file.path), stop=stop)
        groups = by_weights(known.index.look(files))
        for file in (file for group in groups for file in group):  # so that twins of the bytes can be told
            known.hash(file.file.path, report=bar.of(file.file.path), stop=stop)
    groups = by_weights(known.index.look(files))
    if options.json:
        print_json([_fields(group) for group in groups])
        return 0
    if not groups:
        print(f"No VAE is in {folder} more than once.")
    for group in groups:
        print(f"The same weights, {group[0].fingerprints.weights[:10] if group[0].fingerprints else ''}:")
        for file in group:
            print(f"{megabytes(file.file.size):>8}  {shown(file.file.relative)}  {_facts(file, group)}")
    return 0


def _fields(group: Group) -> dict[str, Any]:
    prints = group[0].fingerprints
    return {
        "weights_fingerprint": prints.weights if prints is not None else None,
        "files": [
            {
                "path": str(file.file.path),
                "size": file.file.size,
                "sha256": file.sha256,
                "container": file.summary.container,
                "layout": file.summary.layout,
                "loadable": file.summary.loadable,
                "same_bytes_as": [str(other) for other in _same_bytes(file, group)],
            }
            for file in group
        ],
    }


def _same_bytes(file: IndexedFile, group: Group) -> list[str]:
    return [
        str(other.file.path) for same in by_hash(group) if file in same for other in same if other is not file
    ]


def _facts(file: IndexedFile, group: Group) -> str:
    facts = [file.summary.container, file.summary.layout]
    if not file.summary.loadable:
        facts.append("not loadable")
    if _same_bytes(file, group):
        facts.append("byte for byte")
    return ", ".join(facts)
