"""`remove`: files into the trash, and back."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from ..errors import NotFoundError, UsageError
from ..library.moving import Surroundings
from ..library.trash import Removed, empty, remove, removed, undo
from ..sentences import megabytes, say
from ..sync import worst
from .known import Known, data_of, with_data
from .shared import (
    Bar,
    Outcomes,
    folder_of,
    print_json,
    reading_bar,
    shown,
    stopped_by_ctrl_c,
    with_folder,
)


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a path, or one below the VAE folder")
    command.add_argument("--undo", action="store_true", help="bring the files of these names back, the newest of each")
    command.add_argument("--list", action="store_true", help="say what is in the trash")
    command.add_argument("--empty", action="store_true", help="delete for good what is in the trash")
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    data = data_of(options, folder)
    trash, around = data / "trash", Known(data).around(folder)
    if options.list or options.empty:
        return _list(options, trash) if options.list else _empty(options, trash)
    if not options.files:
        raise UsageError(say("Name a file, or ask with --list what is in the trash."))
    outcomes = Outcomes(json=options.json)
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for name in options.files:
            with outcomes.of(name):
                row = (
                    _undone(name, trash, around, bar, stop)
                    if options.undo
                    else _removed(name, folder, trash, around, bar, stop)
                )
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(shown(row["text"]))
    if options.json:
        print_json(outcomes.rows)
    return worst(outcomes.errors)


def _removed(
    name: Path, folder: Path, trash: Path, around: Surroundings, bar: Bar, stop: threading.Event
) -> dict[str, object]:
    here = [path for path in (name, folder / name) if path.is_symlink() or path.exists()]
    gone = remove(here[0] if here else name, trash, around, report=bar.of(name), stop=stop)
    text = f"{gone.file}: " + ("in the system's trash" if gone.place is None else f"in the trash, {gone.place}")
    return {"path": str(gone.file), "trash": _place(gone), "files": list(gone.names), "text": text}


def _undone(name: Path, trash: Path, around: Surroundings, bar: Bar, stop: threading.Event) -> dict[str, object]:
    gone = next((gone for gone in removed(trash) if gone.file.name == name.name), None)
    if gone is None:
        raise NotFoundError(say("The trash {trash} has no file {file}.", trash=trash, file=name.name))
    path = undo(gone, around, report=bar.of(name), stop=stop)
    return {"path": str(path), "files": list(gone.names), "text": f"{path}: is back"}


def _list(options: argparse.Namespace, trash: Path) -> int:
    gone = removed(trash)
    if options.json:
        rows = [
            {
                "path": str(one.file),
                "trash": _place(one),
                "size": one.size,
                "removed_at": one.removed_at,
                "noted": one.is_noted,
            }
            for one in gone
        ]
        print_json(rows)
        return 0
    if not gone:
        print(f"Nothing is in the trash {trash}.")
    for one in gone:
        lost = "" if one.is_noted else "  (the note of where it was is lost)"
        print(f"{megabytes(one.size):>8}  {shown(one.file)}{lost}")
    return 0


def _empty(options: argparse.Namespace, trash: Path) -> int:
    count, freed = sum(gone.is_noted for gone in removed(trash)), empty(trash)
    if options.json:
        print_json({"deleted": count, "freed": freed})
    else:
        print(f"{count} deleted for good, {megabytes(freed)}.")
    return 0


def _place(gone: Removed) -> str | None:
    return str(gone.place) if gone.place is not None else None
