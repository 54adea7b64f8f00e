"""`adopt`: a VAE from anywhere on this machine into the VAE folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import Cancelled, UsageError, VaeManagerError
from ..library.moving import adopt
from ..sentences import say
from ..sync import worst
from .memory import Known, data_of, with_data
from .shared import folder_of, print_json, print_problem, reading_bar, shown, stopped_by_ctrl_c, with_folder


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="VAE files anywhere")
    command.add_argument(
        "--how", choices=("copy", "move", "link"), default="copy", help="what becomes of the original (default: copy)"
    )
    command.add_argument("--name", help="a new name, if there is one FILE")
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    if options.name is not None and len(options.files) > 1:
        raise UsageError(say("One name cannot be given to {count} files.", count=len(options.files)))
    folder = folder_of(options)
    known = Known(data_of(options, folder))
    rows: list[dict[str, object]] = []
    errors: list[VaeManagerError] = []
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for source in options.files:
            try:
                path = adopt(source, folder, options.how, options.name, known.around(folder),
                             report=bar.of(source), stop=stop)  # fmt: skip
                rows.append({"path": str(path), "source": str(source), "how": options.how})
            except Cancelled:
                raise
            except VaeManagerError as error:  # the others are adopted all the same
                errors.append(error)
                rows.append({"source": str(source), "error": str(error), "status": error.exit_status})
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            if "path" in row:
                print(shown(f"{row['path']}: {options.how} of {row['source']}"))
        for problem in errors:
            print_problem(problem)
    return worst(errors)
