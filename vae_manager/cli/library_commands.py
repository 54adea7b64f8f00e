"""Commands on the library: `catalogue`, `get`, `adopt`, `duplicates`, `remove` and the trash."""

from __future__ import annotations

import argparse
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..catalogue import Entry, LocalSource, Source, is_vae_file_name
from ..catalogue.file_names import in_container, listed_name, suffix_here, suits_container
from ..catalogue.source_text import path_of_address, typed_source
from ..errors import (
    Cancelled,
    NotFoundError,
    NoVaeError,
    RefusedError,
    UsageError,
    VaeManagerError,
    WholeRepositoryError,
)
from ..files import FileRecord, identity_of, inspect
from ..library import Folder, operations, scan
from ..library.family_evidence import Group, group_by_hash, group_by_weights
from ..library.moving import LibraryContext, adopt
from ..library.trash import empty, remove, removed, restore
from ..messages import megabytes, msg
from ..records.verdict import HOSTS
from ..sync import worst_exit_status
from ..transfer import (
    WANTED_ANYWAY,
    DownloadRequest,
    Network,
    download_file,
    inspect_remote,
    is_cached,
    no_vae_error,
    only_file,
    proposed_name,
)
from .shared import (
    LibraryReader,
    OutcomeList,
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
    error_fields,
    existing_folder_of,
    folder_of,
    judge,
    keep_adopted,
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
    stop_on_ctrl_c,
    verdict_fields,
)


def add_catalogue_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `catalogue`, which reads no folder."""
    command.add_argument("--all", action="store_true", help="include entries that are recognised but not offered")
    command.add_argument("--host", choices=list(HOSTS), help="only entries that this WebUI can use")
    add_catalogue_argument(command)


def run_catalogue(options: argparse.Namespace) -> int:
    """Print the offered entries, with `--all` the recognised ones too; return 0 without a network access."""
    catalogue = load_catalogue(options)
    entries = catalogue.entries if options.all else catalogue.offered()
    if options.host is not None:
        entries = tuple(entry for entry in entries if HOSTS[options.host].can_use(entry))
    if options.json:
        print_json([_entry_fields(entry) for entry in entries])
        return 0
    for entry in entries:
        size = megabytes(entry.size) if entry.size is not None else ""
        licence = entry.licence.name if entry.licence is not None else "licence not stated"
        print(f"{entry.id:<28} {entry.family:<6} {size:>7}  {licence:<24} {entry.name}: {entry.purpose}")
        if entry.not_offered_because is not None:
            print(f"{'':<28} not offered: {entry.not_offered_because}")
    return 0


def _entry_fields(entry: Entry) -> dict[str, Any]:
    return {
        **entry.fields(),
        "sources": [str(source) for source in entry.sources],
        "offered": entry.offered,
        "hosts": [name for name, host in HOSTS.items() if host.can_use(entry)],
    }


def add_get_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `get`, with the licence's and the network's."""
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="an id of the catalogue, hub:OWNER/REPO/PATH[@REV], civitai:VERSION, https://… or s3://BUCKET/PATH",
    )
    command.add_argument("--name", help="the name of the file in the folder (default: the published one, made usable)")
    command.add_argument(
        "--use", action="store_true", help="with --webui: choose the VAE of the catalogue once it is there"
    )
    command.add_argument(
        "--anyway",
        action="store_true",
        help="download the file of an address although it is no VAE by its header: a checkpoint, a text encoder",
    )
    add_network_arguments(command)
    add_local_arguments(command)
    add_terms_argument(command)
    add_folder_argument(command)
    add_data_argument(command)
    add_host_argument(command)
    add_catalogue_argument(command)


def run_get(options: argparse.Namespace) -> int:
    """Download one file into the folder and print its proof, with the WebUI's verdict on it.

    Returns 0 even for a VAE that the WebUI cannot use. Raises RefusedError for terms that are not accepted, and its
    subclass NoVaeError for an address whose file is no VAE by its header, unless `--anyway` is given.
    """
    if options.use:
        raise UsageError(
            msg("--use needs --webui: only a running WebUI can be told what to use.", code="use-needs-webui")
        )
    folder = folder_of(options)
    reader = LibraryReader(data_of(options, folder))
    network = replace(network_of(options), places=places_of(options, reader, folder))
    with stop_on_ctrl_c() as stop:
        request = _download_request(options, folder, network, stop)
        with progress_bar(options, request.file_name) as report:
            delivery = download_file(request, network=network, report=report, stop=stop)
    note_delivery(reader, request, delivery)
    answer = judge(inspect(delivery.path), options)
    if options.json:
        print_json({**delivery_fields(delivery), **verdict_fields(answer)})
        return 0
    if answer.reason is not None:
        print_problem(answer.reason.message)
    print(delivery_text(delivery))
    return 0


def _download_request(
    options: argparse.Namespace, folder: Path, network: Network, stop: threading.Event
) -> DownloadRequest:
    text = options.source.strip()
    if ":" in text or "/" in text:
        try:
            source = typed_source(text, http_hosts=network.http_hosts, endpoint=network.named_endpoint)
        except WholeRepositoryError as whole:
            source = only_file(whole, network=network, stop=stop)
        container = "" if options.anyway else _looked_at(source, network, stop)
        return DownloadRequest((source,), folder, _file_name(options, source, container, network, stop), None)
    entry = load_catalogue(options).entry(text)
    if (reason := refusal_of(options)(entry)) is not None:
        raise RefusedError(reason)
    name = entry.file_name if options.name is None else listed_name(options.name, entry.file_name)
    return DownloadRequest(entry.sources, folder, name, entry.sha256, entry.size)


def _looked_at(source: Source, network: Network, stop: threading.Event) -> str:
    """Return the container of a file elsewhere, before its other bytes are fetched; empty if it is not known.

    Raises NoVaeError for a file that is no VAE by its header.
    """
    if isinstance(source, LocalSource) or is_cached(source, network):
        return ""  # its inspection after the copy costs no bytes of a line
    try:
        found = inspect_remote(source, network=network, stop=stop)
    except Cancelled:
        raise
    except VaeManagerError:
        # A server may send no ranges, or answer at a second try: the download itself succeeds, or says what is wrong.
        return ""
    error = no_vae_error(found)
    if error is None:
        return found.record.container
    if error.code not in WANTED_ANYWAY:
        raise error
    if error.code == "checkpoint-with-vae":
        message = msg(
            "{problem} If you have it: python -m vae_manager convert IN OUT. To download it all the same, add "
            "--anyway.",
            code=error.code,
            problem=error.message,
        )
    else:
        message = msg("{problem} To download it all the same, add --anyway.", code=error.code, problem=error.message)
    raise NoVaeError(message)


def _file_name(
    options: argparse.Namespace, source: Source, container: str, network: Network, stop: threading.Event
) -> str:
    """Return the name for the file of an address; the server is asked for it only if it is needed.

    Raises RefusedError for a person's name that a WebUI would read as another `container`.
    """
    if options.name is not None:
        is_whole = bool(suffix_here(options.name.strip()))
        proposed = "" if is_whole else in_container(proposed_name(source, network=network, stop=stop), container)
        name = listed_name(options.name, proposed)
        if not suits_container(name, container):
            raise RefusedError(
                msg(
                    "The name {name} does not suit what is in {file}: it has to end with {ending}.",
                    code="wrong-extension",
                    name=name,
                    file=source,
                    ending=".safetensors" if container == "safetensors" else ".ckpt",
                )
            )
        return name
    proposed = in_container(proposed_name(source, network=network, stop=stop), container)
    if not is_vae_file_name(proposed):
        raise UsageError(
            msg(
                "{file} is no VAE file by its name: the WebUI loads .safetensors, .ckpt and .pt files. If it is one "
                "all the same, give it such a name with --name.",
                code="unlisted-extension",
                file=proposed,
            )
        )
    return proposed


def add_adopt_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `adopt`; `--name` applies to a single file."""
    command.add_argument("files", nargs="+", type=_file, metavar="FILE", help="VAE files anywhere")
    command.add_argument(
        "--how", choices=("copy", "move", "link"), default="copy", help="what becomes of the original (default: copy)"
    )
    command.add_argument("--name", help="a new name, if there is one FILE")
    add_data_argument(command)
    add_folder_argument(command)


def _file(text: str) -> Path:
    """Return the path that an argument means; a file manager may have pasted it as a `file:` address."""
    return path_of_address(text) or Path(text)


def run_adopt(options: argparse.Namespace) -> int:
    """Copy, move or link each file into the folder; a failure stops no other file.

    A file whose bytes the folder has already stays where it is, and counts as a success.

    Returns the exit status of the worst failure. Raises UsageError for one `--name` and several files.
    """
    if options.name is not None and len(options.files) > 1:
        raise UsageError(msg("One name cannot be given to {count} files.", count=len(options.files)))
    folder = folder_of(options)
    reader = LibraryReader(data_of(options, folder))
    rows: list[dict[str, object]] = []
    errors: list[VaeManagerError] = []
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for source in options.files:
            try:
                context = reader.context(folder)
                there = _same_bytes_in(source, context, options.name, reader, bar, stop)
                path = there or adopt(source, folder, options.how, options.name, context,
                                      report=bar.of(source), stop=stop)  # fmt: skip
                keep_adopted(path, reader, stop)
                row = {"path": str(path), "source": str(source), "how": options.how}
                rows.append({**row, "already_there": there is not None})
            except Cancelled:
                raise
            except VaeManagerError as error:  # the others are adopted all the same
                errors.append(error)
                rows.append({"source": str(source), **error_fields(error)})
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            if "path" in row:
                how = "has the same bytes already, as" if row["already_there"] else f"{options.how} of"
                print(printable(f"{row['path']}: {how} {row['source']}"))
        for problem in errors:
            print_problem(problem)
    return worst_exit_status(errors)


def _same_bytes_in(
    source: Path,
    library: LibraryContext,
    name: str | None,
    reader: LibraryReader,
    bar: ReadingBar,
    stop: threading.Event,
) -> Path | None:
    """Return the library's file with the bytes of `source`; with a `name`, only a file of that name counts."""
    identity = identity_of(source)
    if identity is None:
        return None  # `adopt` says why
    own = listed_name(name, source.name) if name is not None else None
    same_size = [
        file.path
        for file in library.files
        if file.size == identity.size and (own in (None, file.name) or name == file.path.stem)
    ]
    if not same_size:
        return None
    wanted = reader.hash(source, report=bar.of(source), stop=stop)
    return next((path for path in same_size if reader.hash(path, report=bar.of(path), stop=stop) == wanted), None)


def add_duplicates_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `duplicates`, which takes a folder and no file names."""
    add_host_argument(command)
    add_data_argument(command)
    add_folder_argument(command)


def run_duplicates(options: argparse.Namespace) -> int:
    """Print the groups of files with equal weights; return 0, with and without duplicates.

    It reads each VAE whose fingerprints are not stored, and hashes the files of the groups. No file is removed.
    """
    folder = existing_folder_of(options)
    reader = LibraryReader(data_of(options, folder))
    reader.recover(folder)
    files = scan([Folder(folder)])
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for record in reader.index.inspect_all(files):
            if record.has_decoder or record.has_encoder:
                reader.fingerprints(record.path, report=bar.of(record.path), stop=stop)
        groups = group_by_weights(reader.index.inspect_all(files))
        for record in (record for group in groups for record in group):  # equal bytes are named below
            reader.hash(record.path, report=bar.of(record.path), stop=stop)
    groups = group_by_weights(reader.index.inspect_all(files))
    if options.json:
        print_json([_group_fields(group, options) for group in groups])
        return 0
    if not groups:
        print(f"No VAE is in {folder} more than once.")
    for group in groups:
        print(f"The same weights, {(group[0].weights or '')[:10]}:")
        for record in group:
            name = printable(str(record.path.relative_to(folder)))
            print(f"{megabytes(record.size):>8}  {name}  {_description(record, group, options)}")
    return 0


def _group_fields(group: Group, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "weights_fingerprint": group[0].weights,
        "files": [
            {
                "path": str(record.path),
                "size": record.size,
                "sha256": record.sha256,
                "container": record.container,
                "layout": record.layout,
                **verdict_fields(judge(record, options)),
                "same_bytes_as": _same_bytes(record, group),
            }
            for record in group
        ],
    }


def _same_bytes(record: FileRecord, group: Group) -> list[str]:
    return [str(other.path) for same in group_by_hash(group) if record in same for other in same if other is not record]


def _description(record: FileRecord, group: Group, options: argparse.Namespace) -> str:
    facts: list[str] = [record.container, record.layout]
    if not verdict_fields(judge(record, options))["loadable"]:
        facts.append("not loadable")
    if _same_bytes(record, group):
        facts.append("byte for byte")
    return ", ".join(facts)


def add_remove_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `remove`; a name counts from here first, then from the VAE folder."""
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a path, or one below the VAE folder")
    add_data_argument(command)
    add_folder_argument(command)


def run_remove(options: argparse.Namespace) -> int:
    """Move each file with its sidecars into the trash of the system, or of the data folder.

    A failure stops no other file. Returns the exit status of the worst failure.
    """
    folder = folder_of(options)
    data = data_of(options, folder)
    library = LibraryReader(data).context(folder)
    outcomes = OutcomeList(json=options.json)
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for name in options.files:
            with outcomes.of(name):
                row = _remove_one(name, folder, data / "trash", library, bar, stop)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(printable(row["text"]))
    if options.json:
        print_json(outcomes.rows)
    return worst_exit_status(outcomes.errors)


def _remove_one(
    name: Path, folder: Path, trash: Path, library: LibraryContext, bar: ReadingBar, stop: threading.Event
) -> dict[str, object]:
    here = [path for path in (name, folder / name) if os.path.lexists(path)]
    gone = remove(here[0] if here else name, trash, library, report=bar.of(name), stop=stop)
    text = f"{gone.file}: " + ("in the system's trash" if gone.place is None else f"in the trash, {gone.place}")
    place = str(gone.place) if gone.place is not None else None
    return {"path": str(gone.file), "trash": place, "files": list(gone.names), "text": text}


def add_trash_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `trash`; `run_trash` checks which of them fit the act."""
    command.add_argument(
        "act",
        choices=["list", "restore", "empty"],
        help="list the trash, bring files back, or delete all of it for good",
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="names of the files to restore; of several with one name, the newest"
    )
    command.add_argument("--as", dest="name", metavar="NAME", help="restore one file under another name")
    add_data_argument(command)
    add_folder_argument(command)


def run_trash(options: argparse.Namespace) -> int:
    """List, restore or empty the trash of the data folder; the system's trash is only mentioned.

    Returns 0, or for restored files the exit status of the worst failure. Raises UsageError if names are missing for
    `restore`, or given for another act.
    """
    folder = folder_of(options)
    data = data_of(options, folder)
    trash = data / "trash"
    if (options.act == "restore") != bool(options.names) or (options.name is not None and len(options.names) != 1):
        raise UsageError(msg("trash restore takes names, one with --as; trash list and trash empty take none."))
    if options.act == "restore":
        return _restore_files(options, trash, LibraryReader(data).context(folder))
    return _list_trash(options, trash) if options.act == "list" else _empty_trash(options, trash)


def _list_trash(options: argparse.Namespace, trash: Path) -> int:
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
        print(f"{megabytes(one.size):>8}  {when}  {printable(one.file)}{lost}")
    if not gone:
        print(printable(f"Nothing is in the trash {trash}."))
    if operations.has_system_trash():
        print("Deleted files go to the system's trash: restore them there.")
    return 0


def _restore_files(options: argparse.Namespace, trash: Path, library: LibraryContext) -> int:
    outcomes = OutcomeList(json=options.json)
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for name in options.names:
            with outcomes.of(Path(name)):
                row = _restore_one(name, options.name, trash, library, bar, stop)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(printable(row["text"]))
    if options.json:
        print_json(outcomes.rows)
    return worst_exit_status(outcomes.errors)


def _restore_one(
    name: str, new_name: str | None, trash: Path, library: LibraryContext, bar: ReadingBar, stop: threading.Event
) -> dict[str, object]:
    gone = next((gone for gone in removed(trash) if gone.file.name == Path(name).name), None)
    if gone is None:
        raise NotFoundError(msg("The trash {trash} has no file {file}.", trash=trash, file=name))
    path = restore(gone, library, name=new_name, report=bar.of(Path(name)), stop=stop)
    return {"path": str(path), "files": list(gone.names), "text": f"{path}: is back"}


def _empty_trash(options: argparse.Namespace, trash: Path) -> int:
    count, freed = sum(gone.is_noted for gone in removed(trash)), empty(trash)
    if options.json:
        print_json({"deleted": count, "freed": freed})
    else:
        print(f"{count} deleted for good, {megabytes(freed)}.")
    return 0
