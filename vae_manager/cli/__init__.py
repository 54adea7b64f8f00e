"""The command line: the same work without a WebUI, for containers, notebooks and shells; or through a running one.

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
from dataclasses import dataclass
from typing import Final

from .. import __version__
from ..errors import UsageError, VaeManagerError
from ..messages import msg
from . import (
    checkpoint_commands,
    file_commands,
    installation_commands,
    library_commands,
    trial_command,
    webui_commands,
)
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
        status: int = _run(options)
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


def _run(options: argparse.Namespace) -> int:
    """Run the command on files of this machine, or through the WebUI of `--webui`. Raises UsageError."""
    run: Callable[[argparse.Namespace], int] = options.run
    if getattr(options, "webui_url", None) is None or options.needs_webui:
        return run(options)
    if options.through is None:
        raise UsageError(
            msg(
                "{command} works on files of this machine, not through a running WebUI. Leave out --webui, and run it "
                "on the machine of the WebUI.",
                code="not-through-a-webui",
                command=options.parser.prog.rpartition(" ")[2],
            )
        )
    through: Through = options.through
    others = [
        "/".join(action.option_strings) or str(action.metavar)
        for action in options.parser._actions
        if action.dest not in (*through.arguments, *COMMON) and getattr(options, action.dest, None) != action.default
    ]
    if others:
        raise UsageError(
            msg(
                "{options} cannot be used with --webui: the WebUI has settings and files of its own.",
                code="not-with-webui",
                options=", ".join(others),
            )
        )
    return through.run(options)


@dataclass(frozen=True)
class Through:
    """A command through a running WebUI, and the arguments that it takes."""

    run: Callable[[argparse.Namespace], int]
    arguments: tuple[str, ...] = ()


COMMON: Final = ("help", "json", "webui_url")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `docs/reference/command-line.md` is generated from it."""
    parser = argparse.ArgumentParser(prog="python -m vae_manager", description="Get, verify, convert and compare VAEs.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, through: Through | None = None
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run, through=through, parser=added, needs_webui=False)
        added.add_argument("--json", action="store_true", help="print one JSON value instead of text")
        if name != "report":  # its --webui is a folder
            shown = (
                "ask a running WebUI, started with --api. A name and a password are in the address "
                f"(http://name:password@…) or, unseen by other users, in {webui_commands.AUTH}"
            )
            added.add_argument(
                "--webui",
                dest="webui_url",
                metavar="URL",
                help=shown if through is not None else argparse.SUPPRESS,
            )
        return added

    def webui_command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = command(name, run, text, Through(run))
        added.set_defaults(webui_url=webui_commands.ADDRESS, needs_webui=True)
        return added

    library_commands.add_catalogue_options(
        command(
            "catalogue",
            library_commands.run_catalogue,
            "List the VAEs that can be downloaded.",
            Through(webui_commands.catalogue, ("all",)),
        )
    )
    library_commands.add_get_options(
        command(
            "get",
            library_commands.run_get,
            "Download a VAE, verify its bytes and put it into the VAE folder.",
            Through(webui_commands.get, ("source", "name", "anyway", "accept_terms", "use")),
        )
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
        command(
            "list",
            file_commands.run_list,
            "List the VAE files of a folder and what they are.",
            Through(webui_commands.list_vaes),
        )
    )
    file_commands.add_inspect_options(
        command("inspect", file_commands.run_inspect, "Tell what files are, by their bytes and not by their names.")
    )
    file_commands.add_verify_options(
        command(
            "verify",
            file_commands.run_verify,
            "Read VAE files whole and compare them with the catalogue and with earlier readings.",
            Through(webui_commands.verify, ("files", "keep")),
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
            Through(webui_commands.needs, ("get", "accept_terms")),
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
            Through(webui_commands.compare, ("picture", "vaes", "out")),
        )
    )
    trial_command.add_best_options(
        command(
            "best",
            trial_command.run_best,
            "Find which VAE is nearest to the pictures of a folder.",
            Through(webui_commands.best, ("pictures", "vaes", "out", "count")),
        )
    )
    webui_command("status", webui_commands.status, "Tell which VAE a running WebUI uses, and why.")
    webui_commands.add_use_options(
        webui_command("use", webui_commands.use, "Let a running WebUI use a VAE, and wait until it is in the model.")
    )
    webui_command("downloads", webui_commands.downloads, "List the downloads and other work of a running WebUI.")
    webui_commands.add_cancel_options(
        webui_command("cancel", webui_commands.cancel, "Stop a download or other work of a running WebUI.")
    )
    webui_commands.add_rescue_options(
        webui_command("rescue", webui_commands.rescue, "Let a running WebUI decode one of its last pictures again.")
    )
    installation_commands.add_report_options(
        command(
            "report",
            installation_commands.run_report,
            "Print what a report of a problem needs, without folders, names of users or keys.",
        )
    )
    return parser
