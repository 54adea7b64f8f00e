"""What the browser draws: which pictures there are, where they come from, how large they are."""

from __future__ import annotations

from typing import Final, TypedDict

from ....choice import Choice
from ....compare import Comparison
from ....sentences import say
from ...words import Words, plain
from ..markup.choices import choice_name

PATH: Final = "/vae-manager/comparison"
ORIGINAL: Final = "original"
SHEET: Final = "sheet.png"


class Shown(TypedDict):
    """One picture that is there."""

    key: str
    """Its part of the address."""
    name: str


class View(TypedDict):
    id: str
    base: str
    """The address that all others begin with; relative, since a WebUI may be served below a path."""
    query: str
    width: int
    height: int
    pictures: list[Shown]
    """The reference first."""


def picture_at(comparison: Comparison, key: str, life: str) -> str:
    """The address of one picture, relative as all are."""
    return f".{PATH}/{comparison.id}/{key}.png?{life}"


def view_of(comparison: Comparison, life: str, words: Words) -> View | None:
    """None while there is no picture. `life` tells this process's addresses from another's."""
    made = {result.decoded.vae: result.decoded.pixels for result in comparison.results}
    pictures: list[Shown] = []
    if comparison.original is not None:
        pictures.append({"key": ORIGINAL, "name": words(say("Original"))})
    for number, vae in enumerate(comparison.vaes):
        if made.get(vae) is not None:
            pictures.append({"key": str(number), "name": plain(choice_name(Choice(vae), words))})
    every = [comparison.original, *made.values()]
    size = next((pixels.shape for pixels in every if pixels is not None), None)
    if size is None or not pictures:
        return None
    return {
        "id": comparison.id,
        "base": f".{PATH}/{comparison.id}/",
        "query": f"?{life}",
        "width": int(size[1]),
        "height": int(size[0]),
        "pictures": pictures,
    }
