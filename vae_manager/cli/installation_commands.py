"""Commands on a whole installation: `report`, `sync` and `freeze`, and the search for WebUIs on this machine.

A folder's WebUI is detected by its files; its code is neither imported nor run:

    modules/ …                                         AUTOMATIC1111
    modules/ …  modules_forge/ without main_entry.py   reForge, if modules/sd_vae.py reads any layout
    modules/ …  modules_forge/main_entry.py            Forge; Forge Neo if it has a VAE of Wan

The running extension inspects the imported modules instead (`webui.hosts`), which is more precise.

`report` prints the data for a report of a problem, ready for pasting: versions, the WebUI, the operating system, and
the kind of each VAE file. It contains no folder, no name of a user, no key and no address; a file appears by its base
name alone. Like `list`, it stores the data that it reads from files.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..catalogue import Catalogue, load
from ..catalogue.entry import name_problem
from ..catalogue.local_path import is_folder
from ..downloads import History, PastDownload, references_of
from ..errors import IntegrityError, NameTakenError, NotFoundError, NoVaeError, RefusedError, VaeManagerError
from ..files import FileRecord, inspect
from ..files.state_file import damage_notices
from ..library import Folder, VaeFile, collisions, scan
from ..library.verification import Outcome as VerificationOutcome
from ..library.verification import References, Verification, can_check_for_nan, verify
from ..lock_file import LockedFile, lock_file_text, lock_item, locked_file
from ..messages import Message, megabytes, msg
from ..records.verdict import HOSTS, Verdict
from ..sync import Outcome, Plan, Step, apply_plan, inspect_folder, read_declared, request_of, worst_exit_status
from .shared import (
    VAE_FOLDER,
    LibraryReader,
    add_catalogue_argument,
    add_data_argument,
    add_folder_argument,
    add_host_argument,
    add_local_arguments,
    add_network_arguments,
    add_terms_argument,
    data_of,
    delivery_text,
    existing_folder_of,
    folder_of,
    judge,
    load_catalogue,
    network_of,
    note_delivery,
    note_sources,
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

__all__ = [
    "Installation",
    "add_freeze_options",
    "add_report_options",
    "add_sync_options",
    "commit_of",
    "find_installation",
    "installation_at",
    "run_freeze",
    "run_report",
    "run_sync",
]


_FAMILY: Final = (
    "modules/sd_vae.py",
    "modules/launch_utils.py",
    "modules/call_queue.py",
    "modules/script_callbacks.py",
)
"""Files of each WebUI of AUTOMATIC1111's family that has an adapter."""
_NAMES: Final = {"a1111": "AUTOMATIC1111", "reforge": "reForge", "forge": "Forge", "neo": "Forge Neo"}
_ASSIGNMENT: Final = r"""^{name}\s*=\s*["']([^"']+)["']"""
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}")
"""A version as a WebUI writes it, which can hold neither a path nor an address."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_COMMIT_DIGITS: Final = 8
_MAX_BYTES: Final = 1_000_000
"""The most bytes that are read of a source file."""

PACKAGES: Final = ("torch", "gradio", "huggingface_hub", "safetensors")
EXTENSION: Final = Path(__file__).absolute().parents[2]
"""The extension's folder, through a link if it was installed by one: the WebUI is above the link."""
FALLBACK: Final = "a1111"
"""The assumed WebUI if the search finds no WebUI."""

DIFFERS: Final = 1
"""The exit status of `--check` if a file is missing or another file has its name."""


@dataclass(frozen=True)
class Installation:
    """A WebUI in a folder."""

    folder: Path
    id: str | None
    """Key of `records.verdict.HOSTS`; None for a WebUI without an adapter."""
    version: str | None
    """From its own files; None if they have no version."""
    commit: str | None
    """First digits of the checked out commit; None without a git folder."""

    @property
    def name(self) -> str:
        """The WebUI's name for people; a description for one without an adapter."""
        return _NAMES[self.id] if self.id is not None else "a WebUI without an adapter"


def find_installation(places: Iterable[Path]) -> Installation | None:
    """Return the WebUI in the first of the folders `places`, or of those above it, that holds one."""
    for place in places:
        for folder in (place, *place.parents):
            found = installation_at(folder)
            if found is not None:
                return found
    return None


def installation_at(folder: Path) -> Installation | None:
    """Return the WebUI in this very folder; None without a WebUI."""
    if not (folder / "webui.py").is_file() or not (folder / "modules").is_dir():
        return None
    return Installation(folder, _id_of(folder), _version_of(folder), commit_of(folder))


def commit_of(folder: Path) -> str | None:
    """Return the first digits of the checked out commit; None without a git folder."""
    git = folder / ".git"
    head = _read_text(git / "HEAD").strip()
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        if ".." in name:
            return None
        packed = (line.split() for line in _read_text(git / "packed-refs").splitlines())
        head = _read_text(git / name).strip() or next((line[0] for line in packed if line[1:] == [name]), "")
    return head[:_COMMIT_DIGITS] if _COMMIT.fullmatch(head) else None


def _id_of(folder: Path) -> str | None:
    if not all((folder / file).is_file() for file in _FAMILY):
        return None
    if not (folder / "modules_forge").is_dir():
        return "a1111"
    if (folder / "modules_forge" / "main_entry.py").is_file():
        return "neo" if (folder / "backend" / "nn" / "wan_vae.py").is_file() else "forge"
    return "reforge" if "def _normalize_vae_state_dict" in _read_text(folder / "modules" / "sd_vae.py") else None


def _version_of(folder: Path) -> str | None:
    """Return the version from a fork's own file, or from the changelog's first heading.

    AUTOMATIC1111 itself shows that heading if git has no tag.
    """
    own = _read_text(folder / "modules_forge" / "forge_version.py")
    assigned = (re.search(_ASSIGNMENT.format(name=name), own, re.MULTILINE) for name in ("release", "version"))
    heading = re.search(r"^## *(\S+)", _read_text(folder / "CHANGELOG.md"), re.MULTILINE) if not own else None
    found = next((match[1] for match in (*assigned, heading) if match is not None), "")
    return found if _VERSION.fullmatch(found) else None


def _read_text(file: Path) -> str:
    """Return the beginning of a file; empty if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def add_report_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `report`; without `--webui` and `--host` both are found by the folders above."""
    command.add_argument(
        "--webui", type=Path, metavar="DIR", help="the folder of the WebUI (default: the one that this folder is in)"
    )
    command.add_argument(
        "--host", choices=list(HOSTS), help="the WebUI that the files are judged for (default: the one that was found)"
    )
    add_data_argument(command)
    add_folder_argument(command)


def run_report(options: argparse.Namespace) -> int:
    """Print versions and facts of the VAE files, from headers and stored hashes; return 0, without a WebUI too.

    The warnings of other modules are suppressed, since they name folders. Raises NotFoundError for a named folder that
    does not exist.
    """
    logging.getLogger(__package__.partition(".")[0]).addHandler(logging.NullHandler())  # its warnings name folders
    webui = _installation(options)
    options.host = options.host or (webui.id if webui is not None and webui.id is not None else FALLBACK)
    report = {
        "vae_manager": {"version": __version__, "commit": commit_of(EXTENSION)},
        "python": platform.python_version(),
        "packages": {name: _package_version(name) for name in PACKAGES},
        "webui": _webui_fields(webui),
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "judged_for": options.host,
        **_files(options, webui),
    }
    if options.json:
        print_json(report)
    else:
        print("\n".join(map(printable, _report_text(report))))
    return 0


# -- folders -----------------------------------------------------------------------------------------------------------
def _installation(options: argparse.Namespace) -> Installation | None:
    """Return the named WebUI, else the one around the named VAE folder, else the one around this program."""
    if options.webui is not None:
        return installation_at(_existing(options.webui))
    named = [_existing(options.dir).absolute()] if options.dir is not None else []
    return find_installation([*named, EXTENSION, Path.cwd()])


def _vae_folder(options: argparse.Namespace, webui: Installation | None) -> Path | None:
    """Return the named folder, else `models/VAE` of here, of the WebUI, or of the data folder with the extension."""
    if options.dir is not None:
        return Path(options.dir)
    above = [webui.folder] if webui is not None else []
    places = [*above, Path()] if options.webui is not None else [Path(), *above]
    folders = (place / VAE_FOLDER for place in (*places, EXTENSION.parent.parent))
    return next((folder for folder in folders if is_folder(folder)), None)


def _existing(folder: Path) -> Path:
    if not is_folder(folder):
        raise NotFoundError(msg("There is no folder {path}.", path=folder))
    return folder


# -- collected data ----------------------------------------------------------------------------------------------------
def _package_version(package: str) -> str | None:
    """Return the version of a package from its metadata: importing torch takes seconds. None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _webui_fields(webui: Installation | None) -> dict[str, Any] | None:
    if webui is None:
        return None
    return {"id": webui.id, "name": webui.name, "version": webui.version, "commit": webui.commit}


def _files(options: argparse.Namespace, webui: Installation | None) -> dict[str, Any]:
    """Return the VAE files, and the number of unreadable items, without their messages, which name folders."""
    folder = _vae_folder(options, webui)
    if folder is None:
        return {"files": None, "unreadable_folders": 0, "catalogue_problems": 0, "damaged": []}
    unreadable: list[Message] = []
    found = {file.path: file for file in scan([Folder(folder)], unreadable.append)}
    catalogue, data = load(), data_of(options, folder)
    reader = LibraryReader(data)
    records = reader.with_families(reader.index.inspect_all(found.values()), catalogue)
    doubled = collisions(found[record.path] for record in records)
    return {
        "files": [_file_fields(record, options, record.path.name in doubled) for record in records],
        "unreadable_folders": len(unreadable),
        "catalogue_problems": len(catalogue.problems),
        "damaged": sorted({notice.file.name for notice in damage_notices(data)}),
    }


def _file_fields(record: FileRecord, options: argparse.Namespace, is_doubled: bool) -> dict[str, Any]:
    answer = verdict_fields(judge(record, options))
    return {
        "name": record.path.name,
        "size": record.size,
        "container": record.container,
        "layout": record.layout,
        "family": record.family.family,
        "family_why": record.family.why,
        "latent_channels": record.latent_channels,
        "dtype": record.dtype,
        "sha256": record.sha256,
        "entry": record.entry.id if record.entry is not None else None,
        "verdict": answer["verdict"],
        "code": answer["code"],
        "problems": [problem.code for problem in record.problems],
        "duplicate_name": is_doubled,
    }


# -- text output -------------------------------------------------------------------------------------------------------
def _report_text(report: dict[str, Any]) -> Sequence[str]:
    own, system, webui = report["vae_manager"], report["system"], report["webui"]
    packages = [f"{name} {version or 'not installed'}" for name, version in report["packages"].items()]
    host = HOSTS[report["judged_for"]].name
    lines = [
        f"VAE Manager  {_with_commit(own)}",
        f"WebUI        {webui['name']} {_with_commit(webui)}" if webui is not None else "WebUI        not found",
        f"Python       {report['python']}, {', '.join(packages)}",
        f"System       {' '.join(filter(None, system.values()))}",
    ]
    if report["files"] is None:
        return [*lines, "VAE files    no VAE folder was found: name it with --dir"]
    lines.append(f"VAE files    {len(report['files'])}, judged for {host}")
    lines += map(_file_text, report["files"])
    if report["unreadable_folders"]:
        lines.append(f"Not read     {report['unreadable_folders']} folders")
    if report["catalogue_problems"]:
        lines.append(f"Catalogue    {report['catalogue_problems']} entries cannot be used")
    if report["damaged"]:
        lines.append(f"Damaged      {', '.join(report['damaged'])}")
    return lines


def _with_commit(fields: dict[str, Any]) -> str:
    commit = f"commit {fields['commit']}" if fields["commit"] is not None else None
    return ", ".join(filter(None, (fields["version"] or "version unknown", commit)))


def _file_text(row: dict[str, Any]) -> str:
    verdict = row["verdict"] if row["code"] is None else f"{row['verdict']} ({row['code']})"
    channels = f"{row['latent_channels']} channels" if row["latent_channels"] is not None else None
    others = [code for code in row["problems"] if code != row["code"]]
    notes = ["duplicate name"] if row["duplicate_name"] else []
    facts = [row["container"], row["layout"], row["dtype"], channels, row["family"] or "family unknown", verdict]
    if row["sha256"] is not None:
        facts.append(f"SHA-256 {row['sha256'][:10]}")
    return f"{megabytes(row['size']):>8}  {row['name']}  {', '.join(filter(None, [*facts, *others, *notes]))}"


def add_freeze_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `freeze`, which takes a folder and no file names."""
    add_folder_argument(command)
    add_data_argument(command)
    add_catalogue_argument(command)


def run_freeze(options: argparse.Namespace) -> int:
    """Print a lock file of the folder, after reading each file whole; what is left out is named on stderr.

    Returns the exit status of the worst file: one that is damaged, has changed since an earlier reading or cannot be
    read. A file that is no VAE and that nobody published is left out too, and is no failure.
    """
    folder, catalogue = existing_folder_of(options), load_catalogue(options)
    reader = LibraryReader(data_of(options, folder))
    reader.recover(folder)
    history = History(reader.stores.folder / History.NAME).entries()
    references = References(reader.hashes, references_of(history))
    locked: dict[str, LockedFile] = {}
    errors: list[VaeManagerError] = []
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for file in scan([Folder(folder)], print_problem):
            found = verify(file.path, catalogue, reader.hashes, report=bar.of(file.path),
                           has_numbers=can_check_for_nan(), references=references, stop=stop)  # fmt: skip
            try:
                reference = references.of(file.path)
                is_delivered = reference is None or reference.sha256 == found.sha256
                one = _locked(file, found, catalogue, history, is_delivered=is_delivered)
                _check_same(locked.get(one.file_name.lower()), one, file)
            except VaeManagerError as error:
                print_problem(error)
                errors += [error] if not isinstance(error, NoVaeError) else []
            else:
                locked[one.file_name.lower()] = one
                for reason in one.left_out:
                    print_problem(reason)
    files = sorted(locked.values(), key=lambda one: one.file_name)
    if options.json:
        print_json([lock_item(one) for one in files])
    else:
        print(lock_file_text(files), end="")
    return worst_exit_status(errors)


def _locked(
    file: VaeFile,
    found: Verification,
    catalogue: Catalogue,
    history: Sequence[PastDownload],
    *,
    is_delivered: bool,
) -> LockedFile:
    """Return the lock file's entry of a file. Raises if it cannot be in one.

    `is_delivered` is False for other bytes than a delivery to that path has proved.
    """
    if found.error is not None:
        raise found.error
    problem = name_problem(file.name)
    if problem is not None:
        raise RefusedError(msg("{file} is left out: {reason}", code="not-frozen", file=file.relative, reason=problem))
    if found.was_other:
        raise IntegrityError(
            msg(
                "{file} is left out: it was written to since it was last read, so nothing says that its bytes are "
                "right. If you changed it yourself, run freeze again.",
                code="written-since",
                file=file.relative,
            )
        )
    one = locked_file(file.name, found.sha256 or "", file.size, catalogue, history)
    is_no_vae = found.outcome is VerificationOutcome.NOT_A_VAE and is_delivered
    if found.is_right or (is_no_vae and one.sources):
        return one
    kind = NoVaeError if is_no_vae else IntegrityError
    raise kind(
        msg("{file} is left out: {reason}", code="not-frozen", file=file.relative, reason=found.reason or file.name)
    )


def _check_same(other: LockedFile | None, one: LockedFile, file: VaeFile) -> None:
    """Raise NameTakenError if another file of the folder has the name of `one`: the other machine can have only one."""
    if other is not None and other.sha256 != one.sha256:
        raise NameTakenError(
            msg(
                "{file} is left out: another file has this name. Rename one of the two.",
                code="name-twice",
                file=file.relative,
            )
        )


def add_sync_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `sync`: those of `get`, with a declaration in place of a source."""
    command.add_argument("file", type=Path, metavar="FILE.yaml", help="a list of entry ids and of items with a source")
    command.add_argument(
        "--check",
        action="store_true",
        help="print the differences and change nothing; the exit status is 1 if there are any",
    )
    add_network_arguments(command)
    add_local_arguments(command)
    add_terms_argument(command)
    add_folder_argument(command)
    add_data_argument(command)
    add_host_argument(command)
    add_catalogue_argument(command)


def run_sync(options: argparse.Namespace) -> int:
    """Download the declared files that the folder lacks; a file that is not declared is named and left alone.

    Returns the exit status of the worst failure, or with `--check`, which changes no file, `DIFFERS` or 0.
    """
    folder = folder_of(options)
    reader = LibraryReader(data_of(options, folder))
    network = replace(network_of(options), places=places_of(options, reader, folder))
    # A plain http address that is not allowed costs its own file: a request to it is refused.
    items = read_declared(options.file, load_catalogue(options), http_hosts=None, endpoint=network.named_endpoint)
    with stop_on_ctrl_c() as stop:
        found = inspect_folder(items, folder, stop)
        if options.check:
            return _checked(options, folder, found)
        outcomes = []
        for outcome in apply_plan(
            found,
            folder,
            network=network,
            refusal=refusal_of(options),
            reporting=lambda name: progress_bar(options, name),
            stop=stop,
        ):
            outcomes.append(outcome)
            item = outcome.step.item
            if outcome.delivery is not None:
                note_delivery(reader, request_of(outcome.step, folder), outcome.delivery)
            elif outcome.error is None and item.entry is None:
                note_sources(reader, request_of(outcome.step, folder))
            if not options.json:
                _print(outcome, _answer(outcome, options))
    status = worst_exit_status(outcome.error for outcome in outcomes if outcome.error is not None)
    if options.json:
        rows = [_outcome_fields(folder, outcome, _answer(outcome, options)) for outcome in outcomes]
        print_json(_fields(folder, found, rows, status))
    else:
        _print_undeclared(found)
    return status


def _checked(options: argparse.Namespace, folder: Path, found: Plan) -> int:
    status = DIFFERS if found.differs else 0
    if options.json:
        rows = [_item_fields(folder, step, step.state) for step in found.steps]
        print_json(_fields(folder, found, rows, status))
        return status
    for step in found.steps:
        print(f"{step.state:<10} {step.item.file_name}")
    _print_undeclared(found)
    return status


def _answer(outcome: Outcome, options: argparse.Namespace) -> Verdict | None:
    """Return the verdict of the WebUI on a present file, as `get` does."""
    return judge(inspect(outcome.delivery.path), options) if outcome.delivery is not None else None


def _print(outcome: Outcome, answer: Verdict | None) -> None:
    name = outcome.step.item.file_name
    if outcome.error is not None:
        print_problem(f"{name}: {outcome.error}")
    if answer is not None and answer.reason is not None:
        print_problem(answer.reason.message)
    print(f"{_state(outcome):<10} {name if outcome.delivery is None else delivery_text(outcome.delivery)}", flush=True)


def _print_undeclared(found: Plan) -> None:
    for name in found.undeclared:
        print(f"{'undeclared':<10} {name}")


def _state(outcome: Outcome) -> str:
    if outcome.error is not None:
        return "FAILED"
    if outcome.delivery is None or outcome.delivery.already_there:
        return "same"
    return "taken" if outcome.delivery.taken is not None else "fetched"


def _fields(folder: Path, found: Plan, items: list[dict[str, Any]], status: int) -> dict[str, Any]:
    return {"folder": str(folder), "items": items, "undeclared": list(found.undeclared), "status": status}


def _outcome_fields(folder: Path, outcome: Outcome, answer: Verdict | None) -> dict[str, Any]:
    error = outcome.error
    row = _item_fields(folder, outcome.step, _state(outcome).lower())
    if outcome.delivery is not None:
        taken = outcome.delivery.taken
        row["fetched"] = outcome.delivery.fetched
        row["taken_from"] = str(taken.path) if taken is not None else None
        row["taken_as"] = taken.way if taken is not None else None
    if answer is not None:
        row = {**row, **verdict_fields(answer)}
    return row if error is None else {**row, "error": str(error), "status": error.exit_status}


def _item_fields(folder: Path, step: Step, state: str) -> dict[str, Any]:
    item = step.item
    return {"file_name": item.file_name, "path": str(folder / step.file), "sha256": item.sha256, "state": state}
