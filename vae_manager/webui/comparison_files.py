"""A comparison written to files: each picture as it is, with the infotext of the VAE that decoded it, and the sheet."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..choice import BUILTIN, Choice
from ..compare import Comparison, Result
from ..errors import DiskError
from ..sentences import say
from .translation import Words, plain
from .ui.comparison_facts import figures_of, notes_of, shifts_of, words_of
from .ui.markup.labels import choice_name

if TYPE_CHECKING:
    from ..compare.sheet import Labelled
    from .hosts.comparison_protocol import Comparing

__all__ = ["save"]

SHEET = "comparison"
"""The name of the sheet, where a VAE's picture has that VAE's."""


def save(comparing: Comparing, comparison: Comparison, words: Words, title: str) -> Sequence[Path]:
    """Write all pictures and the sheet into the host's folder for what is saved; the sheet is the last of the paths.

    Nothing is overwritten. A VAE file whose hash is not known yet is hashed, which takes a moment. Raises DiskError.
    """
    from ..compare.sheet import Labelled, png, sheet

    results = [_hashed(comparing, comparison, result) for result in comparison.results]
    labelled = [_labelled(result, comparison, words) for result in results]
    if comparison.original is not None:
        labelled.insert(0, Labelled(words(say("Original")), comparison.original, []))
    folder = comparing.save_folder()
    names = _names(comparison.vaes)
    files = [
        (f"{names[result.decoded.vae]}.png", png(result.decoded.pixels, result.infotext))
        for result in results
        if result.decoded.pixels is not None
    ]
    files.append((f"{SHEET}.png", sheet(title, labelled, infotext=comparison.infotext)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = next(n for n in itertools.count(1) if not any(folder.glob(f"vae-{n:05}-*")))
        return [_written(folder / f"vae-{number:05}-{name}", content) for name, content in files]
    except OSError as error:
        reason = error.strerror or error
        raise DiskError(say("{path} cannot be written: {reason}", path=folder, reason=reason)) from error


def _labelled(result: Result, comparison: Comparison, words: Words) -> Labelled:
    """Its name, and below it what is said in the page: words first, figures behind them."""
    from ..compare.sheet import Labelled

    decoded, name = result.decoded, plain(choice_name(Choice(result.decoded.vae), words))
    if decoded.error is not None:
        return Labelled(name, decoded.pixels, [plain(words(decoded.error))])
    figures = [" · ".join(parts) for parts in (figures_of(result, words), shifts_of(result, words)) if parts]
    notes = [words(note) for note in notes_of(result)]
    return Labelled(name, decoded.pixels, [words_of(result, comparison, words), *figures, *notes])


def _names(vaes: Sequence[str]) -> Mapping[str, str]:
    """What the picture of each VAE is called: without the suffix, unless something else is called so too."""
    stems = {vae: "Built-in" if vae == BUILTIN.word else Path(vae).stem for vae in vaes}
    taken = Counter(stem.lower() for stem in [*stems.values(), SHEET])
    return {vae: stem if vae == BUILTIN.word or taken[stem.lower()] == 1 else vae for vae, stem in stems.items()}


def _hashed(comparing: Comparing, comparison: Comparison, result: Result) -> Result:
    if comparison.infotext is None or result.infotext is None or result.decoded.pixels is None:
        return result
    return replace(result, infotext=comparing.infotext(comparison.infotext, result.decoded.vae, hashed=True))


def _written(path: Path, content: bytes) -> Path:
    with path.open("xb") as file:
        file.write(content)
    return path
