"""`trash`: what was deleted, the way back, and the end of it."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

from ..errors import NotFoundError, UsageError
from ..library import system_trash
from ..library.moving import Surroundings
from ..library.trash import empty, removed, restore
from ..sentences import megabytes, say
from ..sync import worst
from .memory import Known, data_of, with_data
from .shared import Bar, Outcomes, folder_of, print_json, reading_bar, shown, stopped_by_ctrl_c, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "act",
        choices=["list", "restore", "empty"],
        help="list the trash, bring files back, or delete all of it for good",
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="names of the files to restore; of several with one name, the newest"
    )
    command.add_argument("--as", dest="name", metavar="NAME", help="restore one file under another name")
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    data = data_of(options, folder)
    trash = data / "trash"
    if (options.act == "restore") != bool(options.names) or (options.name is not None and len(options.names) != 1):
        raise UsageError(say("trash restore takes names, one with --as; trash list and trash empty take none."))
    if options.act == "restore":
        return _restore(options, trash, Known(data).around(folder))
    return _list(options, trash) if options.act == "list" else _empty(options, trash)


def _list(options: argparse.Namespace, trash: Path) -> int:
    gone = removed(trash)
    if options.json:
        rows = [
            {
                "path": str(one.file),
                "trash": str(one.place),
                "size": one.size,
                "removed_at": one.removed_at,
                "noted": one.is_noted,
            }
            for one in gone
        ]
        print_json(rows)
        return 0
    for one in gone:
        lost = "" if one.is_noted else "  (the note of where it was is lost)"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.removed_at))
        print(f"{megabytes(one.size):>8}  {when}  {shown(one.file)}{lost}")
    if not gone:
        print(shown(f"Nothing is in the trash {trash}."))
    if system_trash.is_there():
        print("Deleted files go to the system's trash: restore them there.")
    return 0


def _restore(options: argparse.Namespace, trash: Path, around: Surroundings) -> int:
    outcomes = Outcomes(json=options.json)
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for name in options.names:
            with outcomes.of(Path(name)):
                row = _restored(name, options.name, trash, around, bar, stop)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(shown(row["text"]))
    if options.json:
        print_json(outcomes.rows)
    return worst(outcomes.errors)


def _restored(
    name: str, new_name: str | None, trash: Path, around: Surroundings, bar: Bar, stop: threading.Event
) -> dict[str, object]:
    gone = next((gone for gone in removed(trash) if gone.file.name == Path(name).name), None)
    if gone is None:
        raise NotFoundError(say("The trash {trash} has no file {file}.", trash=trash, file=name))
    path = restore(gone, around, name=new_name, report=bar.of(Path(name)), stop=stop)
    return {"path": str(path), "files": list(gone.names), "text": f"{path}: is back"}


def _empty(options: argparse.Namespace, trash: Path) -> int:
    count, freed = sum(gone.is_noted for gone in removed(trash)), empty(trash)
    if options.json:
        print_json({"deleted": count, "freed": freed})
    else:
        print(f"{count} deleted for good, {megabytes(freed)}.")
    return 0
