"""The facts behind the section “Comparison”, read at one moment, and the job that saves a comparison."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...compare import Comparison, Kept, Result
from ...compare.metrics import Figures
from ...errors import RefusedError
from ...jobs import Handle, JobView
from ...library import VaeFile
from ...sentences import Sentence, megabytes, say
from ...service import Service
from ..hosts.comparison_protocol import Offer, Wanted
from ..hosts.permissions import Act
from ..translation import Words, plain
from .vae_options import question_of, read_options

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


FINE_SSIM: Final = 0.999
"""Above it, three digits would read as 1."""


def words_of(result: Result, comparison: Comparison, words: Words) -> str:
    """What is seen, against the reference."""
    separator = words(say(", "))
    if is_reference(result, comparison):
        return separator.join([words(say("reference")), *(words(word) for word in result.words)])
    if comparison.lacks_reference:
        return words(say("held against nothing: the VAE in use gave no picture"))
    return separator.join(words(word) for word in result.words)


def is_reference(result: Result, comparison: Comparison) -> bool:
    return result.decoded.vae == comparison.reference


def notes_of(result: Result) -> Sequence[Sentence]:
    """What is unusual about the picture."""
    return [note for note in (result.decoded.foreign, result.decoded.note) if note is not None]


def figures_of(result: Result, words: Words) -> Sequence[str]:
    """How like the reference, time and memory."""
    decoded = result.decoded
    parts: list[Sentence | str] = [] if result.figures is None else list(_likeness(result.figures))
    if decoded.pixels is not None:
        parts.append(say("{count} s", count=f"{decoded.seconds:.{2 if decoded.seconds < 10 else 0}f}"))
    if decoded.peak is not None:
        parts.append(say("{amount} of GPU memory", amount=megabytes(decoded.peak)))
    if decoded.nan:
        parts.append("NaN")
    return [part if isinstance(part, str) else words(part) for part in parts]


def shifts_of(result: Result, words: Words) -> Sequence[str]:
    """Colour, contrast and sharpness, against the reference."""
    figures = result.figures
    if figures is None or figures.identical:
        return ()
    shifts = (
        say("brightness {shift}", shift=_signed(figures.lightness)),
        say("saturation {shift}", shift=_percent(figures.saturation)),
        say("contrast {shift}", shift=_percent(figures.contrast)),
        say("green–red {shift}", shift=_signed(figures.green_red)),
        say("blue–yellow {shift}", shift=_signed(figures.blue_yellow)),
        say("sharpness {shift}", shift=_percent(figures.sharpness)),
    )
    return [words(shift) for shift in shifts]


def _likeness(figures: Figures) -> list[str]:
    if figures.identical:
        return ["SSIM 1", "PSNR ∞"]
    parts: list[str] = []
    if figures.ssim is not None:
        parts.append(f"SSIM {figures.ssim:.{5 if figures.ssim > FINE_SSIM else 3}f}")
    if figures.psnr is not None:
        parts.append(f"PSNR {figures.psnr:.1f} dB")
    if figures.lpips is not None:
        parts.append(f"LPIPS {figures.lpips:.3f}")
    return parts


def _signed(value: float) -> str:
    """One digit behind the point, with the sign that typesetters use; nothing is "−0.0"."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _percent(part: float) -> str:
    text = f"{abs(part) * 100:.0f}"
    return f"{text} %" if text == "0" else f"{'+' if part > 0 else '−'}{text} %"
