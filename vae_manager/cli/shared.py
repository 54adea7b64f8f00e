"""Parts that the commands share: arguments, output, and the stored records of the library."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..catalogue import Catalogue, PublishedFile, load, not_offered
from ..catalogue.local_path import is_folder, local_path
from ..downloads import History, kept_version, past_delivery, references_of
from ..downloads.history import without_secrets
from ..errors import Cancelled, IntegrityError, NotFoundError, UsageError, VaeManagerError
from ..files import FileRecord, identity_of, inspect
from ..files.headers import disk_error
from ..files.record import Fingerprints
from ..files.tensor_data import find_nan
from ..library import Folder, scan
from ..library.family_evidence import entries_by_weights, entry_of, family_of, known_weights
from ..library.inspection_cache import Stores
from ..library.moving import LibraryContext
from ..library.verification import Outcome, Verification, can_check_for_nan, unlike_reference
from ..maintenance import OWN, Recovery
from ..messages import Message, megabytes, msg
from ..records.verdict import HOSTS, VERDICT_NAMES, AskFirst, Usable, Verdict, obstacle_of, verdict
from ..transfer import (
    ALSO,
    DownloadRequest,
    DownloadResult,
    LocalPlaces,
    Network,
    Progress,
    folders_of_environment,
    hub_cache,
)

__all__ = [
    "VAE_FOLDER",
    "LibraryReader",
    "OutcomeList",
    "ReadingBar",
    "add_catalogue_argument",
    "add_data_argument",
    "add_folder_argument",
    "add_host_argument",
    "add_local_arguments",
    "add_network_arguments",
    "add_terms_argument",
    "data_of",
    "default_folder",
    "delivery_fields",
    "delivery_text",
    "error_fields",
    "existing_folder_of",
    "folder_of",
    "judge",
    "load_catalogue",
    "network_of",
    "note_delivery",
    "note_sources",
    "places_of",
    "print_json",
    "print_problem",
    "printable",
    "progress_bar",
    "reading_bar",
    "refusal_of",
    "require_argument",
    "stop_on_ctrl_c",
    "verdict_fields",
    "verification_fields",
]


VAE_FOLDER: Final = Path("models/VAE")
CIVITAI_HOST: Final = "civitai.com"
"""The host that CIVITAI_API_KEY belongs to, independent of CIVITAI_ENDPOINT."""
_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)(?:B|B/s)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}

WEBUI_DATA_FOLDER: Final = "vae-manager"

Report = Callable[[int, int], None]


# -- options -------------------------------------------------------------------------------------------------------
def add_catalogue_argument(command: argparse.ArgumentParser) -> None:
    """Add `--catalogue`, which `load_catalogue` reads; the built-in entries stay."""
    command.add_argument("--catalogue", type=Path, metavar="FILE", help="a YAML file with more entries")


def add_folder_argument(command: argparse.ArgumentParser) -> None:
    """Add `--dir`, which `folder_of` reads."""
    command.add_argument(
        "--dir", type=Path, metavar="DIR", help="the VAE folder (default: models/VAE if there is one, else here)"
    )


def add_network_arguments(command: argparse.ArgumentParser) -> None:
    """Add `--endpoint`, `--connections` and `--limit`, which `network_of` reads; there is no option for a key."""
    command.add_argument(
        "--endpoint", metavar="URL", help="a hub or a mirror of it (default: HF_ENDPOINT, else the hub)"
    )
    command.add_argument(
        "--token-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a hub besides huggingface.co that gets its token; can be given several times",
    )
    command.add_argument(
        "--http-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a host of your own network that may be asked over plain http; can be given several times",
    )
    command.add_argument(
        "--connections", type=_connections, metavar="N", help="the maximum of connections for one file"
    )
    command.add_argument("--limit", type=_rate, metavar="RATE", help="the maximum of bytes per second: 500K, 20M, 1.5G")


def add_local_arguments(command: argparse.ArgumentParser) -> None:
    """Add `--also`, which `places_of` reads."""
    command.add_argument(
        "--also",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="another program's folder, searched for the wanted bytes before anything is downloaded, with all its "
        f"subfolders; may be repeated ({ALSO} holds more, separated as in PATH)",
    )


def add_terms_argument(command: argparse.ArgumentParser) -> None:
    """Add `--accept-terms`, which `refusal_of` reads; it accepts every licence that the command meets."""
    command.add_argument(
        "--accept-terms", action="store_true", help="accept the licence of the entry, which you have read"
    )


def _connections(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")
    return int(text)


def _rate(text: str) -> float:
    """Return bytes per second; K, M and G are decimal, as all sizes are here."""
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) * _UNITS[match[2].upper()] if match else 0.0
    if rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate such as 500K, 20M or 1.5G")
    return rate


def require_argument(value: object, name: str) -> None:
    """Raise UsageError without an argument that can be left out only beside --webui."""
    if value is None:
        raise UsageError(msg("{name} is missing. Only with --webui can it be left out.", code="no-argument", name=name))


# -- from options --------------------------------------------------------------------------------------------------
def load_catalogue(options: argparse.Namespace) -> Catalogue:
    """Return the built-in entries with those of `--catalogue`, and print the problems of that file on stderr.

    An entry with a problem is left out. Raises NotFoundError if the file does not exist.
    """
    if options.catalogue is not None and not os.path.isfile(options.catalogue):  # noqa: PTH113 - Path.is_file raises
        raise NotFoundError(msg("There is no catalogue file {path}.", code="no-such-catalogue", path=options.catalogue))
    catalogue = load(options.catalogue)
    for problem in catalogue.problems:
        print_problem(problem)
    return catalogue


def folder_of(options: argparse.Namespace) -> Path:
    """Return `--dir`, else `models/VAE` if it exists here, else the current folder. `--dir` need not exist."""
    return Path(options.dir) if options.dir is not None else default_folder()


def default_folder() -> Path:
    """Return `models/VAE` if it exists here, else the current folder."""
    return VAE_FOLDER if is_folder(VAE_FOLDER) else Path()


def existing_folder_of(options: argparse.Namespace) -> Path:
    """Return the folder of `folder_of` for a command that reads. Raises NotFoundError if a named one does not exist."""
    folder = folder_of(options)
    _check_folder(folder)
    return folder


def _check_folder(folder: Path) -> None:
    """Raise NotFoundError for a named folder that does not exist, and DiskError for one that may not be seen."""
    try:
        is_there = stat.S_ISDIR(folder.stat().st_mode)
    except PermissionError as error:
        raise disk_error(folder, error) from error
    except OSError:
        is_there = False
    if not is_there:
        raise NotFoundError(msg("There is no folder {path}.", code="no-such-folder", path=folder))


def network_of(options: argparse.Namespace) -> Network:
    """Return the settings of the options and of two environment variables.

    A key is never an argument, which other users can see. CIVITAI_API_KEY is sent only to civitai.com; CIVITAI_ENDPOINT
    replaces civitai.com.
    """
    key = os.environ.get("CIVITAI_API_KEY", "").strip()
    given = {"connections": options.connections} if options.connections is not None else {}
    return Network(
        endpoint=options.endpoint,
        token_hosts=frozenset(options.token_host),
        http_hosts=frozenset(options.http_host),
        civitai=os.environ.get("CIVITAI_ENDPOINT") or None,
        bandwidth=options.limit,
        keys={CIVITAI_HOST: key} if key else {},
        **given,
    )


def places_of(options: argparse.Namespace, reader: LibraryReader, *folders: Path) -> LocalPlaces:
    """Return the places of this machine that may have a wanted file: the VAE folders, the hub's cache and `--also`.

    The current folder is no place, unless it was named: it may be any folder with anything below it. Raises
    NotFoundError for a named folder that does not exist, and DiskError for one that may not be seen.
    """
    also = [local_path(folder) for folder in options.also]
    for folder in also:
        _check_folder(folder)
    return LocalPlaces(
        library=[folder for folder in folders if folder != Path()],
        hub_cache=hub_cache(),
        others=[*also, *folders_of_environment()],
        hashes=reader.hashes,
        memories=reader.stores.memories(),
        notice=print_problem,
    )


def note_delivery(reader: LibraryReader, request: DownloadRequest, delivery: DownloadResult) -> None:
    """Store a new file's hash and, in the history of the data folder, where it came from, for `freeze`."""
    reader.hashes.remember(delivery.path, delivery.sha256)
    if not delivery.already_there:
        _history(reader).add(past_delivery(request, delivery))


def note_sources(reader: LibraryReader, request: DownloadRequest) -> None:
    """Store the sources of a file that was there already, unless the history has them."""
    written = {text for past in _history(reader).entries() if past.sha256 == request.sha256 for text in past.sources}
    if request.sha256 is not None and not {without_secrets(str(source)) for source in request.sources} <= written:
        there = request.folder / request.file_name
        size = there.stat().st_size
        delivery = DownloadResult(there, request.sha256, size, proven=True, fetched=0, already_there=True)
        _history(reader).add(past_delivery(request, delivery))


def keep_adopted(path: Path, reader: LibraryReader, stop: threading.Event) -> None:
    """Make the bytes that a person has put at `path` its reference, if others are expected there.

    Raises as `sha256_of`.
    """
    history = _history(reader)
    other = unlike_reference(path, reader.hashes, references_of(history.entries()), stop)
    if other is not None:
        keep(path, other, reader, history)


def keep(path: Path, sha256: str, reader: LibraryReader, history: History) -> None:
    """Make the bytes of a file those that `verify` compares it with."""
    history.add(kept_version(path, sha256, path.stat().st_size))
    reader.hashes.remember(path, sha256)


def _history(reader: LibraryReader) -> History:
    return History(reader.stores.folder / History.NAME)


def refusal_of(options: argparse.Namespace) -> Callable[[PublishedFile], Message | None]:
    """Return a function from an entry to the reason why it must not be downloaded; None: it may be.

    The reasons are that it is only recognised, or that its terms were not accepted.
    """

    def refusal(entry: PublishedFile) -> Message | None:
        if not entry.offered:
            return not_offered(entry)
        licence = entry.licence
        if licence is None or licence.permissive or options.accept_terms:
            return None
        return msg(
            "{vae} is published under {licence} ({link}). Read it, then run the command again with --accept-terms.",
            code="terms-not-accepted",
            vae=entry.name,
            licence=licence.name,
            link=licence.link or "no link is known",
        )

    return refusal


# -- output ------------------------------------------------------------------------------------------------------------
def print_json(value: object) -> None:
    """Print the one value of a command with `--json` on stdout, in ASCII, which any encoding can hold."""
    print(json.dumps(value, indent=2))  # in ASCII, which stdout can hold in any encoding


class OutcomeList:
    """The outcomes of several files. A failure is printed and stops no other file; Ctrl-C stops all."""

    def __init__(self, *, json: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        self.errors: list[VaeManagerError] = []
        self._json = json

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """Record a failure of the work on `path` as a row, and end the `with` block without raising it.

        The work itself appends the row of a success. Cancelled passes, and so do errors of other kinds.
        """
        try:
            yield
        except Cancelled:
            raise
        except VaeManagerError as error:
            self.errors.append(error)
            self.rows.append({"path": str(path), **error_fields(error)})
            if not self._json:
                print_problem(error)


def error_fields(error: VaeManagerError) -> dict[str, Any]:
    """Return the fields of JSON output for a failure."""
    return {"error": str(error), "code": error.code, "status": error.exit_status}


def print_problem(text: object) -> None:
    """Print one line on stderr, with the program's name; control characters in it are escaped."""
    print(f"vae_manager: {printable(text)}", file=sys.stderr)


def printable(text: object) -> str:
    """Return one line that cannot control a terminal: a file's name can hold escape sequences."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


def delivery_fields(delivery: DownloadResult) -> dict[str, Any]:
    """Return the fields of JSON output for a downloaded file; sizes are in bytes."""
    return {
        "path": str(delivery.path),
        "sha256": delivery.sha256,
        "size": delivery.size,
        "proven": delivery.proven,
        "fetched": delivery.fetched,
        "already_there": delivery.already_there,
        "taken_from": str(delivery.taken.path) if delivery.taken is not None else None,
        "taken_as": delivery.taken.way if delivery.taken is not None else None,
    }


def delivery_text(delivery: DownloadResult) -> str:
    """Return the line for a downloaded file, with its whole SHA-256 and a clear note if it is not proven."""
    if delivery.proven:
        proof = "proven"
    elif delivery.taken is not None:  # its hub was not asked
        proof = "NOT proven: no hash of it is known on this machine"
    else:
        proof = "NOT proven: nobody publishes a hash for it"
    how = "was there already" if delivery.already_there else megabytes(delivery.size)
    if delivery.taken is not None:
        how = f"taken from {delivery.taken.path}, {delivery.taken.way}; 0 bytes downloaded"
    return f"{delivery.path}: {how}, {proof}, SHA-256 {delivery.sha256}"


# -- progress ----------------------------------------------------------------------------------------------------------
@contextmanager
def stop_on_ctrl_c() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets; a second Ctrl-C ends the process as usual."""
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
def progress_bar(options: argparse.Namespace, name: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar on a terminal. Anywhere, a failure that is tried again is a line on stderr."""

    def report_failure(progress: Progress) -> None:
        if progress.problem is not None:
            print_problem(f"trying again: {progress.problem}")

    if options.json or not sys.stderr.isatty():
        yield report_failure
        return
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True) as bar:

        def report(progress: Progress) -> None:
            if progress.problem is not None:
                bar.clear()
                report_failure(progress)
            if bar.n == 0 and progress.kept:
                bar.initial = progress.kept  # so that the speed counts only the new bytes
            bar.total, bar.n = progress.total, progress.done
            bar.set_postfix_str(progress.phase, refresh=False)
            bar.refresh()

        yield report


class ReadingBar:
    """The progress of reading files: a bar on a terminal, and lines between."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar
        self._at: tuple[Path, int] | None = None

    def of(self, path: Path) -> Callable[[int, int], None]:
        """Return a function that receives the bytes done and in all, of one file."""

        def report(done: int, total: int) -> None:
            if self._bar is None:
                return
            if self._at != (path, total) or done < self._bar.n:
                self._at = path, total
                self._bar.reset(total)
                self._bar.set_description_str(printable(path.name))
            self._bar.update(done - self._bar.n)

        return report

    def print(self, text: str) -> None:
        """Print a line on stdout, without the bar."""
        if self._bar is not None:
            self._bar.clear()
        print(text, flush=True)


@contextmanager
def reading_bar(options: argparse.Namespace) -> Iterator[ReadingBar]:
    """Show a bar on a terminal; no output elsewhere and beside JSON."""
    if options.json or not sys.stderr.isatty():
        yield ReadingBar()
        return
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, leave=False) as bar:
        yield ReadingBar(bar)


def add_host_argument(command: argparse.ArgumentParser) -> None:
    """Add the option that names the WebUI."""
    command.add_argument(
        "--host", choices=list(HOSTS), default="a1111", help="the WebUI that is to load the files (default: a1111)"
    )


def verification_fields(found: Verification | None) -> dict[str, Any]:
    """Return the fields of JSON output for the result of a file's last verification."""
    return {
        "verification": found.outcome.value if found is not None else None,
        "verification_reason": str(found.reason) if found is not None and found.reason is not None else None,
    }


def judge(record: FileRecord, options: argparse.Namespace) -> Verdict:
    """Return the verdict for the WebUI of the options, with any published checkpoint that it runs."""
    return verdict(record, HOSTS[options.host])


def verdict_fields(answer: Verdict) -> dict[str, Any]:
    """Return the fields of JSON output."""
    reason = answer.reason
    is_convertible = obstacle_of(answer) is not None
    return {
        "verdict": VERDICT_NAMES[type(answer)],
        "loadable": isinstance(answer, Usable | AskFirst) and not is_convertible,
        "convertible": is_convertible,
        "code": reason.code if reason is not None else None,
        "reason": str(reason.message) if reason is not None else None,
    }


def add_data_argument(command: argparse.ArgumentParser) -> None:
    """Add `--data`, which `data_of` reads."""
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where hashes, fingerprints and removed files are kept (default: the WebUI's vae-manager folder where "
        f"there is one, else {OWN} in the VAE folder)",
    )


def data_of(options: argparse.Namespace, folder: Path) -> Path:
    """Return the folder of the state; read-only commands create no files there."""
    if options.data is not None:
        return Path(options.data)
    webuis = folder.absolute().parent.parent / WEBUI_DATA_FOLDER  # beside `models/VAE`
    return webuis if is_folder(webuis) else folder / OWN


class LibraryReader:
    """Reader of files with the stores of one data folder, which it does not create."""

    def __init__(self, data: Path) -> None:
        """Open the stores of the data folder `data`; in memory alone if the folder does not exist."""
        is_persistent = is_folder(data)
        if not is_persistent and data.name != OWN:  # one that the person has named
            print_problem(msg("There is no folder {path}, so nothing that was found out before is known.", path=data))
        self.stores = Stores(data, load, is_persistent=is_persistent)
        self.records, self.hashes, self.index = self.stores.records, self.stores.hashes, self.stores.index
        self.records.load()
        if self.records.is_busy:
            print_problem(
                msg("{file} is locked by another program: what it remembers is left out.", file=self.records.path)
            )

    def read(
        self, path: Path, *, reads_bytes: bool, report: Report | None = None, stop: threading.Event | None = None
    ) -> FileRecord:
        """Return the record of a file; with `reads_bytes`, all of its bytes are read for data that is not stored.

        Raises NotFoundError and DiskError if it cannot be read.
        """
        header = inspect(path)
        if reads_bytes:
            self.hash(path, report=report, stop=stop)
            if header.has_encoder or header.has_decoder:
                self.fingerprints(path, report=report, stop=stop)
                self._check_for_nan(header, stop)
        identity = identity_of(path)
        if identity is None:
            raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=path))
        return self.index.completed(header, identity)

    def neighbours(self, paths: Sequence[Path]) -> Sequence[FileRecord]:
        """Return the stored records of the other VAE files in the folders of `paths`.

        Facts about their weights apply to files with equal weights.
        """
        if self.records.path is None:
            return ()
        folders = dict.fromkeys(path.absolute().parent for path in paths)
        return self.index.inspect_all(scan([Folder(folder) for folder in folders]))

    def _check_for_nan(self, header: FileRecord, stop: threading.Event | None) -> None:
        """Find NaN and infinite values, unless these bytes were checked before; without numpy there is no check."""
        identity = identity_of(header.path)
        if identity is None or header.problems or not can_check_for_nan() or self.index.failure_of(identity):
            return
        verification = self.stores.verifications.of_identity(identity)
        if verification is not None and verification.outcome is Outcome.VERIFIED:
            return
        try:
            problem = find_nan(header.path, stop=stop)
        except (NotFoundError, IntegrityError):
            return
        if problem is not None:
            self.index.note_failure(identity, problem)

    def hash(self, path: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> str:
        """Return the SHA-256, stored or computed; `report` receives the bytes done and in all."""
        size = path.stat().st_size if report is not None else 0
        return self.hashes.compute(path, report=report and (lambda done: report(done, size)), stop=stop)

    def fingerprints(
        self, path: Path, *, report: Report | None = None, stop: threading.Event | None = None
    ) -> Fingerprints | None:
        """Return the fingerprints; None for a broken file or one without a VAE: an inspection shows the reason."""
        try:
            return self.index.fingerprints_of(path, report=report, stop=stop)
        except (NotFoundError, IntegrityError):
            return None

    def verification_of(self, record: FileRecord) -> Verification | None:
        """Return the last verification of exactly these bytes."""
        return self.stores.verifications.of_identity(record.identity) if record.identity is not None else None

    def note(self, path: Path, verification: Verification) -> None:
        """Store the result of a verification of `path`."""
        identity = identity_of(path)
        if identity is not None:
            self.stores.verifications.put_identity(identity, verification)
        if verification.damage is not None:
            self.index.note_failure(*verification.damage)

    def with_families(
        self, records: Sequence[FileRecord], catalogue: Catalogue, others: Sequence[FileRecord] = ()
    ) -> Sequence[FileRecord]:
        """Add the family and the catalogue's entry to each record; `others` are files that may have its weights."""
        siblings = known_weights([*records, *others], catalogue, self.stores.overrides)
        entries = entries_by_weights([*records, *others], catalogue)
        return [
            replace(
                record,
                family=family_of(record, catalogue, self.stores.overrides, siblings, self.stores.guesses),
                entry=entry_of(record, catalogue, entries),
            )
            for record in records
        ]

    def recover(self, folder: Path) -> None:
        """Complete or roll back the operations in a VAE folder that a killed command left unfinished."""
        Recovery(self.stores.folder, self.stores.memories, print_problem).run([folder])

    def context(self, folder: Path) -> LibraryContext:
        """Return the context of a VAE folder that no WebUI is known to use."""
        self.recover(folder)
        folders = [Folder(folder)]
        return LibraryContext(scan(folders), folders, memories=self.stores.memories(), journal=self.stores.journal)
