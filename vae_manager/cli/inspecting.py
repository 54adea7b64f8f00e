"""`inspect`: what files are, from their bytes and never from their names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..catalogue import FAMILIES, Catalogue, Entry
from ..errors import Cancelled, VaeManagerError
from ..library.families import FamilyGuess
from ..sentences import megabytes
from ..sync import worst
from .known import Known, Looked, entry_of, with_data
from .shared import (
    load_catalogue,
    print_json,
    print_problem,
    reading_bar,
    shown,
    stopped_by_ctrl_c,
    with_catalogue,
)

WHY = {
    "yours": "you said so",
    "hash": "the catalogue knows its hash",
    "weights": "a file with the same weights is known",
    "shapes": "its shapes leave no other",
    "latent test": "a guess: the latent test said so",
}


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--no-hash", action="store_true", help="read the header alone: no SHA-256, no fingerprints")
    with_data(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    catalogue, known = load_catalogue(options), Known(options.data)
    looked: list[Looked] = []
    failed: list[tuple[Path, VaeManagerError]] = []
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        for path in options.files:
            try:
                looked.append(known.look(path, reading=not options.no_hash, report=bar.of(path), stop=stop))
            except Cancelled:
                raise
            except VaeManagerError as error:  # the others are looked at all the same
                failed.append((path, error))
    families = known.families([one.indexed for one in looked], catalogue)
    if options.json:
        rows = [_fields(one, family, catalogue) for one, family in zip(looked, families, strict=True)]
        print_json([*rows, *({"path": str(path), "error": str(problem), "status": problem.exit_status}
                             for path, problem in failed)])  # fmt: skip
    else:
        for one, family in zip(looked, families, strict=True):
            print("\n".join(map(shown, _text(one, family, catalogue))))
        for _, problem in failed:
            print_problem(problem)
    return worst(problem for _, problem in failed)


def _fields(one: Looked, family: FamilyGuess, catalogue: Catalogue) -> dict[str, Any]:
    inspection, entry, prints = one.inspection, entry_of(one.indexed, catalogue), one.indexed.fingerprints
    return {
        "path": str(inspection.path),
        "size": inspection.size,
        "sha256": one.indexed.sha256,
        "container": inspection.container,
        "layout": inspection.layout,
        "family": family.family,
        "family_why": family.why,
        "family_sure": family.sure,
        "family_candidates": list(family.candidates),
        "latent_channels": inspection.latent_channels,
        "dtype": inspection.dtype,
        "parameters": inspection.parameters,
        "has_encoder": inspection.has_encoder,
        "has_decoder": inspection.has_decoder,
        "prefix": inspection.prefix,
        "entry": entry.id if entry is not None else None,
        "weights_fingerprint": prints.weights if prints is not None else None,
        "encoder_fingerprint": prints.encoder if prints is not None else None,
        "loadable": inspection.loadable,
        "convertible": inspection.convertible,
        "reason": str(inspection.problem) if inspection.problem is not None else None,
        "problems": [{"code": problem.code, "message": str(problem.sentence)} for problem in inspection.problems],
        "metadata": dict(inspection.metadata),
    }


# -- in words ------------------------------------------------------------------------------------------------------
def _text(one: Looked, family: FamilyGuess, catalogue: Catalogue) -> list[str]:
    """Three sentences, then the details."""
    entry = entry_of(one.indexed, catalogue)
    details = [f"  {name + ':':<17} {value}" for name, value in _details(one) if value is not None]
    problems = [f"  also:             {problem.sentence}" for problem in one.inspection.problems[1:]]
    sentences = (_what(one, entry), _whose(family), _can(one))
    return [str(one.inspection.path), *(f"  {sentence}" for sentence in sentences), *problems, *details]


def _what(one: Looked, entry: Entry | None) -> str:
    inspection = one.inspection
    if entry is not None:
        return f"It is {entry.name}, byte for byte."
    parts = {(True, True): "a VAE", (True, False): "an encoder alone", (False, True): "a decoder alone"}
    what = parts.get((inspection.has_encoder, inspection.has_decoder))
    if inspection.layout == "checkpoint":
        return f"It is a whole checkpoint, with {what or 'no VAE'} in it."
    if what is None:
        return "It is no VAE."
    unknown = ", and its hash is not in the catalogue" if one.indexed.sha256 is not None else ""
    return f"It is {what} in the layout “{inspection.layout}”{unknown}."


def _whose(family: FamilyGuess) -> str:
    if family.family is not None and family.why is not None:
        return f"It was made for {FAMILIES[family.family].label} ({WHY[family.why]})."
    if family.candidates:
        names = " or ".join(FAMILIES[id].label for id in family.candidates)
        return f"It was made for {names}: its shapes do not tell which."
    return "It is not known what it was made for."


def _can(one: Looked) -> str:
    problem = one.inspection.problem
    if problem is None:
        return "The WebUI can load it as it is."
    if one.inspection.convertible:
        return f"{problem} Convert it: python -m vae_manager convert IN OUT"
    return str(problem)


def _details(one: Looked) -> list[tuple[str, object]]:
    inspection, prints = one.inspection, one.indexed.fingerprints
    count = inspection.parameters
    return [
        ("size", f"{inspection.size} bytes ({megabytes(inspection.size)})"),
        ("SHA-256", one.indexed.sha256),
        ("container", inspection.container),
        ("numbers", f"{count / 1e6:.1f} million, {inspection.dtype}" if count else inspection.dtype),
        ("latent channels", inspection.latent_channels),
        ("names begin with", inspection.prefix or None),
        ("weights", prints.weights if prints is not None else None),
        ("encoder", prints.encoder if prints is not None else None),
        *((f"“{_short(key)}”", _short(value)) for key, value in inspection.metadata.items()),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
