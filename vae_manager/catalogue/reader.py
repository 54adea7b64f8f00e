"""Read the built-in catalogue and the user's own.

A user's entry needs no more than this, in `<data_path>/vae-manager/catalogue.yaml`:

    - id: my-vae
      name: My VAE
      family: sd1
      sha256: 735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75
      source: hub:owner/name/my-vae.safetensors

The environment variable VAE_MANAGER_CATALOGUE names a file that takes the built-in catalogue's place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ..sentences import say
from .entry import Entry
from .fields import read_entry
from .lookup import Catalogue, CatalogueProblem
from .nodes import Flaw, entry_nodes, line_of, text_of

__all__ = ["BUILT_IN", "CATALOGUE_VARIABLE", "load"]

MAX_FLAWS: Final = 50
"""A page shows them all."""
BUILT_IN: Final = Path(__file__).with_name("vaes.yaml")
CATALOGUE_VARIABLE: Final = "VAE_MANAGER_CATALOGUE"


def load(user_file: Path | None = None) -> Catalogue:
    """The built-in entries, then those of `user_file`, which need not exist.

    Never raises for what a file says: what cannot be used is among the `problems`, and the rest is there. The files are
    read at each call.
    """
    shelf = _Shelf()
    shelf.read(Path(os.environ.get(CATALOGUE_VARIABLE) or BUILT_IN), built_in=True)
    if user_file is not None:
        shelf.read(user_file, built_in=False)
    return Catalogue(tuple(shelf.entries.values()), tuple(shelf.problems))


class _Shelf:
    """What has been read so far: a new entry must not clash with it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.problems: list[CatalogueProblem] = []
        self._offered_names: dict[str, Entry] = {}

    def read(self, file: Path, *, built_in: bool) -> None:
        text, flaw = text_of(file)
        nodes, flaws = entry_nodes(text)
        if flaw is not None:
            flaws = [flaw]
        for node in nodes:
            entry, wrong = read_entry(node, built_in=built_in, folder=file.parent)
            flaws += wrong
            if entry is not None:
                flaws += self._place(entry, line_of(node))
        flaws.sort(key=lambda flaw: flaw.line)
        if len(flaws) > MAX_FLAWS:
            more = say("{count} more problems follow in this file.", count=len(flaws) - MAX_FLAWS)
            flaws = [*flaws[:MAX_FLAWS], Flaw(flaws[MAX_FLAWS].line, more)]
        self.problems += [CatalogueProblem(file, flaw.line, flaw.sentence) for flaw in flaws]

    def _place(self, entry: Entry, line: int) -> list[Flaw]:
        if entry.id in self.entries:
            return [Flaw(line, say("The id “{id}” is already taken; give this entry another one.", id=entry.id))]
        namesake = self._offered_names.get(entry.file_name.lower())
        if entry.offered and namesake is not None and namesake.sha256 != entry.sha256:
            # Getting one would replace the other under the same name.
            return [
                Flaw(
                    line,
                    say(
                        "“{id}” already uses the file name {name} for other bytes; give this entry a “file_name”.",
                        id=namesake.id,
                        name=entry.file_name,
                    ),
                )
            ]
        self.entries[entry.id] = entry
        if entry.offered:
            self._offered_names.setdefault(entry.file_name.lower(), entry)
        return []
