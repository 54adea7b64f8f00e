"""A comparison as a job: one at a time, with pictures shown in turn and metrics computed in a second thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..choice import BUILTIN
from ..compare import Comparison, ComparisonStep, Decoded, Encoder, FirstLook, Result, State
from ..jobs import JobContext, JobState
from ..messages import Message, msg
from ..service import Service

if TYPE_CHECKING:
    from ..compare.metrics import Statistics, Wrong
    from .hosts.host import Comparing, ComparisonRequest

    Then = Callable[[Comparison], None]

__all__ = ["begin"]

PHASE = "comparing"


def begin(
    comparing: Comparing,
    service: Service,
    wanted: ComparisonRequest,
    title: str | Message,
    then: Then | None = None,
    *,
    looks: bool = True,
) -> str:
    """Queue a comparison; return its id. Raises RefusedError if the picture cannot be compared.

    Its pictures are in `service.comparisons`, and `service.comparing.stop(id)` cancels it. `then` receives it after its
    end. With `looks`, a part of the picture is decoded by all first, for a person who waits.
    """
    job = _Job(comparing, service, wanted, title, then, looks=looks)
    service.comparing.start(job.id, str(title), job.work, job.ended)
    return job.id


class _Job:
    """One comparison, from its request to its end. The queue keeps the job for longer, so it then holds no picture."""

    def __init__(
        self,
        comparing: Comparing,
        service: Service,
        wanted: ComparisonRequest,
        title: str | Message,
        then: Then | None,
        *,
        looks: bool,
    ) -> None:
        self._looks = looks
        self._comparing, self._service, self._then = comparing, service, then
        self._wanted: ComparisonRequest | None = wanted
        self._lock = threading.Lock()
        self._reference: Statistics | None = None
        source, id, vaes = wanted.source, service.comparisons.new_id(), comparing.order(wanted)
        if isinstance(source, Encoder):
            self._now = Comparison(id, title, vaes, original=source.picture, when=time.time())
        else:
            self._now = Comparison(id, title, vaes, infotext=source.infotext, note=source.note, when=time.time())
        ahead = any(job.state in (JobState.WAITING, JobState.RUNNING) for job in service.comparing.views())
        waits_for = (
            msg("Another comparison is under way. This one begins after it.", code="comparison-before")
            if ahead
            else None
        )
        self._change(waits_for=waits_for or comparing.waits_for())

    @property
    def id(self) -> str:
        return self._now.id

    def work(self, context: JobContext) -> None:
        """Run the job. Metrics are computed on a thread of their own, while the next VAE decodes."""
        wanted = self._wanted
        assert wanted is not None  # the request is removed only after the work
        self._change(waits_for=self._comparing.waits_for())
        with ThreadPoolExecutor(1, "vae-manager figures") as figures:
            if self._now.original is not None:
                figures.submit(self._look, self._now.original)
            started = time.perf_counter()

            def began() -> None:
                nonlocal started
                started = time.perf_counter()
                self._change(state=State.RUNNING, waits_for=None)

            def show(decoded: Decoded) -> None:
                self._show(Result(decoded, infotext=self._infotext(decoded)))
                figures.submit(self._measure, decoded)

            def report(step: ComparisonStep) -> None:
                context.report(PHASE, step.done, step.total)
                self._change(step=step)

            self._comparing.compare(
                wanted,
                self._now.vaes,
                began=began,
                show=show,
                report=report,
                look=self._look_first if self._looks else None,
                stop=context.stop,
            )
            if wanted.is_rescue:  # the others were not needed
                self._change(vaes=[result.decoded.vae for result in self._now.results])
            self._change(state=State.MEASURING, seconds=time.perf_counter() - started)

    def ended(self, state: JobState, error: Message | None) -> None:
        became = {JobState.DONE: State.DONE, JobState.STOPPED: State.STOPPED}.get(state, State.FAILED)
        self._change(state=became, error=error, waits_for=None)
        if self._then is not None:
            self._then(self._now)
        self._then = self._wanted = self._reference = None
        self._now = replace(self._now, original=None, results=(), looks=())

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._now = replace(self._now, **changes)
            self._service.comparisons.put(self._now)

    def _look_first(self, look: FirstLook) -> None:
        with self._lock:
            self._now = self._now.with_look(look)
            self._service.comparisons.put(self._now)

    def _show(self, result: Result) -> None:
        with self._lock:
            self._now = self._now.with_result(result)
            look, pixels = self._now.look_of(result.decoded.vae), result.decoded.pixels
            if look is not None and look.error is None and pixels is not None:
                from ..compare.first_look import error_of

                self._now = self._now.with_look(replace(look, error=error_of(look, pixels)))
            self._service.comparisons.put(self._now)

    def _infotext(self, decoded: Decoded) -> str | None:
        if self._now.infotext is None or decoded.foreign is not None:
            return None
        return self._comparing.infotext(self._now.infotext, decoded.vae)

    # -- metrics -------------------------------------------------------------------------------------------------------
    def _look(self, pixels: Any) -> None:
        from ..compare.metrics import measure

        self._reference = measure(pixels)

    def _measure(self, decoded: Decoded) -> None:
        """Measure against the original, else against the one in use; not at all if that gave no picture."""
        from ..compare.metrics import compare, in_words, measure

        if decoded.pixels is None:
            return
        looks = measure(decoded.pixels)
        if decoded.vae == self._now.reference:
            self._reference = looks
            return
        if self._reference is None:
            return
        figures = compare(self._reference, looks)
        before = self._now.of(decoded.vae)
        if before is not None:
            self._show(replace(before, figures=figures, findings=in_words(figures)))
        self._say_which_is_wrong()

    def _say_which_is_wrong(self) -> None:
        """Set the finding for the VAE that does not fit.

        Two different pictures do not show which of their VAEs that is. The checkpoint's own one fits.
        """
        from ..compare.metrics import Wrong, in_words, is_other, of_reference

        now = self._now
        if now.reference is None or now.reference == BUILTIN.word:
            return
        for result in now.results:
            if result.figures is not None and is_other(result.figures):
                self._show(replace(result, findings=in_words(result.figures, self._wrong(result))))
        reference = now.of(now.reference)
        if reference is not None:
            fits = self._fits(reference)
            self._show(replace(reference, findings=of_reference(Wrong.REFERENCE if fits is False else Wrong.UNKNOWN)))

    def _wrong(self, result: Result) -> Wrong:
        """Return the VAE that does not fit, for a result whose picture differs from that of the reference."""
        from ..compare.metrics import Wrong

        fits = self._fits(result)
        if fits is None:
            return Wrong.UNKNOWN
        return Wrong.REFERENCE if fits else Wrong.OTHER

    def _fits(self, result: Result) -> bool | None:
        """Return True if its picture is that of the checkpoint's own VAE; None if that has no picture."""
        from ..compare.metrics import OTHER, psnr

        own = self._now.of(BUILTIN.word)
        if own is None or own.decoded.foreign is not None or own.decoded.pixels is None:
            return None
        return result.decoded.pixels is not None and psnr(own.decoded.pixels, result.decoded.pixels) >= OTHER
