"""Command on a checkpoint: `needs` tells which components it lacks, and downloads them."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..catalogue import Catalogue, PublishedFile
from ..errors import NotFoundError, RefusedError, VaeManagerError
from ..files import FileRecord, inspect
from ..library import Folder, scan
from ..library.family_evidence import families_of
from ..library.needs import Component, Needs, encoder_files, fields_of, needs_of, state_of
from ..messages import megabytes, msg
from ..records.verdict import HOSTS
from ..transfer import DownloadRequest, DownloadResult, download_file
from .shared import (
    LibraryReader,
    ReadingBar,
    add_catalogue_argument,
    add_data_argument,
    add_folder_argument,
    add_host_argument,
    add_local_arguments,
    add_network_arguments,
    add_terms_argument,
    data_of,
    delivery_fields,
    delivery_text,
    folder_of,
    load_catalogue,
    network_of,
    note_delivery,
    places_of,
    print_json,
    print_problem,
    printable,
    progress_bar,
    reading_bar,
    refusal_of,
    require_argument,
    stop_on_ctrl_c,
)

__all__ = ["add_needs_options", "run_needs"]

ENCODER_FOLDER: Final = "text_encoder"
"""Name of the folder of text encoders beside the VAE folder, in Forge and its variants."""
INCOMPLETE: Final = 1
"""Exit status if something is missing."""


def add_needs_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `needs`, with those of a download."""
    command.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        metavar="CHECKPOINT",
        help="the file of a checkpoint; with --webui, none: it is the one that is loaded or comes next",
    )
    command.add_argument("--get", action="store_true", help="download what is missing")
    command.add_argument(
        "--encoders",
        type=Path,
        metavar="DIR",
        help="the folder of text encoders (default: text_encoder beside the VAE folder)",
    )
    add_network_arguments(command)
    add_local_arguments(command)
    add_terms_argument(command)
    add_folder_argument(command)
    add_data_argument(command)
    add_host_argument(command)
    add_catalogue_argument(command)


def run_needs(options: argparse.Namespace) -> int:
    """Print the components of a checkpoint; with `--get`, download the missing ones first.

    Returns 1 if something is missing in the end. Raises NotFoundError for a checkpoint of an unknown engine, and
    RefusedError, before any download, for one that the WebUI does not run and for terms that are not accepted.
    """
    require_argument(options.checkpoint, "CHECKPOINT")
    folder, catalogue = folder_of(options), load_catalogue(options)
    reader = LibraryReader(data_of(options, folder))
    fetched: list[DownloadResult] = []
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        needs = _needs(options, folder, catalogue, reader, bar, stop)
        if options.get and needs.missing:
            fetched = _get(needs, options, folder, reader, stop)
            needs = _needs(options, folder, catalogue, reader, bar, stop)
    if options.json:
        print_json({**fields_of(needs), "fetched": [delivery_fields(one) for one in fetched]})
    else:
        for delivery in fetched:
            print(printable(delivery_text(delivery)))
        _print(needs)
    return INCOMPLETE if needs.missing else 0


def _encoder_folder(options: argparse.Namespace, folder: Path) -> Path:
    return Path(options.encoders) if options.encoders is not None else folder.absolute().parent / ENCODER_FOLDER


def _needs(
    options: argparse.Namespace,
    folder: Path,
    catalogue: Catalogue,
    reader: LibraryReader,
    bar: ReadingBar,
    stop: threading.Event,
) -> Needs:
    """Return the needs, after hashing each file whose hash decides."""
    checkpoint = inspect(options.checkpoint)

    def records() -> Sequence[FileRecord]:
        found = reader.index.inspect_all(scan([Folder(folder)]))
        paths = {record.path for record in found}
        more = [_readable(path) for path in encoder_files([_encoder_folder(options, folder)]) if path not in paths]
        known = [replace(record, sha256=reader.hashes.known(record.path)) for record in more if record is not None]
        every = [*found, *known]
        guesses = families_of(every, catalogue, reader.stores.overrides, reader.stores.guesses)
        return [replace(record, family=guess) for record, guess in zip(every, guesses, strict=True)]

    def now() -> Needs:
        return needs_of(checkpoint, options.host, files=records(), catalogue=catalogue)

    needs = now()
    if needs.facts is None:
        raise NotFoundError(
            msg(
                "The engine of {file} is not known, so its components are not known either.",
                code="unknown-engine",
                file=options.checkpoint.name,
            )
        )
    if not needs.runs:
        raise RefusedError(
            msg(
                "{webui} does not run {engine}, the engine of {file}. Name your WebUI with --host.",
                code="engine-not-run",
                webui=HOSTS[options.host].name,
                engine=needs.facts.engine.label,
                file=options.checkpoint.name,
            )
        )
    undecided = needs.undecided
    for record in undecided:
        reader.hash(record.path, report=bar.of(record.path), stop=stop)
    return now() if undecided else needs


def _readable(path: Path) -> FileRecord | None:
    """Return the record of a file; None if it cannot be read, since the others are looked at all the same."""
    try:
        return inspect(path)
    except VaeManagerError as error:
        print_problem(error)
        return None


def _get(
    needs: Needs, options: argparse.Namespace, folder: Path, reader: LibraryReader, stop: threading.Event
) -> list[DownloadResult]:
    """Download the first entry of each missing component that has one; terms are checked before the first byte."""
    refusal = refusal_of(options)
    wanted = [(component, component.entries[0]) for component in needs.missing if component.entries]
    for _, entry in wanted:
        if (reason := refusal(entry)) is not None:
            raise RefusedError(reason)
    places = places_of(options, reader, folder, _encoder_folder(options, folder))
    network = replace(network_of(options), places=places)
    results = []
    for component, entry in wanted:
        target = folder if component.is_vae else _encoder_folder(options, folder)
        target.mkdir(parents=True, exist_ok=True)
        request = DownloadRequest(entry.sources, target, entry.file_name, entry.sha256, entry.size)
        with progress_bar(options, entry.file_name) as report:
            results.append(download_file(request, network=network, report=report, stop=stop))
        note_delivery(reader, request, results[-1])
    return results


def _print(needs: Needs) -> None:
    assert needs.facts is not None
    dtype = f", {needs.facts.dtype}" if needs.facts.dtype is not None else ""
    print(printable(f"{needs.checkpoint.name}: {needs.facts.engine.label}{dtype}, for {HOSTS[needs.host].name}"))
    for component in needs.components:
        name = f"VAE ({component.label})" if component.is_vae else component.label
        print(printable(f"  {name:<28} {state_of(component):<9} {_where(component)}".rstrip()))
    size = sum(component.entries[0].size or 0 for component in needs.missing if component.entries)
    if size:
        print(f"Run the command again with --get to download what is missing, {megabytes(size)}.")


def _where(component: Component) -> str:
    if component.here:
        return str(component.here[0].path)
    if component.is_carried:
        return "in the checkpoint's own file"
    if component.entries:
        entry = component.entries[0]
        size = f", {megabytes(entry.size)}" if entry.size is not None else ""
        return f"{entry.name}{size}, {_licence(entry)}"
    return "" if component.is_optional else "no download is known"


def _licence(entry: PublishedFile) -> str:
    return entry.licence.name if entry.licence is not None else "licence not stated"
