"""A trial: several VAEs encode and decode the same pictures, and the ranking that comes of it.

One VAE is in memory at a time, and a few pictures. The next picture is read while one is decoded, and the last one is
scored on a thread of its own, so that the device waits for neither. Each score goes to the journal, so a trial that was
stopped goes on where it was. A picture that cannot be read, or for which the memory of a VAE does not suffice, is left
out for all VAEs, and a VAE that cannot decode is left out with its reason; none of them ends the trial.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import Cancelled, DiskError, OutOfMemoryError, RefusedError, VaeManagerError
from ..messages import Message, msg
from .chart import NAME as CHART
from .chart import chart, chart_hash
from .defects import Defect, Profile, defects, is_useless, profile_of
from .faces import faces_of
from .metrics import Box
from .picture_folder import Sample
from .ranking import Ranking, rank
from .scores import Score, score, without_picture
from .trial_journal import TrialJournal, key_of

if TYPE_CHECKING:
    from .comparison_store import Model, Pixels
    from .half_range import HalfRange

__all__ = [
    "AHEAD",
    "PROBED",
    "SIDE",
    "Finding",
    "Scores",
    "Skipped",
    "Subject",
    "Trial",
    "TrialStep",
    "reconstructed",
    "run",
]

SIDE: Final = 512
"""Pixels along each side of the middle of a larger picture that is measured, unless asked otherwise."""
PROBED: Final = 8
"""Pictures, besides the chart, whose layers are looked at for values beyond 16 bits."""
AHEAD: Final = 3
"""Decoded pictures that wait for their scores at most."""


@dataclass(frozen=True)
class Subject:
    """A VAE of a trial."""

    vae: str
    """Its name for people, unique in the trial."""
    hash: str
    """What its scores are kept under: the SHA-256 of its file or of its weights."""
    load: Callable[[], Model]
    """Returns a model of its own. Raises VaeManagerError."""


class TrialStep(NamedTuple):
    """The progress of a trial, in pictures by VAEs."""

    done: int
    total: int
    vae: str


class Skipped(NamedTuple):
    """A picture that was left out."""

    name: str
    reason: Message


@dataclass
class Scores:
    """The scores of one VAE, by the hashes of the pictures."""

    of: dict[str, Score] = field(default_factory=dict)
    chart: Score | None = None
    error: Message | None = None
    """The reason that it could not decode."""
    layer: str | None = None
    """The layer with values beyond 16 bits."""
    lacked: Message | None = None
    """Why it has no score of a picture: the memory did not suffice."""


@dataclass(frozen=True)
class Finding:
    """The result of a trial."""

    ranking: Ranking
    profiles: Mapping[str, Profile]
    defects: Mapping[str, Sequence[Defect]]
    errors: Mapping[str, Message]
    """VAEs that could not decode at all."""
    skipped: Sequence[Skipped]
    hashes: Mapping[str, str]
    """The SHA-256 of the files, as far as it is known."""
    charts: Mapping[str, Score]
    names: Mapping[str, str]
    """The names of the pictures by their hashes."""
    side: int
    worst: Mapping[str, str] = field(default_factory=dict)
    """The hash of the picture on which each VAE is farthest from the original."""


class Trial:
    """What is known so far. Safe to use from any thread."""

    def __init__(
        self,
        hashes: Mapping[str, str],
        *,
        shown: Mapping[str, str] | None = None,
        side: int = SIDE,
        precision: str = "fp32",
        journal: TrialJournal | None = None,
    ) -> None:
        """Begin a trial.

        Args:
            hashes: What the scores of each VAE are kept under, by name.
            shown: The SHA-256 of their files as far as it is known; None: `hashes` are that.
            side: Pixels along each side of a picture's middle.
            precision: What else the scores depend on.
            journal: The scores of earlier runs; None: there are none.
        """
        self.side = side
        self._hashes, self._shown = dict(hashes), dict(shown if shown is not None else hashes)
        self._settings = f"{side} {precision}"
        self._journal = journal if journal is not None else TrialJournal()
        self._lock = threading.Lock()
        self._scores = {vae: Scores() for vae in hashes}
        self._names: dict[str, str] = {}
        self._faces: dict[str, tuple[Box, ...]] = {}
        self._skipped: dict[str, Message] = {}

    def is_again(self, picture: str, name: str) -> bool:
        """Return True, and leave it out, if another name has the same picture: it counts once."""
        with self._lock:
            first = self._names.setdefault(picture, name)
            if first != name:
                reason = msg("It is the same picture as {other}.", code="same-picture-again", other=first)
                self._skipped.setdefault(name, reason)
        return first != name

    def known(self, vae: str, picture: str, name: str) -> bool:
        """Take over the score of an earlier run; return False if there is none."""
        found = self._journal.get(self._key(vae, picture))
        if found is not None:
            self._put(vae, picture, name, found)
        return found is not None

    def add(self, vae: str, picture: str, name: str, found: Score) -> None:
        """Keep a new score. Raises DiskError if the journal cannot be written."""
        self._put(vae, picture, name, found)
        self._journal.add(self._key(vae, picture), found)

    def skip(self, name: str, reason: Message) -> None:
        """Leave a picture out."""
        with self._lock:
            self._skipped.setdefault(name, reason)

    def fail(self, vae: str, reason: Message) -> None:
        """Leave a VAE out."""
        with self._lock:
            self._scores[vae].error = reason

    def lack_memory(self, vae: str, reason: Message) -> None:
        """Keep why a picture has no score of that VAE."""
        with self._lock:
            self._scores[vae].lacked = reason

    def fail_without_scores(self, vae: str) -> None:
        """Leave a VAE out for which the memory did not suffice with any picture."""
        with self._lock:
            scores = self._scores[vae]
            if scores.lacked is not None and not scores.of:
                scores.error = scores.lacked

    def note_layer(self, vae: str, layer: str | None) -> None:
        """Keep the layer of a VAE whose values are beyond 16 bits; None: that of an earlier run, if it had one.

        Raises DiskError if the journal cannot be written.
        """
        key = key_of(self._hashes[vae], "layer", self._settings)
        if layer is not None:
            self._journal.note(key, layer)
        with self._lock:
            self._scores[vae].layer = layer if layer is not None else self._journal.noted(key)

    def finding(self) -> Finding:
        """Return the result so far: pictures that each VAE was measured with."""
        with self._lock:
            good = {vae: of for vae, of in self._scores.items() if of.error is None and of.of}
            by_picture = {vae: dict(of.of) for vae, of in good.items()}
            charts = {vae: of.chart for vae, of in self._scores.items() if of.chart is not None}
            layers = {vae: of.layer for vae, of in good.items()}
            errors = {vae: of.error for vae, of in self._scores.items() if of.error is not None}
            names, reasons = dict(self._names), dict(self._skipped)
        shared = set.intersection(*map(set, by_picture.values())) if by_picture else set()
        counted = {names[picture] for picture in shared}  # one may be too large for a VAE that is left out itself
        skipped = [Skipped(name, reason) for name, reason in reasons.items() if name not in counted]
        profiles = {vae: profile_of([of[key] for key in sorted(shared)]) for vae, of in by_picture.items() if shared}
        found = defects(profiles, layers)
        ranking = rank(by_picture, [vae for vae, profile in profiles.items() if is_useless(found[vae], profile)])
        return Finding(
            ranking, profiles, found, errors, skipped, self._shown, charts, names, self.side,
            {vae: max(sorted(shared), key=lambda key: of[key].distance) for vae, of in by_picture.items() if shared},
        )  # fmt: skip

    @property
    def errors(self) -> Mapping[str, Message]:
        """The VAEs that could not decode."""
        with self._lock:
            return {vae: of.error for vae, of in self._scores.items() if of.error is not None}

    @property
    def skipped(self) -> Mapping[str, Message]:
        """The pictures that were left out, by name."""
        with self._lock:
            return dict(self._skipped)

    @property
    def has_scores(self) -> bool:
        """True if a VAE was measured with the chart or a picture."""
        with self._lock:
            return any(of.of or of.chart is not None for of in self._scores.values())

    def faces_of(self, picture: str, pixels: Pixels) -> tuple[Box, ...]:
        """Return the faces of a picture, which are looked for once."""
        with self._lock:
            known = self._faces.get(picture)
        if known is None:
            known = faces_of(pixels) if picture != chart_hash() else ()
            with self._lock:
                self._faces[picture] = known
        return known

    def score_of(self, vae: str, picture: str) -> Score | None:
        """Return one score."""
        with self._lock:
            return self._scores[vae].of.get(picture)

    def _key(self, vae: str, picture: str) -> str:
        return key_of(self._hashes[vae], picture, self._settings)

    def _put(self, vae: str, picture: str, name: str, found: Score) -> None:
        with self._lock:
            if picture == chart_hash():
                self._scores[vae].chart = found
                return
            self._scores[vae].of[picture] = found
            self._names.setdefault(picture, name)


def run(
    trial: Trial,
    subjects: Sequence[Subject],
    samples: Sequence[Sample],
    *,
    with_chart: bool = True,
    report: Callable[[TrialStep], None] = lambda step: None,
    stop: threading.Event | None = None,
) -> Finding:
    """Measure every VAE with every picture, VAE by VAE.

    Raises:
        Cancelled: `stop` was set, between two pictures. The scores until then are in the journal.
        DiskError: The journal cannot be written.
    """
    total = len(subjects) * (len(samples) + with_chart)
    done = 0

    def step(vae: str, count: int = 1) -> None:
        nonlocal done
        done += count
        report(TrialStep(done, total, vae))

    for number, subject in enumerate(subjects):
        report(TrialStep(done, total, subject.vae))
        try:
            _measure(trial, subject, samples, with_chart=with_chart, step=step, stop=stop)
        except (Cancelled, DiskError):
            raise
        except (VaeManagerError, RuntimeError, MemoryError) as error:  # RuntimeError: of torch
            trial.fail(subject.vae, _reason(error))
        done = (number + 1) * (len(samples) + with_chart)
    report(TrialStep(total, total, ""))
    return trial.finding()


def _reason(error: BaseException) -> Message:
    if isinstance(error, VaeManagerError):
        return error.message
    reason = f"{type(error).__name__}: {error}"[:300]
    return msg("This VAE cannot decode the picture ({error}).", code="cannot-decode", error=reason)


def _measure(
    trial: Trial,
    subject: Subject,
    samples: Sequence[Sample],
    *,
    with_chart: bool,
    step: Callable[[str], None],
    stop: threading.Event | None,
) -> None:
    from .half_range import HalfRange

    model: Model | None = None  # loaded for the first picture that is not in the journal
    ranges, probed = HalfRange(), 0
    trial.note_layer(subject.vae, None)
    with ThreadPoolExecutor(1, "vae-manager scores") as scoring:
        waiting: list[Future[None]] = []
        for name, picture, pixels in _opened(trial, samples, with_chart):
            if stop is not None and stop.is_set():
                _wait(waiting, 0)
                raise Cancelled(msg("The trial was stopped. What was measured is kept.", code="trial-stopped"))
            step(subject.vae)
            if pixels is None or trial.known(subject.vae, picture, name):
                continue
            model = model if model is not None else subject.load()
            watched = probed <= PROBED
            probed += watched
            try:
                made, is_nan = reconstructed(model, pixels, ranges if watched else None)
            except OutOfMemoryError as error:  # a smaller picture may fit
                trial.skip(name, error.message)
                trial.lack_memory(subject.vae, error.message)
                continue
            if watched and probed > PROBED:
                trial.note_layer(subject.vae, ranges.layer())
            waiting.append(scoring.submit(_score, trial, subject.vae, picture, name, pixels, made, is_nan))
            _wait(waiting, AHEAD)
        _wait(waiting, 0)
    trial.fail_without_scores(subject.vae)
    if 0 < probed <= PROBED:
        trial.note_layer(subject.vae, ranges.layer())


def _opened(trial: Trial, samples: Sequence[Sample], with_chart: bool) -> Iterator[tuple[str, str, Pixels | None]]:
    """Yield name, hash and pixels of each picture, None for one that is left out; the next one is read ahead."""
    if with_chart:
        yield CHART, chart_hash(), chart()

    def opened(sample: Sample) -> tuple[str, str, Pixels | None]:
        try:
            picture, pixels = sample.opened(trial.side)
        except VaeManagerError as error:
            trial.skip(sample.name, error.message)
            return sample.name, "", None
        return sample.name, picture, pixels if not trial.is_again(picture, sample.name) else None

    with ThreadPoolExecutor(1, "vae-manager pictures") as reading:
        ahead: Future[tuple[str, str, Pixels | None]] | None = None
        for number, sample in enumerate(samples):
            now = ahead if ahead is not None else reading.submit(opened, sample)
            ahead = reading.submit(opened, samples[number + 1]) if number + 1 < len(samples) else None
            yield now.result()


def _wait(waiting: list[Future[None]], most: int) -> None:
    """Wait until at most `most` pictures have no score yet, and raise what scoring raised."""
    while len(waiting) > most:
        waiting.pop(0).result()


def _score(trial: Trial, vae: str, picture: str, name: str, original: Pixels, made: Any, is_nan: bool) -> None:
    if made is None:
        trial.add(vae, picture, name, without_picture(is_nan=True))
        return
    faces = trial.faces_of(picture, original)
    trial.add(vae, picture, name, score(original, made, is_nan=is_nan, faces=faces))


def reconstructed(model: Model, pixels: Pixels, ranges: HalfRange | None = None) -> tuple[Pixels | None, bool]:
    """Return the picture that the model encodes and decodes, in the original's size; None with NaN or infinity.

    Raises RefusedError for a model whose pictures are not of red, green and blue.
    """
    from .comparison import decoded, encoded, to_pixels, to_tensor

    with ranges.watch(model.module) if ranges is not None else nullcontext():
        latent = encoded(model, None, to_tensor(pixels, model.factor), _dtype(model))
        picture = decoded(model, None, latent, _dtype(model)).tensor
    if len(picture) != pixels.shape[2]:
        raise RefusedError(
            msg(
                "This VAE gives pictures of {count} channels, not of red, green and blue.",
                code="other-channels",
                count=len(picture),
            )
        )
    if not bool(picture.isfinite().all()):
        return None, True
    return to_pixels(picture)[: pixels.shape[0], : pixels.shape[1]], False


def _dtype(model: Model) -> Any:
    return next(tensor.dtype for tensor in model.module.parameters() if tensor.is_floating_point())
