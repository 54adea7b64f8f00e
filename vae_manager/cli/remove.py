"""`remove`: files into the trash."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from ..library.moving import Surroundings
from ..library.trash import remove
from ..sync import worst
from .memory import Known, data_of, with_data
from .shared import Bar, Outcomes, folder_of, print_json, reading_bar, shown, stopped_by_ctrl_c, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a path, or one below the VAE folder")
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    data = data_of(options, folder)
    around = Known(data).around(folder)
    outcomes = Outcomes(json=options.json)
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for name in options.files:
            with outcomes.of(name):
                row = _removed(name, folder, data / "trash", around, bar, stop)
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
    place = str(gone.place) if gone.place is not None else None
    return {"path": str(gone.file), "trash": place, "files": list(gone.names), "text": text}
