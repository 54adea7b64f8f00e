"""Saving a comparison, as a job: a VAE whose hash its infotext needs may have to be hashed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....compare import Comparison
from ....errors import RefusedError
from ....jobs import Handle
from ....sentences import say
from ....service import Service
from ...words import Words, plain

if TYPE_CHECKING:
    from ...hosts.host import Host


def key_of(comparison: Comparison) -> str:
    """Of the job that saves it."""
    return f"save {comparison.id}"


def title_text(comparison: Comparison, words: Words) -> str:
    title = comparison.title
    return plain(title if isinstance(title, str) else words(title))


def start_saving(host: Host, service: Service, comparison: Comparison, words: Words) -> None:
    """Write it in the background; `service.saved` then tells the files. Raises RefusedError."""
    if not comparison.ended or all(result.decoded.pixels is None for result in comparison.results):
        raise RefusedError(say("There is no finished picture to save yet."))

    def work(handle: Handle) -> None:
        from ...saving import save

        paths = save(host.comparing, comparison, words, title_text(comparison, words))
        known = {id: paths for id, paths in service.saved.items() if service.comparisons.get(id) is not None}
        service.saved = {**known, comparison.id: paths}

    service.saving.start(key_of(comparison), title_text(comparison, words), work)
