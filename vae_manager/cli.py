"""The same work without a WebUI: for containers, notebooks and people who like a shell.

Exit status: 0 done, 2 usage, 3 not found, 4 network, 5 integrity, 6 disk, 7 refused, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from . import __version__
from .catalogue import (
    Catalogue,
    Entry,
    HttpsSource,
    HubSource,
    LocalSource,
    is_vae_file_name,
    load,
    not_offered,
    safe_file_name,
)
from .catalogue.parsing import parse_source
from .errors import IntegrityError, NotFoundError, RefusedError, UsageError, VaeManagerError
from .files import inspect, sha256_of
from .library import Folder, scan
from .sentences import megabytes, say
from .transfer import Delivery, Network, Order, Progress, deliver

VAE_FOLDER = Path("models/VAE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name can hold what this terminal or pipe cannot
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except VaeManagerError as error:
        if options.json:
            _print_json({"error": str(error), "status": error.exit_status})
        else:
            print(f"vae_manager: {error}", file=sys.stderr)
        return error.exit_status
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m vae_manager", description="Get VAEs and prove their bytes.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON value instead of text")
        return added

    def with_catalogue(added: argparse.ArgumentParser) -> None:
        added.add_argument("--catalogue", type=Path, metavar="FILE", help="a YAML file with further entries")

    def with_folder(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--dir", type=Path, metavar="DIR", help="the VAE folder (default: models/VAE if there is one, else here)"
        )

    catalogue = command("catalogue", _catalogue, "List the VAEs that can be fetched.")
    catalogue.add_argument("--all", action="store_true", help="also those that are only recognised")
    with_catalogue(catalogue)

    get = command("get", _get, "Fetch a VAE, prove its bytes and put it into the VAE folder.")
    get.add_argument("source", metavar="ENTRY | hub:OWNER/REPO/PATH[@REV] | https://…")
    get.add_argument("--endpoint", metavar="URL", help="a hub or a mirror of it (default: HF_ENDPOINT, else the hub)")
    get.add_argument("--accept-terms", action="store_true", help="you have read the licence of the entry")
    with_folder(get)
    with_catalogue(get)

    listing = command("list", _list, "List the VAE files of a folder and what they are.")
    with_folder(listing)
    with_catalogue(listing)

    verify = command("verify", _verify, "Hash VAE files and hold them against the catalogue.")
    verify.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: every VAE file of the folder")
    with_folder(verify)
    with_catalogue(verify)
    return parser


def _catalogue(options: argparse.Namespace) -> int:
    catalogue = _load(options)
    entries = catalogue.entries if options.all else catalogue.offered()
    if options.json:
        _print_json([_entry_fields(entry) for entry in entries])
        return 0
    for entry in entries:
        size = megabytes(entry.size) if entry.size is not None else ""
        licence = entry.licence.name if entry.licence is not None else "licence not stated"
        print(f"{entry.id:<28} {entry.family:<6} {size:>7}  {licence:<24} {entry.name}: {entry.purpose}")
        if entry.not_offered_because is not None:
            print(f"{'':<28} not offered: {entry.not_offered_because}")
    return 0


def _get(options: argparse.Namespace) -> int:
    order = _order(options)
    network = Network(endpoint=options.endpoint)
    with _stopped_by_ctrl_c() as stop, _progress_bar(options, order.file_name) as report:
        delivery = deliver(order, network=network, report=report, stop=stop)
    if not delivery.proven and (problem := inspect(delivery.path).problem) is not None:
        print(f"vae_manager: {problem}", file=sys.stderr)
    if options.json:
        _print_json(_delivery_fields(delivery))
    else:
        print(_delivery_text(delivery))
    return 0


def _order(options: argparse.Namespace) -> Order:
    folder = _folder(options)
    text = options.source
    if ":" in text or "/" in text:
        source = parse_source(text)
        return Order((source,), folder, _file_name(source), None)
    entry = _load(options).entry(text)
    if not entry.offered:
        raise RefusedError(not_offered(entry))
    licence = entry.licence
    if licence is not None and not licence.permissive and not options.accept_terms:
        raise RefusedError(
            say(
                "{vae} is published under {licence} ({link}). Read it, then run the command again with --accept-terms.",
                vae=entry.name,
                licence=licence.name,
                link=licence.link or "no link is known",
            )
        )
    return Order(entry.sources, folder, entry.file_name, entry.sha256, entry.size)


def _file_name(source: HubSource | HttpsSource | LocalSource) -> str:
    if isinstance(source, HttpsSource):
        name = unquote(urlsplit(source.url).path.rpartition("/")[2])
    else:
        name = Path(source.path).name
    if not is_vae_file_name(name):
        raise UsageError(say("{file} is no VAE file: the WebUI loads .safetensors, .ckpt and .pt files.", file=name))
    return safe_file_name(name)


def _list(options: argparse.Namespace) -> int:
    files = scan([Folder(_folder(options))])
    rows = []
    for file in files:
        inspection = inspect(file.path)
        rows.append(
            {
                "path": str(file.path),
                "size": file.size,
                "container": inspection.container,
                "layout": inspection.layout,
                "latent_channels": inspection.latent_channels,
                "dtype": inspection.dtype,
                "problem": str(inspection.problem) if inspection.problem is not None else None,
            }
        )
    if options.json:
        _print_json(rows)
        return 0
    if not rows:
        print(f"No VAE files in {_folder(options)}.")
    for file, row in zip(files, rows, strict=True):
        facts = ", ".join(str(row[key]) for key in ("layout", "dtype") if row[key] not in (None, "unknown"))
        print(f"{megabytes(file.size):>8}  {file.relative}  {row['problem'] or facts or row['container']}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    catalogue = _load(options)
    paths = options.files or [file.path for file in scan([Folder(_folder(options))])]
    rows = []
    with _stopped_by_ctrl_c() as stop:
        for path in paths:
            rows.append(_verdict(path, catalogue, stop))
            if not options.json:
                print(f"{rows[-1]['verdict']:<8} {path}  {rows[-1]['text']}")
    if options.json:
        _print_json(rows)
    return IntegrityError.exit_status if any(row["verdict"] == "WRONG" for row in rows) else 0


def _verdict(path: Path, catalogue: Catalogue, stop: threading.Event) -> dict[str, Any]:
    """What a file's bytes are: proven (the catalogue knows them), unknown, or wrong (broken, or not what it is
    named like)."""
    problem = inspect(path).problem
    sha256 = sha256_of(path, stop=stop)
    entry = catalogue.recognise(sha256)
    namesake = next((other for other in catalogue.offered() if other.file_name == path.name), None)
    row = {"path": str(path), "sha256": sha256, "entry": entry.id if entry is not None else None}
    if entry is not None:
        return {**row, "verdict": "proven", "text": f"is {entry.name}, byte for byte"}
    if problem is not None:
        return {**row, "verdict": "WRONG", "text": str(problem)}
    if namesake is not None:
        return {**row, "verdict": "WRONG", "text": f"is named like {namesake.name}, but has other bytes: {sha256}"}
    return {**row, "verdict": "unknown", "text": f"is not in the catalogue: {sha256}"}


def _load(options: argparse.Namespace) -> Catalogue:
    if options.catalogue is not None and not options.catalogue.is_file():
        raise NotFoundError(say("There is no catalogue file {path}.", path=options.catalogue))
    catalogue = load(options.catalogue)
    for problem in catalogue.problems:
        print(f"vae_manager: {problem}", file=sys.stderr)
    return catalogue


def _folder(options: argparse.Namespace) -> Path:
    if options.dir is not None:
        return Path(options.dir)
    return VAE_FOLDER if VAE_FOLDER.is_dir() else Path()


def _entry_fields(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "family": entry.family,
        "purpose": entry.purpose,
        "file_name": entry.file_name,
        "sha256": entry.sha256,
        "size": entry.size,
        "layout": entry.layout,
        "dtype": entry.dtype,
        "licence": entry.licence.name if entry.licence is not None else None,
        "sources": [str(source) for source in entry.sources],
        "offered": entry.offered,
        "not_offered_because": entry.not_offered_because,
    }


def _delivery_fields(delivery: Delivery) -> dict[str, Any]:
    return {
        "path": str(delivery.path),
        "sha256": delivery.sha256,
        "size": delivery.size,
        "proven": delivery.proven,
        "fetched": delivery.fetched,
        "already_there": delivery.already_there,
    }


def _delivery_text(delivery: Delivery) -> str:
    proof = "proven" if delivery.proven else "NOT proven: nobody publishes a hash for it"
    how = "was there already" if delivery.already_there else f"{megabytes(delivery.size)}"
    return f"{delivery.path}: {how}, {proof}, SHA-256 {delivery.sha256}"


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C ends the process as usual."""
    stop = threading.Event()

    def interrupted(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar(options: argparse.Namespace, name: str) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; silence elsewhere and beside JSON."""
    if options.json or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True) as bar:

        def report(progress: Progress) -> None:
            if bar.n == 0 and progress.kept:
                bar.initial = progress.kept  # so that the speed counts only what comes now
            bar.total, bar.n = progress.total, progress.done
            bar.set_postfix_str(progress.phase, refresh=False)
            bar.refresh()

        yield report


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
