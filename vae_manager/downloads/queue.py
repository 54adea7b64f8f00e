"""The queue of downloads: a lane whose jobs are deliveries, with what is known of each."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Source
from ..errors import RefusedError
from ..jobs import Handle, JobState, JobView, Lane, Step
from ..sentences import Sentence
from .history import Ending, History, Past, now, without_secrets
from .pending import Pending

if TYPE_CHECKING:  # the network's part waits for the first download
    from ..records import HashStore
    from ..transfer import Delivery, Network, Order, Progress

logger = logging.getLogger(__name__)

Then = Callable[["Delivery"], None]
Explain = Callable[[Path], Sentence | None]
"""Returns why a file cannot be used as it is."""


@dataclass(frozen=True)
class Wanted:
    """A file that somebody asks for."""

    order: Order
    name: str
    """How people know it: the name of a VAE, or of its file."""


@dataclass(frozen=True)
class Download:
    """A download of the queue as it stood at one moment."""

    wanted: Wanted
    job: JobView


@dataclass(frozen=True)
class LeftOver:
    """A download that was cut off, by this process or an earlier one, and can go on."""

    order: Order
    done: int
    total: int | None

    @property
    def key(self) -> str:
        return key_of(self.order)


def key_of(order: Order) -> str:
    """The same for the same bytes into the same folder, by whatever name they are asked for.

    A digest, since pages get to see it: neither the folder nor an address is in it.
    """
    what = order.sha256 or "\n".join([order.file_name, *map(str, order.sources)])
    # A folder's name need not be UTF-8.
    return hashlib.sha256(f"{what}\n{order.folder.absolute()}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Downloads:
    """One at a time, since each uses many connections by itself. All methods may be called from any thread."""

    def __init__(self, history: History, pending: Pending, hashes: Callable[[], HashStore], explain: Explain) -> None:
        self._lane = Lane("downloads")
        self._history = history
        self._pending = pending
        self._hashes = hashes
        self._explain = explain
        self._fetches: dict[str, _Fetch] = {}
        self._lock = threading.Lock()

    def get(self, wanted: Wanted, network: Callable[[], Network], then: Then | None = None) -> str:
        """Fetch in the background; returns the job's key. `then` runs in the same job once the file is there.

        The same file asked for twice is one download, and what is to follow for each of the two follows. `network` is
        asked at each try, so that a setting changed in between counts.
        """
        key = key_of(wanted.order)
        with self._lock:
            fetch = self._fetches.get(key)
            is_new = fetch is None or not self._lane.is_wanted(key)
            if fetch is None or is_new:
                fetch = self._fetches[key] = _Fetch(wanted, network, self._history, self._hashes, self._explain)
                self._pending.add(wanted.order)  # before it can end
            if then is not None:
                fetch.follow(then)
            self._lane.start(key, wanted.name, fetch.work, self._followed_by(fetch))
        return key

    def _followed_by(self, fetch: _Fetch) -> Callable[[JobState, Sentence | None], None]:
        def after(state: JobState, error: Sentence | None) -> None:
            fetch.after(state, error)
            self._pending.settle(fetch.wanted.order)

        return after

    def left_over(self, folder: Path) -> tuple[LeftOver, ...]:
        """Downloads into `folder` that this process or an earlier one did not bring to an end, and that are in no
        queue now."""
        from ..transfer import unfinished

        busy = [one.wanted.order for one in self.views() if not one.job.state.ended]
        found = [LeftOver(item.order, item.done, item.total) for item in unfinished(folder)]
        begun = [left.order for left in found]
        found += [
            LeftOver(order, 0, order.size)
            for order in self._pending.earlier()
            if order.folder == folder and not any(_same(other, order) for other in begun)
        ]
        return tuple(
            left for left in found if not any(order.folder == folder and _same(left.order, order) for order in busy)
        )

    def discard(self, left: LeftOver) -> None:
        """Throw away what was left over, unless somebody is writing it."""
        _discard(left.order)
        self._pending.settle(left.order)

    def views(self) -> tuple[Download, ...]:
        """The queue in its order, with what has lately ended."""
        with self._lock:
            views = self._lane.views()
            self._fetches = {view.key: self._fetches[view.key] for view in views if view.key in self._fetches}
            return tuple(Download(self._fetches[view.key].wanted, view) for view in views if view.key in self._fetches)

    def pause(self, key: str) -> None:
        """Stop for now: what has arrived and the place in the queue are kept, and the next one runs."""
        self._lane.pause(key)

    def resume(self, key: str) -> None:
        self._lane.resume(key)

    def cancel(self, key: str) -> None:
        """Stop for good; what has arrived is thrown away once it has really stopped."""
        self._lane.stop(key)

    def retry(self, key: str) -> None:
        with self._lock:
            fetch = self._fetches.get(key)
            if fetch is not None and self._lane.retry(key):
                self._pending.add(fetch.wanted.order)

    def move(self, key: str, step: Step) -> None:
        self._lane.move(key, step)

    def forget(self, key: str) -> None:
        self._lane.forget(key)

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        return self._lane.wait(key, timeout)


class _Fetch:
    """One download from its first try to its end: what it does, what it took, and what is written of it."""

    def __init__(
        self,
        wanted: Wanted,
        network: Callable[[], Network],
        history: History,
        hashes: Callable[[], HashStore],
        explain: Explain,
    ) -> None:
        self.wanted = wanted
        self._network = network
        self._history = history
        self._hashes = hashes
        self._explain = explain
        self._followers: list[Then] = []
        self._delivery: Delivery | None = None
        self._problem: Sentence | None = None
        self._seconds = 0.0
        self._fetched = 0

    def follow(self, then: Then) -> None:
        if then not in self._followers:
            self._followers.append(then)

    def work(self, handle: Handle) -> None:
        self._delivery = self._problem = None
        self._delivery = delivery = self._deliver(handle)
        self._hashes().remember(delivery.path, delivery.sha256)
        self._problem = self._explain(delivery.path)
        for then in self._followers:
            then(delivery)

    def _deliver(self, handle: Handle) -> Delivery:
        from ..transfer import deliver

        last: Progress | None = None

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            handle.report(progress.phase, progress.done, progress.total, progress.kept)

        began = time.monotonic()
        try:
            delivery = deliver(self.wanted.order, network=self._network(), report=report, stop=handle.stop)
        except BaseException:
            if last is not None:
                self._fetched += max(0, last.done - last.kept)
            raise
        finally:
            self._seconds += time.monotonic() - began
        self._fetched += delivery.fetched
        return delivery

    def after(self, state: JobState, error: Sentence | None) -> None:
        """The download has ended: throw away what nobody wants, and write down how it was."""
        if state is JobState.STOPPED and self._delivery is None:
            kept = _discard(self.wanted.order)
            if not kept and not self._seconds:
                return  # it had not begun, so there is nothing to tell
        self._history.add(self._past(state, error))
        self._seconds, self._fetched = 0.0, 0  # to try again is another attempt

    def _past(self, state: JobState, error: Sentence | None) -> Past:
        order, delivery = self.wanted.order, self._delivery
        if delivery is not None:  # what went wrong after it was there does not take it away
            ending = Ending.ALREADY_THERE if delivery.already_there else Ending.DELIVERED
        else:
            ending = Ending.CANCELLED if state is JobState.STOPPED else Ending.FAILED
        return Past(
            ended_at=now(),
            name=self.wanted.name,
            file_name=order.file_name,
            folder=str(order.folder),
            sources=tuple(without_secrets(str(source)) for source in _delivered_from(delivery) or order.sources),
            ending=ending,
            size=delivery.size if delivery is not None else order.size,
            sha256=delivery.sha256 if delivery is not None else order.sha256,
            proven=delivery is not None and delivery.proven,
            seconds=self._seconds,
            fetched=self._fetched,
            problem=error or self._problem,
        )


def _delivered_from(delivery: Delivery | None) -> tuple[Source, ...]:
    """Return the source that gave the bytes, of the several that a download may have been asked from."""
    return (delivery.source,) if delivery is not None and delivery.source is not None else ()


def _discard(order: Order) -> bool:
    """Throw the order's partial file away, unless somebody is writing it; False: there was none."""
    from ..transfer import discard, unfinished

    found = [item for item in unfinished(order.folder) if _same(item.order, order)]
    for item in found:
        with suppress(RefusedError):
            discard(item)
    return bool(found)


def _same(kept: Order, wanted: Order) -> bool:
    if wanted.sha256 is not None:
        return kept.sha256 == wanted.sha256.lower()
    return kept.sha256 is None and (kept.file_name, _named(kept.sources)) == (wanted.file_name, _named(wanted.sources))


def _named(sources: tuple[Source, ...]) -> list[str]:
    """Journals hold no queries that open a door, so sources are told apart without any."""
    return [without_secrets(str(source)) for source in sources]
