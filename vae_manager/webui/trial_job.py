"""A trial as a job of the service: several VAEs, many pictures, one picture at a time.

Each picture is a comparison of its own, in the loaded model: between two pictures the WebUI can generate, and the VAE
in use is in its place. The journal in the data folder lets a trial that was cut off go on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from ..choice import BUILTIN
from ..compare import Decoded, Encoder, RecentPicture, State
from ..compare.trial_state import TrialState
from ..errors import OutOfMemoryError, RefusedError, VaeManagerError
from ..jobs import JobContext, JobState
from ..messages import Message, msg
from ..service import Service, stamp
from .hosts.host import ComparisonRequest

if TYPE_CHECKING:
    from ..compare.comparison_store import Pixels
    from ..compare.picture_folder import Sample
    from ..compare.trial import Trial
    from ..compare.trial_records import FileMark, TrialRecord
    from .hosts.host import Host

__all__ = ["JOURNAL", "TrialRequest", "begin_trial", "changed_since"]

JOURNAL: Final = "trial-journal.jsonl"
PHASE: Final = "measuring"
RENEWED_S: Final = 3.0
"""Seconds between two rankings of a trial that runs: one takes a part of a second."""
MIN_VAES: Final = 3
"""VAEs from which the middle of their pictures can stand for the picture that no file holds."""
OUT_OF_MEMORY: Final = ("out-of-memory", "not-even-in-tiles")
"""Codes of the errors of a decode for which the memory did not suffice."""
HOPELESS: Final = 3
"""Pictures in a row whose failure ends a trial without a single result."""


@dataclass(frozen=True)
class TrialRequest:
    """A request for one trial."""

    title: Message
    vaes: Sequence[str]
    """The names of the choices."""
    pictures: Callable[[], Sequence[Sample | RecentPicture]]
    """Returns the pictures: files that are encoded, or kept latents. Raises VaeManagerError."""


def begin_trial(host: Host, service: Service, wanted: TrialRequest) -> str:
    """Queue a trial behind the comparisons; return its id. Raises RefusedError for fewer than two VAEs.

    `service.trials.now` has its state, and `service.comparing.stop(id)` cancels it.
    """
    if len(wanted.vaes) < 2:
        raise RefusedError(msg("Tick two VAEs or more: one alone has nothing to be ranked with.", code="too-few-vaes"))
    job = _Job(host, service, wanted)
    service.comparing.start(job.id, str(wanted.title), job.work, job.ended)
    return job.id


class _Job:
    """One trial, from its request to its end."""

    def __init__(self, host: Host, service: Service, wanted: TrialRequest) -> None:
        self._host, self._service, self._wanted = host, service, wanted
        self._crops: dict[str, Any] = {}
        """The worst parts so far: their distance and their crop, by VAE."""
        self._renewed = 0.0
        self._files: Mapping[str, FileMark | None] = {}
        """The files of the VAEs when the first picture began."""
        checkpoint = host.in_use().checkpoint_file
        self._now = TrialState(
            service.trials.new_id(), wanted.title, list(wanted.vaes), checkpoint, when=time.time(),
            waits_for=host.comparing.waits_for(),
        )  # fmt: skip
        service.trials.begin(self._now)

    @property
    def id(self) -> str:
        return self._now.id

    def work(self, context: JobContext) -> None:
        from ..compare.trial import SIDE, Trial
        from ..compare.trial_journal import TrialJournal

        pictures = list(self._wanted.pictures())
        are_kept = any(isinstance(picture, RecentPicture) for picture in pictures)
        vaes = self._vaes(pictures) if are_kept else list(dict.fromkeys(self._wanted.vaes))
        self._change(
            state=State.RUNNING,
            vaes=vaes,
            waits_for=self._host.comparing.waits_for(),
            checkpoint=self._host.in_use().checkpoint_file,  # another one, if it was loaded during the wait
        )
        self._files = _marks(self._host, vaes)
        journal = TrialJournal(None if are_kept else self._service.data_folder / JOURNAL)
        trial = Trial(
            _hashes(self._host, self._service, vaes),
            shown=_known_hashes(self._host, self._service, vaes),
            side=SIDE,
            precision="webui",
            journal=journal,
        )
        for number, picture in enumerate(pictures if are_kept else [None, *pictures]):
            self._report(context, number, len(pictures) + (not are_kept))
            try:
                if isinstance(picture, RecentPicture):
                    self._decode_kept(trial, picture, context.stop)
                else:
                    self._encode(trial, picture, context.stop)
            except OutOfMemoryError as error:
                trial.skip(_name_of(picture), error.message)
            self._renew(trial, at_once=False)
            self._require_hope(trial, number)
        for vae in vaes:
            trial.fail_without_scores(vae)
        self._renew(trial, at_once=True)
        self._keep_record()

    def ended(self, state: JobState, error: Message | None) -> None:
        became = {JobState.DONE: State.DONE, JobState.STOPPED: State.STOPPED}.get(state, State.FAILED)
        self._change(state=became, error=error, waits_for=None)
        # The queue keeps the job for longer: it then holds no picture
        self._wanted = replace(self._wanted, pictures=lambda: ())
        self._crops.clear()

    # -- one picture ---------------------------------------------------------------------------------------------------
    def _encode(self, trial: Trial, sample: Sample | None, stop: Event) -> None:
        """Measure one picture, the chart if it is None, with each VAE that has no score of it."""
        from ..compare.chart import NAME, chart, chart_hash

        name = sample.name if sample is not None else NAME
        try:
            picture, pixels = sample.opened(trial.side) if sample is not None else (chart_hash(), chart())
        except VaeManagerError as error:
            trial.skip(name, error.message)
            return
        if sample is not None and trial.is_again(picture, name):
            return
        left = [vae for vae in self._able(trial) if not trial.known(vae, picture, name)]
        if left:
            made = self._decoded(ComparisonRequest(Encoder(pixels, each=True), left), left, stop)
            self._score(trial, picture, name, pixels, made)
            if sample is not None:
                self._cut(trial, picture, name, pixels, made)

    def _decode_kept(self, trial: Trial, kept: RecentPicture, stop: Event) -> None:
        """Measure the pictures of one latent against the middle of all of them, value by value."""
        import numpy as np

        from ..compare.picture_folder import middle

        vaes = self._able(trial)
        made = self._decoded(ComparisonRequest(kept, vaes), vaes, stop)
        pixels = [one.pixels for one in made if one.pixels is not None]
        if len(pixels) < MIN_VAES:
            trial.skip(kept.id, msg("Fewer than three VAEs gave a picture.", code="too-few-gave-a-picture"))
            self._note_failures(trial, made, _name_of(kept))
            return
        usual = middle(np.median(np.stack(pixels), axis=0).round().astype(np.uint8), trial.side)
        cut = [replace(one, pixels=middle(one.pixels, trial.side) if one.pixels is not None else None) for one in made]
        self._score(trial, kept.id, _name_of(kept), usual, cut)
        self._cut(trial, kept.id, _name_of(kept), usual, cut)

    def _decoded(self, wanted: ComparisonRequest, vaes: Sequence[str], stop: Event) -> list[Decoded]:
        made: list[Decoded] = []
        self._change(waits_for=self._host.comparing.waits_for())

        def began() -> None:  # while nobody else loads a model
            self._require_checkpoint()
            self._change(waits_for=None)

        self._host.comparing.compare(wanted, vaes, began=began, show=made.append, report=lambda step: None, stop=stop)
        now = _marks(self._host, vaes)
        changed = [vae for vae in vaes if now[vae] != self._files[vae]]
        return [Decoded(one.vae, None, 0.0, error=_changed(one.vae)) if one.vae in changed else one for one in made]

    def _score(self, trial: Trial, picture: str, name: str, original: Pixels, made: Sequence[Decoded]) -> None:
        from ..compare.scores import score, without_picture

        self._note_failures(trial, made, name)
        for one in made:
            if one.pixels is not None:
                faces = trial.faces_of(picture, original)
                trial.add(one.vae, picture, name, score(original, one.pixels, is_nan=one.nan, faces=faces))
            elif one.nan:
                trial.add(one.vae, picture, name, without_picture(is_nan=True))

    def _note_failures(self, trial: Trial, made: Sequence[Decoded], picture: str) -> None:
        for one in made:
            if one.error is None or one.nan:
                continue
            if one.error.code in OUT_OF_MEMORY:  # a smaller picture may fit
                trial.skip(picture, one.error)
                trial.lack_memory(one.vae, one.error)
            else:
                trial.fail(one.vae, one.error)

    def _cut(self, trial: Trial, picture: str, name: str, original: Pixels, made: Sequence[Decoded]) -> None:
        """Keep the part of this picture where a VAE is farther off than on any before, by all VAEs."""
        from ..compare.trial_card import Crop
        from ..compare.worst_parts import cut

        for one in made:
            found = trial.score_of(one.vae, picture)
            if one.pixels is None or found is None or found.distance <= self._crops.get(one.vae, (0.0,))[0]:
                continue
            parts = [(other.vae, cut(other.pixels, found.box)) for other in made if other.pixels is not None]
            self._crops[one.vae] = found.distance, picture, Crop(name, [("", cut(original, found.box)), *parts])

    # -- the whole -----------------------------------------------------------------------------------------------------
    def _vaes(self, pictures: Sequence[Sample | RecentPicture]) -> Sequence[str]:
        """Return the VAEs for kept latents: the one in use is among them."""
        kept = next(picture for picture in pictures if isinstance(picture, RecentPicture))
        vaes = self._host.comparing.order(ComparisonRequest(kept, self._wanted.vaes))
        if len(vaes) < MIN_VAES:
            raise RefusedError(
                msg(
                    "Tick three VAEs or more: a generated picture has no original, so each VAE is held against the "
                    "middle of all.",
                    code="too-few-vaes",
                )
            )
        self._change(
            note=msg(
                "A generated picture has no original: each VAE was held against the middle of all of them, so the "
                "result depends on which ones took part.",
                code="no-original",
            )
        )
        return vaes

    def _able(self, trial: Trial) -> list[str]:
        failed = trial.errors
        return [vae for vae in self._now.vaes if vae not in failed]

    def _require_checkpoint(self) -> None:
        """Raise RefusedError if Built-in is by now the VAE of another checkpoint."""
        now, before = self._host.in_use().checkpoint_file, self._now.checkpoint
        if BUILTIN.word in self._now.vaes and before is not None and now != before:
            raise RefusedError(
                msg(
                    "Another checkpoint was loaded, so Built-in is another VAE now. What was measured is kept: load "
                    "{checkpoint} again and begin anew.",
                    code="other-checkpoint",
                    checkpoint=Path(before).name,
                )
            )

    def _require_hope(self, trial: Trial, number: int) -> None:
        """Raise RefusedError when no VAE is left, or nothing but failures came."""
        if not self._able(trial):
            raise RefusedError(msg("None of the VAEs could encode and decode the pictures.", code="none-could"))
        if number + 1 >= HOPELESS and not trial.has_scores:
            reason = next(iter(trial.skipped.values()), None)
            if reason is not None:
                raise RefusedError(reason)

    def _report(self, context: JobContext, number: int, total: int) -> None:
        from ..compare.trial import TrialStep

        context.report(PHASE, number, total)
        self._change(step=TrialStep(number, total, ""))

    def _renew(self, trial: Trial, *, at_once: bool) -> None:
        if not at_once and time.monotonic() - self._renewed < RENEWED_S:
            return
        finding = trial.finding()
        shown: dict[str, Any] = {}
        for row in finding.ranking.rows:
            _, picture, crop = self._crops.get(row.vae, (0.0, "", None))
            if crop is not None:
                shown.setdefault(picture, crop)
        self._change(finding=finding, crops=list(shown.values())[:HOPELESS])
        self._renewed = time.monotonic()

    def _keep_record(self) -> None:
        from ..compare.trial_records import record_of

        now = self._now
        if now.finding is None or not now.finding.ranking.rows or now.checkpoint is None:
            return
        if now.note is not None:  # the nearest to the middle of some VAEs is no advice
            return
        self._service.trial_records.put(record_of(Path(now.checkpoint).name, now.when, now.finding, self._files))

    def _change(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)
        self._service.trials.put(self._now)


def _name_of(picture: Sample | RecentPicture | None) -> str:
    if picture is None:
        return ""
    if isinstance(picture, RecentPicture):
        return time.strftime("%H:%M:%S", time.localtime(picture.when))
    return picture.name


def _files_of(host: Host, vaes: Sequence[str]) -> Mapping[str, Path | None]:
    """Return the files of choices: the checkpoint for its own VAE; None where the WebUI lists none of that name."""
    in_use, files = host.in_use(), host.files()

    def one(vae: str) -> Path | None:
        if vae == BUILTIN.word:
            return Path(in_use.checkpoint_file) if in_use.checkpoint_file is not None else None
        path = files.get(vae)
        if path is None and in_use.path is not None and Path(in_use.path).name == vae:
            path = in_use.path  # named by --vae-path, in no folder of the WebUI
        return Path(path) if path is not None else None

    return {vae: one(vae) for vae in vaes}


def _changed(vae: str) -> Message:
    from ..compare.trial_records import changed_meanwhile

    return changed_meanwhile(vae)


def _marks(host: Host, vaes: Sequence[str]) -> Mapping[str, FileMark | None]:
    from ..compare.trial_records import mark_of

    files = _files_of(host, vaes)
    return {vae: mark_of(path) if path is not None else None for vae, path in files.items()}


def changed_since(host: Host, record: TrialRecord) -> Collection[str]:
    """Return the VAEs of a record whose files are not those that were measured, or are gone."""
    now = _marks(host, [row.vae for row in record.rows])
    return {row.vae for row in record.rows if row.file is None or now[row.vae] != row.file}


def _known_hashes(host: Host, service: Service, vaes: Sequence[str]) -> Mapping[str, str]:
    """Return the SHA-256 of each VAE file as far as it is known; that of a checkpoint is not one of its VAE."""
    files = _files_of(host, [vae for vae in vaes if vae != BUILTIN.word])
    known = {vae: service.stores.hashes.known(path) for vae, path in files.items() if path is not None}
    return {vae: sha256 for vae, sha256 in known.items() if sha256 is not None}


def _hashes(host: Host, service: Service, vaes: Sequence[str]) -> Mapping[str, str]:
    """Return what the scores of each VAE are kept under: a digest of its file at this moment, and of the dtype."""
    files = _files_of(host, vaes)

    def one(vae: str) -> str:
        path = files[vae]
        bound = (service.stores.hashes.known(path) or (str(path), stamp(path))) if path is not None else time.time()
        return hashlib.blake2s(repr((vae == BUILTIN.word, bound, host.in_use().dtype)).encode()).hexdigest()

    return {vae: one(vae) for vae in vaes}
