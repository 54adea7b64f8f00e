"""The facts behind the section “Comparison”, read at one moment, and the job that saves a comparison."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...compare import Comparison, Kept
from ...errors import RefusedError
from ...jobs import Handle, JobView
from ...library import VaeFile
from ...sentences import Sentence, say
from ...service import Service
from ..hosts.comparison_protocol import Offer, Wanted
from ..hosts.permissions import Act
from ..translation import Words, plain
from .options import question_of, read_options

if TYPE_CHECKING:
    from ...files import FileRecord
    from ..hosts.host import Host


PROPOSED = 4
"""VAEs that are compared where nobody has chosen any; more is a longer wait."""


@dataclass(frozen=True)
class Picture:
    """One that was made, and is kept."""

    kept: Kept
    why_not: Sentence | None
    """Why it cannot be compared; None: it can."""


@dataclass(frozen=True)
class Chip:
    """A VAE that can be chosen for a comparison."""

    offer: Offer
    proposed: bool


@dataclass(frozen=True)
class Section:
    pictures: Sequence[Picture]
    keeps: bool
    """The last pictures are kept at all: a setting."""
    chips: Sequence[Chip]
    kept: Sequence[Comparison]
    """The newest first."""
    now: Comparison | None
    """The one of them that is shown."""
    saving: JobView | None
    saved: Sequence[Path]
    """The files that it was saved as last; the sheet is the last of them."""
    shows_paths: bool
    """True if the page may name folders of this machine."""
    choose_refused: Sentence | None

    @property
    def active(self) -> bool:
        saving = self.saving is not None and not self.saving.state.ended
        return saving or any(not comparison.ended for comparison in self.kept)


class Offers:
    """What can decode, worked out anew only where the checkpoint, the WebUI's list or what is known of a file is
    another one: the page asks often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stand: object = None
        self._records: Mapping[Path, FileRecord] = {}
        self._offers: Sequence[Offer] = ()

    def of(self, host: Host, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """`records` is another object if anything in it is (`Upkeep.records`)."""
        in_use = host.in_use()
        stand = (in_use.checkpoint_file, host.files(), host.signature())
        with self._lock:
            if stand != self._stand or records is not self._records:
                self._offers, self._stand, self._records = host.comparing.offers(records), stand, records
            return [replace(offer, in_use=offer.path == in_use.path) for offer in self._offers]


def read_section(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers, shown: str = "") -> Section:
    """Look at everything once. `shown` is the id of the comparison to look at; the newest where it is not kept."""
    kept = service.comparisons.all()
    now = next((comparison for comparison in kept if comparison.id == shown), next(iter(kept), None))
    return Section(
        pictures=[Picture(kept, _why_not(host, kept)) for kept in host.comparing.kept.all()],
        keeps=host.comparing.kept.wanted,
        chips=chips(host, service, files, offers),
        kept=kept,
        now=now,
        saving=service.saving.view(key_of(now)) if now is not None else None,
        saved=service.saved.get(now.id, ()) if now is not None else (),
        shows_paths=host.shows_paths,
        choose_refused=host.refusal(Act.CHOOSE),
    )


def chips(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers) -> Sequence[Chip]:
    """The one in use first, then what fits, then what does not. The first that fit are proposed, each set of weights
    once."""
    options = {option.word: option for option in read_options(host, service, files, host.choice())}
    records = service.upkeep.records(files)

    def told(offer: Offer) -> Offer:
        return replace(offer, refusal=offer.refusal or question_of(options.get(offer.vae)))

    every = map(told, offers.of(host, records))
    found = sorted(every, key=lambda one: (not one.in_use, one.refusal is not None))
    fitting = [offer for offer in found if offer.refusal is None or offer.in_use]
    own = host.in_use().checkpoint_file
    prints = service.index.known_fingerprints(Path(own)) if own else None

    def weights(offer: Offer) -> frozenset[str]:
        if offer.path is None:
            return frozenset([prints.weights] if prints is not None else [])
        return _hashes(records.get(Path(offer.path)))

    proposed = _different(fitting, weights)[:PROPOSED]
    return [Chip(offer, offer in proposed) for offer in found]


def proposed(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers) -> Sequence[str]:
    """Words of the VAEs that are compared if nobody has chosen any: those that the page has ticked."""
    service.upkeep.look(files)
    return [chip.offer.vae for chip in chips(host, service, files, offers) if chip.proposed]


def _different(offers: Sequence[Offer], weights: Callable[[Offer], frozenset[str]]) -> list[Offer]:
    """The first offer of each set of weights, as far as they are known."""
    seen: set[str] = set()
    found = []
    for offer in offers:
        hashes = weights(offer)
        if seen.isdisjoint(hashes):
            found.append(offer)
        seen |= hashes
    return found


def _hashes(record: FileRecord | None) -> frozenset[str]:
    """What is equal in two files of the same weights: a hash of the bytes or of the weights, the catalogue's entry."""
    if record is None:
        return frozenset()
    entry = record.entry.id if record.entry is not None else None
    return frozenset(known for known in (record.weights, record.sha256, entry) if known is not None)


def _why_not(host: Host, kept: Kept) -> Sentence | None:
    try:
        host.comparing.order(Wanted(kept, ()))
    except RefusedError as error:
        return error.sentence
    return None


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
        from ..comparison_files import save

        paths = save(host.comparing, comparison, words, title_text(comparison, words))
        known = {id: paths for id, paths in service.saved.items() if service.comparisons.get(id) is not None}
        service.saved = {**known, comparison.id: paths}

    service.saving.start(key_of(comparison), title_text(comparison, words), work)
