"""`best`: which VAE suits the pictures of a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, IntegrityError, NotFoundError, VaeManagerError
from ..files import sha256_of
from ..library import Folder, scan
from ..messages import msg
from .file_commands import device_of, require_packages, write_bytes
from .shared import (
    add_folder_argument,
    existing_folder_of,
    print_json,
    print_problem,
    printable,
    require_argument,
    stop_on_ctrl_c,
)

if TYPE_CHECKING:
    from threading import Event

    import torch

    from ..compare.picture_folder import Sample
    from ..compare.trial import Finding, Subject, Trial, TrialStep
    from ..compare.trial_records import FileMark

CARD = "best.png"
JOURNAL = "best.jsonl"
PICTURES = 100
"""Pictures that are measured unless asked otherwise: a ranking gains little from more."""
PIXELS = 512
SHORT_HASH = 10


def add_best_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `best`; without `--vae`, the VAE files of `--dir` are tried."""
    command.add_argument(
        "pictures",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="a folder of PNG, JPEG and WEBP, or one picture; with --webui, by default the pictures that were "
        "generated last",
    )
    command.add_argument(
        "--vae",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        dest="vaes",
        help="a VAE, or a checkpoint for the VAE that it carries; give the option once for each (default: all VAE "
        "files of --dir). With --webui, the name of one that it lists, or None for the checkpoint's own",
    )
    add_folder_argument(command)
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"a folder for the card ({CARD}) and for the journal ({JOURNAL}), by which a run that was cut off goes on",
    )
    command.add_argument(
        "--with-crops",
        action="store_true",
        help="show the worst parts of your pictures on the card; it shows none else",
    )
    command.add_argument(
        "--count",
        type=_count,
        default=PICTURES,
        metavar="N",
        help=f"the maximum of pictures, taken evenly from the folder (default: {PICTURES})",
    )
    command.add_argument(
        "--side",
        type=_side,
        default=PIXELS,
        metavar="N",
        help=f"pixels along each side of the middle that is taken of a larger picture (default: {PIXELS})",
    )
    command.add_argument("--device", default="cpu", help="the device of torch: cpu, cuda, mps (default: cpu)")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return int(text)


def _side(text: str) -> int:
    if not text.isdecimal() or not 64 <= int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 64 to 4096")
    return int(text)


def run_best(options: argparse.Namespace) -> int:
    """Measure the VAEs with the pictures, print the ranking, and write the card to `--out`.

    Returns the status of IntegrityError if no VAE gave a ranking, else 0. Raises UsageError if a package or the device
    is missing, NotFoundError without a picture or a VAE, DiskError, and Cancelled at Ctrl-C.
    """
    require_argument(options.pictures, "FOLDER")
    require_packages()
    from ..compare.picture_folder import files_below, spread
    from ..compare.trial import Trial, run
    from ..compare.trial_journal import TrialJournal

    device = device_of(options.device)
    ours = options.out / CARD if options.out is not None else None
    samples = spread(files_below(options.pictures, without=ours), options.count)
    paths = _paths(options)
    journal = TrialJournal(options.out / JOURNAL if options.out is not None else None)
    with stop_on_ctrl_c() as stop:
        subjects, unread, places = _subjects(paths, device, stop)
        trial = Trial({one.vae: one.hash for one in subjects}, side=options.side, journal=journal)
        with _bar(options) as report:
            finding = run(trial, subjects, samples, report=report, stop=stop)
        finding = replace(finding, errors={**finding.errors, **{path.name: error.message for path, error in unread}})
        card = _card(options, trial, finding, subjects, samples, stop)
    _print(options, finding, card, places)
    return 0 if finding.ranking.rows else IntegrityError.exit_status


def _paths(options: argparse.Namespace) -> Sequence[Path]:
    if options.vaes:
        return list(dict.fromkeys(options.vaes))
    folder = existing_folder_of(options)
    found = [file.path for file in scan([Folder(folder)])]
    if not found:
        raise NotFoundError(
            msg("There is no VAE file in {path}. Name some with --vae.", code="no-vae-files", path=folder)
        )
    return found


def _subjects(
    paths: Sequence[Path], device: torch.device, stop: Event
) -> tuple[list[Subject], list[tuple[Path, VaeManagerError]], dict[str, Path]]:
    """Return the VAEs, the error of each file that cannot be read, and the files whose names alone do not tell them.

    Two files of one name get a part of their hashes: a card that is shown has no folders. Of two copies with one name,
    the first is taken.
    """
    from ..compare.trial import Subject
    from ..compare.trial_records import mark_of

    names = [path.name for path in paths]
    unread: list[tuple[Path, VaeManagerError]] = []
    places: dict[str, Path] = {}
    subjects: dict[str, Subject] = {}
    for path in paths:
        mark = mark_of(path)
        try:
            sha256 = sha256_of(path, stop=stop)
        except Cancelled:
            raise
        except VaeManagerError as error:
            unread.append((path, error))
            continue
        name = path.name
        if names.count(name) > 1:
            name = f"{path.name} [{sha256[:SHORT_HASH]}]"
            places.setdefault(name, path)
        subjects.setdefault(name, Subject(name, sha256, _loader(path, device, mark)))
    return list(subjects.values()), unread, places


def _loader(path: Path, device: torch.device, mark: FileMark | None) -> Callable[[], Any]:
    """Return what loads the VAE. It raises IntegrityError if the file is no longer the one of `mark`."""
    from ..compare import standalone_vae
    from ..compare.trial_records import changed_meanwhile, mark_of

    def load() -> Any:
        model = standalone_vae.model_of(path, device, carried=True)
        if mark_of(path) != mark:
            raise IntegrityError(changed_meanwhile(path.name))
        return model

    return load


@contextmanager
def _bar(options: argparse.Namespace) -> Iterator[Callable[[TrialStep], None]]:
    """Show a bar on a terminal; no output elsewhere and beside JSON."""
    if options.json or not sys.stderr.isatty():
        yield lambda step: None
        return
    from tqdm import tqdm

    with tqdm(leave=False) as bar:

        def report(step: TrialStep) -> None:
            bar.total, bar.n = step.total, step.done
            bar.set_description_str(printable(step.vae))

        yield report


def _card(
    options: argparse.Namespace,
    trial: Trial,
    finding: Finding,
    subjects: Sequence[Subject],
    samples: Sequence[Sample],
    stop: Event,
) -> Path | None:
    """Write the card; return None without `--out` or without a ranking."""
    from ..compare.trial_card import card
    from ..compare.worst_parts import crops_of

    if options.out is None or not finding.ranking.rows:
        return None
    crops = crops_of(trial, finding, subjects, samples, stop=stop) if options.with_crops else []
    path: Path = options.out / CARD
    write_bytes(path, card(finding, crops=crops))
    return path


def _print(options: argparse.Namespace, finding: Finding, card: Path | None, places: Mapping[str, Path]) -> None:
    from ..compare.findings import fields_of, sentence, summary

    if options.json:
        print_json({**fields_of(finding), "folder": str(options.pictures), "card": str(card) if card else None})
        return
    for name, reason in finding.skipped:
        print_problem(f"{name}: {reason}")
    for reason in finding.errors.values():
        print_problem(reason)
    print(printable("; ".join(str(note) for note in summary(finding))))
    for row in finding.ranking.rows:
        print(printable(f"{row.place}  {row.distance:6.2f}  {row.vae}: {sentence(row.vae, finding)}"))
    for name, path in places.items():
        print(printable(f"{name} is {path}"))
    if card is not None:
        print(printable(f"{card}: the card to keep or to share"))
