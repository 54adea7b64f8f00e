"""`report`: what a report of a problem needs, to be pasted as it is.

It holds versions, the WebUI, the operating system, and what each VAE file is. It holds no folder, no name of a user, no
key and no address; a file is named by its base name alone. As `list`, it remembers what it reads of files.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..catalogue import load
from ..errors import NotFoundError
from ..files import FileRecord
from ..files.state_file import damage_notices
from ..library import Folder, collisions, scan
from ..records.capability import HOSTS
from ..sentences import Sentence, megabytes, say
from .installations import Installation, commit_of, find_installation, installation_at
from .memory import Known, data_of, with_data
from .shared import VAE_FOLDER, fields_of, judge, print_json, shown, with_folder

PACKAGES: Final = ("torch", "gradio", "huggingface_hub", "safetensors")
EXTENSION: Final = Path(__file__).absolute().parents[2]
"""Its folder, through a link if it was installed by one: the WebUI is above the link."""
FALLBACK: Final = "a1111"
"""The WebUI that files are judged for if none is found."""


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--webui", type=Path, metavar="DIR", help="the folder of the WebUI (default: the one that this folder is in)"
    )
    command.add_argument(
        "--host", choices=list(HOSTS), help="the WebUI that the files are judged for (default: the one that was found)"
    )
    with_data(command)
    with_folder(command)


def run(options: argparse.Namespace) -> int:
    logging.getLogger(__package__.partition(".")[0]).addHandler(logging.NullHandler())  # its warnings name folders
    webui = _installation(options)
    options.host = options.host or (webui.id if webui is not None and webui.id is not None else FALLBACK)
    report = {
        "vae_manager": {"version": __version__, "commit": commit_of(EXTENSION)},
        "python": platform.python_version(),
        "packages": {name: _version_of(name) for name in PACKAGES},
        "webui": _webui_fields(webui),
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "judged_for": options.host,
        **_files(options, webui),
    }
    if options.json:
        print_json(report)
    else:
        print("\n".join(map(shown, _text(report))))
    return 0


# -- where things are ----------------------------------------------------------------------------------------------
def _installation(options: argparse.Namespace) -> Installation | None:
    """The WebUI that was named, else the one around the VAE folder that was named, else the one around this program."""
    if options.webui is not None:
        return installation_at(_existing(options.webui))
    named = [_existing(options.dir).absolute()] if options.dir is not None else []
    return find_installation([*named, EXTENSION, Path.cwd()])


def _vae_folder(options: argparse.Namespace, webui: Installation | None) -> Path | None:
    """The folder that was named, else `models/VAE` of here, of the WebUI, or of the data folder with the extension."""
    if options.dir is not None:
        return Path(options.dir)
    above = [webui.folder] if webui is not None else []
    places = [*above, Path()] if options.webui is not None else [Path(), *above]
    folders = (place / VAE_FOLDER for place in (*places, EXTENSION.parent.parent))
    return next((folder for folder in folders if folder.is_dir()), None)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise NotFoundError(say("There is no folder {path}.", path=folder))
    return folder


# -- what is known -------------------------------------------------------------------------------------------------
def _version_of(package: str) -> str | None:
    """Of an installed package, from its metadata: importing torch takes seconds. None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _webui_fields(webui: Installation | None) -> dict[str, Any] | None:
    if webui is None:
        return None
    return {"id": webui.id, "name": webui.name, "version": webui.version, "commit": webui.commit}


def _files(options: argparse.Namespace, webui: Installation | None) -> dict[str, Any]:
    """The VAE files, and how many things could not be read. Sentences about those are left out: they name folders."""
    folder = _vae_folder(options, webui)
    if folder is None:
        return {"files": None, "unreadable_folders": 0, "catalogue_problems": 0, "damaged": []}
    unreadable: list[Sentence] = []
    found = {file.path: file for file in scan([Folder(folder)], unreadable.append)}
    catalogue, data = load(), data_of(options, folder)
    known = Known(data)
    records = known.with_families(known.index.look(found.values()), catalogue)
    doubled = collisions(found[record.path] for record in records)
    return {
        "files": [_file_fields(record, options, record.path.name in doubled) for record in records],
        "unreadable_folders": len(unreadable),
        "catalogue_problems": len(catalogue.problems),
        "damaged": sorted({notice.file.name for notice in damage_notices(data)}),
    }


def _file_fields(record: FileRecord, options: argparse.Namespace, is_doubled: bool) -> dict[str, Any]:
    answer = fields_of(judge(record, options))
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


# -- in words ------------------------------------------------------------------------------------------------------
def _text(report: dict[str, Any]) -> Sequence[str]:
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
