"""The command line: the same work without a WebUI, for containers, notebooks and shells.

Exit status: 0 done, 1 `sync --check` found a difference or `needs` something missing, 2 usage, 3 not found, 4 network,
5 integrity, 6 disk, 7 refused, 130 stopped by Ctrl-C, 141 the reader of the output has ended. A command on several
files ends with the status of the worst failure.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from .. import __version__
from ..errors import VaeManagerError
from . import checkpoint_commands, file_commands, installation_commands, library_commands, trial_command
from .shared import error_fields, print_json, print_problem

__all__ = ["main", "make_parser"]

EXIT_PIPE: Final = 141
"""The status that a shell reports for a program ended by SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name can hold characters that this terminal or pipe cannot
        sys.stdout.reconfigure(errors="backslashreplace")
    options = make_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except VaeManagerError as error:
        if options.json:
            print_json(error_fields(error))
        else:
            print_problem(error)
        return error.exit_status
    except BrokenPipeError:  # the reader of the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python fails once more at its end
        return EXIT_PIPE
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `docs/reference/command-line.md` is generated from it."""
    parser = argparse.ArgumentParser(prog="python -m vae_manager", description="Get, verify, convert and compare VAEs.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON value instead of text")
        return added

    library_commands.add_catalogue_options(
        command("catalogue", library_commands.run_catalogue, "List the VAEs that can be downloaded.")
    )
    library_commands.add_get_options(
        command("get", library_commands.run_get, "Download a VAE, verify its bytes and put it into the VAE folder.")
    )
    installation_commands.add_sync_options(
        command("sync", installation_commands.run_sync, "Bring a VAE folder to the set that a file declares.")
    )
    installation_commands.add_freeze_options(
        command(
            "freeze",
            installation_commands.run_freeze,
            "Print the verified VAE files of a folder with their sources, as a file for `sync`.",
        )
    )
    file_commands.add_list_options(
        command("list", file_commands.run_list, "List the VAE files of a folder and what they are.")
    )
    file_commands.add_inspect_options(
        command("inspect", file_commands.run_inspect, "Tell what files are, by their bytes and not by their names.")
    )
    file_commands.add_verify_options(
        command(
            "verify",
            file_commands.run_verify,
            "Read VAE files whole and compare them with the catalogue and with earlier readings.",
        )
    )
    file_commands.add_convert_options(
        command(
            "convert", file_commands.run_convert, "Write the VAE of a file as a second file that the WebUI can load."
        )
    )
    checkpoint_commands.add_needs_options(
        command(
            "needs",
            checkpoint_commands.run_needs,
            "Tell which components a checkpoint needs beside itself, and download those that are missing.",
        )
    )
    library_commands.add_duplicates_options(
        command("duplicates", library_commands.run_duplicates, "Find VAEs with the same weights, under whatever name.")
    )
    library_commands.add_adopt_options(
        command("adopt", library_commands.run_adopt, "Copy, move or link VAE files into the VAE folder.")
    )
    library_commands.add_remove_options(command("remove", library_commands.run_remove, "Put VAE files into the trash."))
    library_commands.add_trash_options(
        command("trash", library_commands.run_trash, "List removed files, bring them back, or delete them for good.")
    )
    file_commands.add_compare_options(
        command(
            "compare",
            file_commands.run_compare,
            "Encode and decode a picture by several VAEs and tell the differences.",
        )
    )
    trial_command.add_best_options(
        command("best", trial_command.run_best, "Find which VAE is nearest to the pictures of a folder.")
    )
    installation_commands.add_report_options(
        command(
            "report",
            installation_commands.run_report,
            "Print what a report of a problem needs, without folders, names of users or keys.",
        )
    )
    return parser
