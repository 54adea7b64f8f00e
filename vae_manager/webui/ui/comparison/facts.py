"""What the section "Comparison" shows, as plain data: read from the host and the service at one moment."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ....choice import BUILTIN
from ....compare import Comparison, Kept
from ....errors import RefusedError
from ....jobs import JobView
from ....library import VaeFile
from ....sentences import Sentence
from ....service import Service
from ...hosts.acts import Act
from ...hosts.comparing import Offer, Wanted
from ..fitting import sorts_last
from ..options import question_of, read_options
from .saving import key_of

if TYPE_CHECKING:
    from ....files import FileRecord
    from ...hosts.host import Host

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
    """The one in use first, then what fits, then what does not."""
    options = {option.word: option for option in read_options(host, service, files, host.choice())}

    def told(offer: Offer) -> Offer:
        return replace(offer, refusal=offer.refusal or question_of(options.get(offer.vae)))

    every = map(told, offers.of(host, service.upkeep.records(files)))
    found = sorted(every, key=lambda one: (not one.in_use, one.refusal is not None))
    fitting = [offer for offer in found if offer.refusal is None or offer.in_use]
    proposed = {offer.vae for offer in fitting[:PROPOSED]}
    return [Chip(offer, offer.vae in proposed) for offer in found]


def proposed(host: Host, service: Service, files: Sequence[VaeFile]) -> Sequence[str]:
    """What is compared where nobody has chosen: the one in use and some that fit, as far as is known already. No file
    is opened for that."""
    in_use, choice = host.in_use(), host.choice()
    fitting = [
        option.word
        for option in read_options(host, service, files, choice)
        if option.file is not None and not sorts_last(option.answer)
    ]
    used = [name for name, path in host.files().items() if path == in_use.path]
    return list(dict.fromkeys([*used, BUILTIN.word, *fitting]))[:PROPOSED]


def _why_not(host: Host, kept: Kept) -> Sentence | None:
    try:
        host.comparing.order(Wanted(kept, ()))
    except RefusedError as error:
        return error.sentence
    return None
