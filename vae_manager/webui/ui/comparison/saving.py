"""A comparison as files: each picture to the pixel, with the infotext of the VAE that made it, and one labelled sheet.

    <data>/vae-manager/comparisons/2026-07-14 18.30.05/
        1 Built-in.png  2 vae-x.png  …  sheet.png
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ....choice import BUILTIN, Choice
from ....compare import Comparison, Result
from ....errors import DiskError, RefusedError
from ....jobs import Handle
from ....sentences import say
from ....service import Service
from ...words import Words
from ..markup.choices import choice_name
from ..markup.parts import plain
from .figures import figures_of, shifts_of, words_of

if TYPE_CHECKING:
    from ...hosts.host import Host

FOLDER: Final = "comparisons"
SHEET: Final = "sheet.png"
LONGEST: Final = 80
"""Characters of a VAE's name in a file's."""


def key_of(comparison: Comparison) -> str:
    """Of the job that saves it."""
    return f"save {comparison.id}"


def save(host: Host, service: Service, comparison: Comparison, words: Words) -> None:
    """Write it in the background, into a new folder. The job's title is that folder's name. Raises RefusedError."""
    if not comparison.ended or all(result.decoded.pixels is None for result in comparison.results):
        raise RefusedError(say("There is no finished picture to save yet."))
    folder = _new_folder(host.data_folder / FOLDER)

    def work(handle: Handle) -> None:
        try:
            _write(host, comparison, folder, words)
        except OSError as error:
            raise DiskError(
                say("The pictures cannot be written to {folder} ({error}).", folder=str(folder), error=str(error))
            ) from error

    service.saving.start(key_of(comparison), folder.name, work)


def sheet_of(comparison: Comparison, words: Words) -> bytes:
    """All pictures with their figures on one, a PNG."""
    from ....compare.sheet import Labelled, sheet

    original = [Labelled(words(say("Original")), comparison.original, ())] if comparison.original is not None else []
    made = [
        Labelled(
            plain(choice_name(Choice(result.decoded.vae), words)),
            result.decoded.pixels,
            _lines(result, comparison, words),
        )
        for result in comparison.results
    ]
    title = comparison.title if isinstance(comparison.title, str) else words(comparison.title)
    return sheet(plain(title), [*original, *made])


def _lines(result: Result, comparison: Comparison, words: Words) -> Sequence[str]:
    if result.decoded.error is not None:
        return [plain(words(result.decoded.error))]
    said = [figures_of(result, words), shifts_of(result, words)]
    return [words_of(result, comparison, words), *(" · ".join(parts) for parts in said if parts)]


def _new_folder(parent: Path) -> Path:
    name = time.strftime("%Y-%m-%d %H.%M.%S")
    taken = (parent / (name if not number else f"{name} ({number})") for number in range(1000))
    return next(folder for folder in taken if not folder.exists())


def _write(host: Host, comparison: Comparison, folder: Path, words: Words) -> None:
    from ....compare.sheet import png

    folder.mkdir(parents=True)
    if comparison.original is not None:
        (folder / "0 original.png").write_bytes(png(comparison.original))
    for number, result in enumerate(comparison.results, 1):
        if result.decoded.pixels is None:
            continue
        infotext, vae = comparison.infotext, result.decoded.vae
        if infotext is not None:
            infotext = host.comparing.infotext(infotext, vae, hashed=True)
        (folder / f"{number} {_file_stem(vae)}.png").write_bytes(png(result.decoded.pixels, infotext))
    (folder / SHEET).write_bytes(sheet_of(comparison, words))


def _file_stem(vae: str) -> str:
    """A VAE's name as a part of a file's on any system."""
    return "Built-in" if vae == BUILTIN.word else re.sub(r"[^\w\-. ]", "_", Path(vae).stem)[:LONGEST].rstrip(" .")
