"""`inspect`: what files are, from their bytes and never from their names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..catalogue import FAMILIES, FamilyGuess
from ..errors import Cancelled, VaeManagerError
from ..files import FileRecord
from ..library.verification import Verification
from ..records.capability import HOSTS
from ..records.verdict import AskFirst, Refused, Verdict, obstacle_of
from ..sentences import megabytes, say
from ..sync import worst
from .memory import Known, data_of, with_data
from .shared import (
    fields_of,
    judge,
    load_catalogue,
    print_json,
    print_problem,
    reading_bar,
    shown,
    stopped_by_ctrl_c,
    verification_fields,
    with_catalogue,
    with_host,
)

WHY = {
    "yours": "you said so",
    "hash": "the catalogue knows its hash",
    "weights": "a file with the same weights or the same encoder is in the catalogue",
    "yours by weights": "you said so of a file with the same weights",
    "yours by encoder": "a guess: you said so of a file with the same encoder",
    "shapes": "its shapes leave no other",
    "latent test": "a guess: the latent test said so",
}


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files of any kind")
    command.add_argument("--no-hash", action="store_true", help="read the header alone: no SHA-256, no fingerprints")
    with_host(command)
    with_data(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue, known = load_catalogue(options), Known(data_of(options, options.files[0].parent))
    looked: list[FileRecord] = []
    failed: list[tuple[Path, VaeManagerError]] = []
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for path in options.files:
            try:
                looked.append(known.look(path, reading=not options.no_hash, report=bar.of(path), stop=stop))
            except Cancelled:
                raise
            except VaeManagerError as error:  # the others are looked at all the same
                failed.append((path, error))
    records = known.with_families(looked, catalogue, known.neighbours(options.files))
    if options.json:
        rows = [
            {**_fields(record, judge(record, options)), **verification_fields(known.verification_of(record))}
            for record in records
        ]
        print_json([*rows, *({"path": str(path), "error": str(problem), "status": problem.exit_status}
                             for path, problem in failed)])  # fmt: skip
    else:
        for record in records:
            found = known.verification_of(record)
            print("\n".join(map(shown, _text(record, judge(record, options), HOSTS[options.host].name, found))))
        for _, problem in failed:
            print_problem(problem)
    return worst(problem for _, problem in failed)


def _fields(record: FileRecord, answer: Verdict) -> dict[str, Any]:
    prints, family = record.fingerprints, record.family
    return {
        "path": str(record.path),
        "size": record.size,
        "sha256": record.sha256,
        "container": record.container,
        "layout": record.layout,
        "family": family.family,
        "family_why": family.why,
        "family_sure": family.sure,
        "family_candidates": list(family.candidates),
        "latent_channels": record.latent_channels,
        "dtype": record.dtype,
        "parameters": record.parameters,
        "has_encoder": record.has_encoder,
        "has_decoder": record.has_decoder,
        "prefix": record.prefix,
        "entry": record.entry.id if record.entry is not None else None,
        "weights_fingerprint": prints.weights if prints is not None else None,
        "encoder_fingerprint": prints.encoder if prints is not None else None,
        **fields_of(answer),
        "problems": [{"code": problem.code, "message": str(problem.sentence)} for problem in record.problems],
        "metadata": dict(record.metadata),
    }


# -- in words ------------------------------------------------------------------------------------------------------
def _text(record: FileRecord, answer: Verdict, host: str, found: Verification | None) -> list[str]:
    """Three sentences, what the last verification found wrong, then the details."""
    details = [f"  {name + ':':<17} {value}" for name, value in _details(record) if value is not None]
    sentences = [_what(record), _whose(record.family), _can(answer, host)]
    if found is not None and found.reason is not None and str(found.reason) not in sentences[-1]:
        sentences.append(str(found.reason))
    return [str(record.path), *(f"  {sentence}" for sentence in sentences), *details]


def _what(record: FileRecord) -> str:
    if record.entry is not None and record.sha256 == record.entry.sha256:
        return f"It is {record.entry.name}, byte for byte."
    if record.entry is not None:
        return f"It has the weights of {record.entry.name}, in other bytes."
    parts = {(True, True): "a VAE", (True, False): "an encoder alone", (False, True): "a decoder alone"}
    what = parts.get((record.has_encoder, record.has_decoder))
    if record.layout == "checkpoint":
        return f"It is a whole checkpoint, with {what or 'no VAE'} in it."
    if what is None:
        return "It is no VAE."
    unknown = ", and its hash is not in the catalogue" if record.sha256 is not None else ""
    return f"It is {what} in the layout “{record.layout}”{unknown}."


def _whose(family: FamilyGuess) -> str:
    if family.family is not None and family.why is not None:
        label = FAMILIES[family.family].label
        if family.why in ("latent test", "yours by encoder"):
            return f"It was probably made for {label} ({WHY[family.why]})."
        return f"It was made for {label} ({WHY[family.why]})."
    if family.candidates:
        names = " or ".join(FAMILIES[id].label for id in family.candidates)
        return f"It was made for {names}: its shapes do not tell which."
    return "It is not known what it was made for."


def _can(answer: Verdict, host: str) -> str:
    obstacle = obstacle_of(answer)
    said = [answer.reason.sentence] if isinstance(answer, Refused | AskFirst) else []
    if obstacle is not None:
        said.append(say("{obstacle} Convert it: python -m vae_manager convert IN OUT", obstacle=obstacle.sentence))
    return " ".join(map(str, said)) or f"{host} can load it as it is."


def _details(record: FileRecord) -> list[tuple[str, object]]:
    prints, count = record.fingerprints, record.parameters
    return [
        ("size", f"{record.size} bytes ({megabytes(record.size)})"),
        ("SHA-256", record.sha256),
        ("container", record.container),
        ("numbers", f"{count / 1e6:.1f} million, {record.dtype}" if count else record.dtype),
        ("latent channels", record.latent_channels),
        ("names begin with", record.prefix or None),
        ("weights", prints.weights if prints is not None else None),
        ("encoder", prints.encoder if prints is not None else None),
        *((f"“{_short(key)}”", _short(value)) for key, value in record.metadata.items()),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
