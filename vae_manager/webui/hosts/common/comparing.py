"""Comparisons inside a WebUI of A1111's family: the last latents, decoded by other VAEs in the loaded model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from modules import call_queue

from ....choice import BUILTIN, Choice
from ....compare import Candidate, ComparisonStep, Decoded, Encoder, FirstLook, Model, RecentLatents, RecentPicture
from ....compare.comparison import decode_all
from ....errors import Cancelled, RefusedError
from ....files import FileRecord
from ....messages import Message, msg
from ....records.verdict import Refused, UsableAfter, verdict
from ....service import the_service
from ..host import ComparisonRequest, Offer
from . import checkpoint_metadata, options
from . import patches as texts
from .rescuing import check_latent

if TYPE_CHECKING:
    from .adapter import FamilyWebUI


class FamilyComparing:
    """The `Comparing` of a WebUI of the family."""

    def __init__(self, host: FamilyWebUI) -> None:
        self._host = host

    def _in_use(self) -> str | None:
        model = self._host.model()
        return self._host.vae.path(model) if model is not None else None

    @property
    def kept(self) -> RecentLatents:
        """The latents that the host captures; its options bound them."""
        return self._host.latents.kept

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Implement `Comparing.offers` by the WebUI's own list, sorted by names regardless of case."""
        in_use = self._in_use()
        own = Offer(BUILTIN.word, None, in_use is None, None)
        files = sorted(self._host.files().items(), key=lambda file: file[0].lower())
        offers = (Offer(name, path, path == in_use, self._refused(records.get(Path(path)))) for name, path in files)
        return [own, *offers]

    def _refused(self, record: FileRecord | None) -> Message | None:
        if self._host.model() is None:
            return msg("No checkpoint is loaded.")
        if record is None:
            return None
        answer = verdict(record, self._host.capability, self._host.signature())
        return answer.reason.message if isinstance(answer, Refused | UsableAfter) else None

    def order(self, request: ComparisonRequest) -> Sequence[str]:
        """Implement `Comparing.order`: the VAE in use first, and each name once."""
        if isinstance(request.source, RecentPicture):
            refusal = self._refusal(request.source)
            if refusal is not None:
                raise RefusedError(refusal)
        in_use = _word(self._in_use())
        if request.is_rescue:
            model = self._host.model()
            others = self._host.rescuing.others(model) if model is not None else []
            return [in_use, *map(_word, others)]
        first = [in_use] if isinstance(request.source, RecentPicture) or in_use in request.vaes else []
        return list(dict.fromkeys([*first, *request.vaes]))

    def _refusal(self, kept: RecentPicture) -> Message | None:
        if kept.why_not is not None or kept.latent is None:
            return kept.why_not
        model = self._host.model()
        if model is None:
            return msg("No checkpoint is loaded, so nothing can be decoded.")
        ours, theirs = checkpoint_metadata.family(model), kept.checkpoint.family
        if ours != theirs and ours is not None and theirs is not None:
            return msg(
                "This picture was made by {checkpoint}, a checkpoint of another family than the loaded one. Load that "
                "one to compare it.",
                checkpoint=Path(kept.checkpoint.file).name,
            )
        return None

    def waits_for(self) -> Message | None:
        """Implement `Comparing.waits_for` by the count of jobs and the queue lock, which it takes for a moment."""
        if self._host.generating() or _is_held(call_queue.queue_lock):
            return msg("A picture is being made. The comparison begins after it.")
        return None

    def compare(
        self,
        request: ComparisonRequest,
        vaes: Sequence[str],
        *,
        began: Callable[[], None],
        show: Callable[[Decoded], None],
        report: Callable[[ComparisonStep], None],
        look: Callable[[FirstLook], None] | None = None,
        stop: Event,
    ) -> None:
        """Implement `Comparing.compare` under the queue lock, with weights that are put into the model for a decode.

        The picture is checked again after the wait, since another checkpoint may have been loaded.
        """

        def work() -> None:
            if stop.is_set():
                raise Cancelled(
                    msg("The comparison was stopped. The VAE in use is unchanged.", code="comparison-stopped")
                )
            began()
            self._host.decoding.repair()
            model, kept = self._host.model(), request.source if isinstance(request.source, RecentPicture) else None
            refusal = self._refusal(kept) if kept is not None else None
            if model is None or refusal is not None:
                raise RefusedError(refusal or msg("No checkpoint is loaded, so nothing can be decoded."))
            tiling = kept is not None and kept.tiling
            with self._host.decoding.ready(model, tiling) as ready:
                if request.is_rescue:
                    self._rescue(model, ready, _source(request), show=show, report=report, stop=stop)
                    return
                candidates = [self._candidate(model, vae) for vae in vaes]
                made = decode_all(ready, _source(request), candidates, report=report, look=look, stop=stop)
                with closing(made):
                    for decoded in made:
                        show(replace(decoded, foreign=_foreign(decoded, kept, model)))

        self._host.run_exclusive(work)

    def _rescue(
        self,
        model: Any,
        ready: Model,
        latent: torch.Tensor | Encoder,
        *,
        show: Callable[[Decoded], None],
        report: Callable[[ComparisonStep], None],
        stop: Event,
    ) -> None:
        if isinstance(latent, torch.Tensor):
            check_latent(latent)
        candidates = self._host.rescuing.candidates(model, ready)
        only = [candidate for candidate, _ in candidates]
        made = decode_all(ready, latent, only, report=report, until_good=True, stop=stop)
        with closing(made):
            for (_, dtype), decoded in zip(candidates, made, strict=False):
                note = decoded.note or msg("Decoded again, in {dtype}.", code="decoded-again", dtype=dtype)
                show(replace(decoded, note=note if decoded.pixels is not None else None))

    def _candidate(self, model: Any, vae: str) -> Candidate:
        return Candidate(
            vae, lambda: self._host.vae.borrow(model, self._file_of(vae) or self._host.path_of(Choice(vae)))
        )

    def _file_of(self, vae: str) -> str | None:
        """Return the path; None: the checkpoint's own, or a missing one.

        The one in use need not be in the WebUI's list: --vae-path may name a file of another folder.
        """
        in_use = self._in_use()
        return in_use if vae == _word(in_use) else self._host.files().get(vae)

    def save_folder(self) -> Path:
        """Implement `Comparing.save_folder` by the WebUI's option for its *Save* button; it need not exist."""
        return Path(str(options.read("outdir_save", "log/images")))

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        """Implement `Comparing.infotext`: no hash with `--no-hashing`, and a deleted file keeps its name."""
        path, short_hash = self._file_of(vae), None
        if path is not None and self._host.may_hash():
            hashes = the_service(self._host.data_folder).stores.hashes
            sha256 = hashes.compute(Path(path)) if hashed else hashes.known(Path(path))
            short_hash = sha256[: texts.SHORT_HASH] if sha256 is not None else None
        gone = vae if vae != BUILTIN.word else None
        return self._host.infotext_of(infotext, path or gone, short_hash)


def _source(request: ComparisonRequest) -> torch.Tensor | Encoder:
    if isinstance(request.source, Encoder):
        return request.source
    assert request.source.latent is not None  # else there is a refusal
    return request.source.latent


def _foreign(decoded: Decoded, kept: RecentPicture | None, model: Any) -> Message | None:
    loaded = model.sd_checkpoint_info.filename
    if decoded.vae != BUILTIN.word or kept is None or kept.checkpoint.file == loaded:
        return None
    return msg(
        "This is the VAE of {loaded}, the checkpoint that is loaded now. {maker} made the picture.",
        code="other-builtin",
        loaded=Path(loaded).name,
        maker=Path(kept.checkpoint.file).name,
    )


def _word(path: str | None) -> str:
    return Path(path).name if path is not None else BUILTIN.word


def _is_held(lock: Any) -> bool:
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True
