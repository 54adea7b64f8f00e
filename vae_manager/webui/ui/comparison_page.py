"""Comparison on the page: its view model, its actions and the files that it saves."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...choice import BUILTIN, Choice
from ...compare import Comparison, Encoder, RecentPicture, Result
from ...compare.metrics import Figures
from ...errors import DiskError, NotFoundError, RefusedError, UsageError
from ...jobs import JobContext, JobView
from ...library import VaeFile, scan
from ...messages import Message, megabytes, msg
from ...service import Service
from ..comparison_job import begin
from ..hosts.host import MAX_PIXELS, ComparisonRequest, Offer
from ..hosts.host_values import Permission
from ..translation import Translator, plain, translator_for
from . import actions
from .actions import handles, parse_action
from .vae_options import question_of, read_options
from .views.labels import choice_name

if TYPE_CHECKING:
    from ...compare.pictures import Labelled
    from ...files import FileRecord
    from ..hosts.host import Comparing, Host

__all__ = ["save"]


PROPOSED = 4
"""The number of VAEs that are compared if the user has chosen no VAE; more would take longer."""


@dataclass(frozen=True)
class Picture:
    """A recent picture."""

    kept: RecentPicture
    why_not: Message | None
    """The reason why it cannot be compared; None if it can."""


@dataclass(frozen=True)
class Chip:
    """A VAE that can be chosen for a comparison."""

    offer: Offer
    proposed: bool


@dataclass(frozen=True)
class Section:
    """The facts that the comparison section shows."""

    pictures: Sequence[Picture]
    keeps: bool
    """True if a setting keeps the last pictures."""
    chips: Sequence[Chip]
    kept: Sequence[Comparison]
    """Comparisons, the newest first."""
    now: Comparison | None
    """The shown comparison."""
    saving: JobView | None
    saved: Sequence[Path]
    """The files of the last save; the sheet is the last of them."""
    shows_paths: bool
    """True if the page may name folders of this machine."""
    choose_refused: Message | None

    @property
    def active(self) -> bool:
        saving = self.saving is not None and not self.saving.state.ended
        return saving or any(not comparison.ended for comparison in self.kept)


class Offers:
    """Cached offers: the VAEs that can decode.

    They are computed again only after a change of the checkpoint, of the WebUI's list or of a file's record, since the
    page asks often.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stand: object = None
        self._records: Mapping[Path, FileRecord] = {}
        self._offers: Sequence[Offer] = ()

    def of(self, host: Host, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Return the offers. `records` has to be a new object after a change of its content (`Maintenance.records`)."""
        in_use = host.in_use()
        stand = (in_use.checkpoint_file, host.files(), host.signature())
        with self._lock:
            if stand != self._stand or records is not self._records:
                self._offers, self._stand, self._records = host.comparing.offers(records), stand, records
            return [replace(offer, in_use=offer.path == in_use.path) for offer in self._offers]


def read_section(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers, shown: str = "") -> Section:
    """Read all facts once. `shown` is the id of the shown comparison; an unknown id means the newest."""
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
        choose_refused=host.refusal(Permission.CHOOSE),
    )


def chips(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers) -> Sequence[Chip]:
    """List the VAE in use first, then those that fit, then the others.

    The first that fit are proposed, each set of weights once.
    """
    options = {option.word: option for option in read_options(host, service, files, host.choice())}
    records = service.maintenance.records(files)

    def told(offer: Offer) -> Offer:
        return replace(offer, refusal=offer.refusal or question_of(options.get(offer.vae)))

    every = map(told, offers.of(host, records))
    found = sorted(every, key=lambda one: (not one.in_use, one.refusal is not None))
    fitting = [offer for offer in found if offer.refusal is None or offer.in_use]
    own = host.in_use().checkpoint_file
    prints = service.stores.index.known_fingerprints(Path(own)) if own else None

    def weights(offer: Offer) -> frozenset[str]:
        if offer.path is None:
            return frozenset([prints.weights] if prints is not None else [])
        return _hashes(records.get(Path(offer.path)))

    proposed = _different(fitting, weights)[:PROPOSED]
    return [Chip(offer, offer in proposed) for offer in found]


def proposed(host: Host, service: Service, files: Sequence[VaeFile], offers: Offers) -> Sequence[str]:
    """Return the words of the VAEs that are compared if the user has chosen no VAE: those that the page has ticked."""
    service.maintenance.inspect(files)
    return [chip.offer.vae for chip in chips(host, service, files, offers) if chip.proposed]


def _different(offers: Sequence[Offer], weights: Callable[[Offer], frozenset[str]]) -> list[Offer]:
    """Return the first offer of each set of weights, as far as the weights are known."""
    seen: set[str] = set()
    found = []
    for offer in offers:
        hashes = weights(offer)
        if seen.isdisjoint(hashes):
            found.append(offer)
        seen |= hashes
    return found


def _hashes(record: FileRecord | None) -> frozenset[str]:
    """Return the values that files of the same weights share: the hash of bytes or weights, the catalogue entry."""
    if record is None:
        return frozenset()
    entry = record.entry.id if record.entry is not None else None
    return frozenset(known for known in (record.weights, record.sha256, entry) if known is not None)


def _why_not(host: Host, kept: RecentPicture) -> Message | None:
    try:
        host.comparing.order(ComparisonRequest(kept, ()))
    except RefusedError as error:
        return error.message
    return None


def key_of(comparison: Comparison) -> str:
    """Return the key of the job that saves the comparison."""
    return f"save {comparison.id}"


def title_text(comparison: Comparison, translate: Translator) -> str:
    title = comparison.title
    return plain(title if isinstance(title, str) else translate(title))


def start_saving(host: Host, service: Service, comparison: Comparison, translate: Translator) -> None:
    """Save in the background; `service.saved` then has the files. Raises RefusedError."""
    if not comparison.ended or all(result.decoded.pixels is None for result in comparison.results):
        raise RefusedError(msg("There is no finished picture to save yet."))

    def work(handle: JobContext) -> None:

        paths = save(host.comparing, comparison, translate, title_text(comparison, translate))
        known = {id: paths for id, paths in service.saved.items() if service.comparisons.get(id) is not None}
        service.saved = {**known, comparison.id: paths}

    service.saving.start(key_of(comparison), title_text(comparison, translate), work)


FINE_SSIM: Final = 0.999
"""Above this value, three digits would round to 1."""


def translator_of(result: Result, comparison: Comparison, translate: Translator) -> str:
    """Return the findings of the comparison with the reference."""
    separator = translate(msg(", "))
    if is_reference(result, comparison):
        return separator.join([translate(msg("reference")), *(translate(word) for word in result.findings)])
    if comparison.lacks_reference:
        return translate(msg("held against nothing: the VAE in use gave no picture", code="no-reference"))
    return separator.join(translate(word) for word in result.findings)


def is_reference(result: Result, comparison: Comparison) -> bool:
    return result.decoded.vae == comparison.reference


def notes_of(result: Result) -> Sequence[Message]:
    """Return the notes on unusual properties of the picture."""
    return [note for note in (result.decoded.foreign, result.decoded.note) if note is not None]


def figures_of(result: Result, translate: Translator) -> Sequence[str]:
    """Return the similarity to the reference, the time and the memory."""
    decoded = result.decoded
    parts: list[Message | str] = [] if result.figures is None else list(_likeness(result.figures))
    if decoded.pixels is not None:
        parts.append(msg("{count} s", count=f"{decoded.seconds:.{2 if decoded.seconds < 10 else 0}f}"))
    if decoded.peak is not None:
        parts.append(msg("{amount} of GPU memory", code="gpu-memory", amount=megabytes(decoded.peak)))
    if decoded.nan:
        parts.append("NaN")
    return [part if isinstance(part, str) else translate(part) for part in parts]


def shifts_of(result: Result, translate: Translator) -> Sequence[str]:
    """Return the shifts of colour, contrast and sharpness against the reference."""
    figures = result.figures
    if figures is None or figures.identical:
        return ()
    shifts = (
        msg("brightness {shift}", shift=_signed(figures.lightness)),
        msg("saturation {shift}", shift=_percent(figures.saturation)),
        msg("contrast {shift}", shift=_percent(figures.contrast)),
        msg("green–red {shift}", shift=_signed(figures.green_red)),
        msg("blue–yellow {shift}", shift=_signed(figures.blue_yellow)),
        msg("sharpness {shift}", shift=_percent(figures.sharpness)),
    )
    return [translate(shift) for shift in shifts]


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
    """Format with one decimal and a typographic sign; zero has no sign."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _percent(part: float) -> str:
    text = f"{abs(part) * 100:.0f}"
    return f"{text} %" if text == "0" else f"{'+' if part > 0 else '−'}{text} %"


SHEET = "comparison"
"""The file name of the sheet; each picture is named after its VAE."""


def save(comparing: Comparing, comparison: Comparison, translate: Translator, title: str) -> Sequence[Path]:
    """Write all pictures and the sheet into the host's folder for saved comparisons; return the paths, the sheet last.

    Existing files are not overwritten. A VAE file of unknown hash is hashed, which takes a moment. Raises DiskError.
    """
    from ...compare.pictures import png

    results = [_hashed(comparing, comparison, result) for result in comparison.results]
    folder = comparing.save_folder()
    names = _names(comparison.vaes)
    files = [
        (f"{names[result.decoded.vae]}.png", png(result.decoded.pixels, result.infotext))
        for result in results
        if result.decoded.pixels is not None
    ]
    files.append((f"{SHEET}.png", sheet_of(comparison, results, translate, title)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = next(n for n in itertools.count(1) if not any(folder.glob(f"vae-{n:05}-*")))
        return [_written(folder / f"vae-{number:05}-{name}", content) for name, content in files]
    except OSError as error:
        reason = error.strerror or error
        raise DiskError(
            msg("{path} cannot be written: {reason}", code="not-writable", path=folder, reason=reason)
        ) from error


def sheet_of(comparison: Comparison, results: Sequence[Result], translate: Translator, title: str) -> bytes:
    """Return a PNG with the pictures of `results` side by side, each with what the page says of it."""
    from ...compare.pictures import Labelled, sheet

    labelled = [_labelled(result, comparison, translate) for result in results]
    if comparison.original is not None:
        labelled.insert(0, Labelled(translate(msg("Original")), comparison.original, []))
    return sheet(title, labelled, infotext=comparison.infotext)


def _labelled(result: Result, comparison: Comparison, translate: Translator) -> Labelled:
    """Return the picture with its name and, below it, the findings, figures and notes of the page."""
    from ...compare.pictures import Labelled

    decoded, name = result.decoded, plain(choice_name(Choice(result.decoded.vae), translate))
    if decoded.error is not None:
        return Labelled(name, decoded.pixels, [plain(translate(decoded.error))])
    figures = [" · ".join(parts) for parts in (figures_of(result, translate), shifts_of(result, translate)) if parts]
    notes = [translate(note) for note in notes_of(result)]
    return Labelled(name, decoded.pixels, [translator_of(result, comparison, translate), *figures, *notes])


def _names(vaes: Sequence[str]) -> Mapping[str, str]:
    """Return the file name for each VAE's picture: without the suffix, unless two names would then be equal."""
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


PROMPT_SHOWN: Final = 60
"""Characters of a prompt that distinguish a picture from the others."""


def title_of(kept: RecentPicture) -> str:
    """Return the time of the picture and the beginning of its prompt."""
    prompt = kept.infotext.partition("\n")[0].strip()
    shown = prompt if len(prompt) <= PROMPT_SHOWN else prompt[:PROMPT_SHOWN].rstrip() + "…"
    when = time.strftime("%H:%M:%S", time.localtime(kept.when))
    return f"{when} · {kept.size[0]} × {kept.size[1]}" + (f" · {shown}" if shown else "")


@handles(actions.Compare)
def _compare(host: Host, service: Service, action: actions.Compare) -> None:
    """Compare a recent picture with the chosen VAEs."""
    kept = _kept(host, action.kept)
    begin(host.comparing, service, ComparisonRequest(kept, _chosen(action.vaes)), title_of(kept))


@handles(actions.Rescue)
def _rescue(host: Host, service: Service, action: actions.Rescue) -> None:
    """Decode a recent picture again until one VAE gives a picture; the result stands where a comparison's does."""
    kept = _kept(host, action.kept)
    title = msg("Decoded again: {picture}", code="rescue-of", picture=title_of(kept))
    begin(host.comparing, service, ComparisonRequest(kept, (), is_rescue=True), title, looks=False)


def _kept(host: Host, id: str) -> RecentPicture:
    kept = host.comparing.kept.get(id)
    if kept is None:
        raise NotFoundError(
            msg("This picture is no longer kept. Take one of those that are listed.", code="no-longer-kept")
        )
    return kept


@handles(actions.CompareShown)
def _compare_shown(host: Host, service: Service, action: actions.CompareShown) -> None:
    """Compare the picture that a tab shows, found by its infotext; else the last one of the tab, or of all.

    `vaes` are the ticked VAEs; empty means the VAEs that the page proposes.
    """
    shown = _squeezed(action.infotext)
    every = host.comparing.kept.all()
    if shown:
        kept = next((one for one in every if _squeezed(one.infotext) == shown), None)
    else:
        kept = next((one for one in every if one.tab == action.tab), next(iter(every), None))
    if kept is None and not host.comparing.kept.wanted:
        raise RefusedError(
            msg(
                "The settings say that no picture is kept, so there is nothing to decode anew. “Your own image” "
                "can be compared all the same."
            )
        )
    if kept is None and shown and every:
        raise RefusedError(
            msg(
                "The picture that is shown is no longer kept as it was before its VAE decoded it. Take one of the "
                "list, or encode it as your own image.",
                code="no-longer-kept",
            )
        )
    if kept is None:
        raise RefusedError(
            msg("No picture has been made yet. Make one, or take your own image.", code="no-picture-yet")
        )
    vaes = action.vaes or proposed(host, service, scan(host.folders()), Offers())
    noted = replace(kept, note=_looks_otherwise(kept, action.size) or kept.note)
    begin(host.comparing, service, ComparisonRequest(noted, vaes), title_of(kept))


def _looks_otherwise(kept: RecentPicture, size: Sequence[Any]) -> Message | None:
    """Return a notice if the picture of that infotext has another size than the shown one of `size`."""
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size) or tuple(size) == kept.size:
        return None
    return msg(
        "What you saw is {width} × {height}: several pictures put together, or one that was enlarged after the decode. "
        "This is the decoded picture that its infotext belongs to.",
        code="other-picture-seen",
        width=size[0],
        height=size[1],
    )


def _squeezed(text: str) -> str:
    """Remove white space, since the page changes it."""
    return "".join(text.split())


def compare_picture(host: Host, service: Service, message: str, picture: Path | bytes | None) -> None:
    """Compare the user's own picture; `message` lists the VAEs, and holds the flag for encoding it with each one."""
    from ...compare.pictures import read_picture

    if picture is None:
        raise UsageError(msg("Put a picture in first: drop it on the field, or click there.", code="no-picture-given"))
    action = parse_action(message)
    if not isinstance(action, actions.CompareOwn):
        raise UsageError(msg("The page is out of date. Reload it."))
    chosen = _chosen(action.vaes)
    try:
        pixels = read_picture(picture, max_pixels=MAX_PIXELS)
    except OSError as error:
        raise NotFoundError(msg("This picture is not there.")) from error
    height, width = pixels.shape[:2]
    title: Message = msg("Your own image, {width} × {height}", code="own-image", width=width, height=height)
    begin(host.comparing, service, ComparisonRequest(Encoder(pixels, action.each), chosen), title)


def _chosen(vaes: Sequence[str]) -> Sequence[str]:
    if not vaes:
        raise UsageError(msg("Choose at least one VAE."))
    return vaes


@handles(actions.StopComparison)
def _stop(host: Host, service: Service, action: actions.StopComparison) -> None:
    service.comparing.stop(action.id)


@handles(actions.SaveComparison)
def _save(host: Host, service: Service, action: actions.SaveComparison) -> None:
    translate = translator_for(host.language(), host.translations())
    start_saving(host, service, comparison_of(service, action.id), translate)


def comparison_of(service: Service, id: str) -> Comparison:
    found = service.comparisons.get(id)
    if found is None:
        raise NotFoundError(msg("This comparison is no longer kept.", code="no-longer-kept"))
    return found
