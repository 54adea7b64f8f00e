"""One delivery, from the first question to the final name."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..catalogue.names import safe_file_name
from ..catalogue.sources import LocalSource, Source
from ..errors import Cancelled, IntegrityError, NetworkError, NotFoundError, RefusedError, UsageError, VaeManagerError
from ..sentences import Sentence, megabytes, say
from .disk import check_room, disk_error, hash_of, make_folder
from .fetch import fetch
from .journal import Journal, nameable
from .locate import SHA256, Location, locate, shown_source
from .lock import held
from .order import Delivery, Network, Order, Phase, Progress
from .partial import Partial
from .plan import AlreadyThere, Refuse, Resume, decide
from .pump import awaited
from .retry import keep_trying
from .wire import Wire

REPORT_SECONDS = 0.1


def deliver(order: Order, *, network: Network, report: Callable[[Progress], None], stop: threading.Event) -> Delivery:
    """Bring the file of `order` to its folder, proven, or raise one of `vae_manager.errors`.

    What has arrived is kept when this fails or `stop` is set, and the next call goes on from there. A file that bears
    the name already is never changed.
    """
    order = _checked(order)
    run = _Run(order, network, stop, report)
    try:
        return run.whole()
    except Cancelled:
        raise _stopped(order, run.partial) from None
    except OSError as error:
        raise disk_error(error, order.folder) from error
    finally:
        run.wire.close()


def _checked(order: Order) -> Order:
    safe_file_name(order.file_name)
    if not order.sources:
        raise UsageError(say("No source is given for {file}.", file=order.file_name))
    if order.sha256 is None:
        return order
    sha256 = order.sha256.lower()
    if not SHA256.fullmatch(sha256):
        raise UsageError(say("“{hash}” is not a SHA-256 hash (64 hexadecimal digits).", hash=order.sha256))
    return replace(order, sha256=sha256)


def _stopped(order: Order, partial: Partial) -> Cancelled:
    journal = partial.state()
    if journal is None or not journal.done:
        return Cancelled(say("Stopped. Nothing of {file} had arrived.", file=order.file_name))
    return Cancelled(
        say(
            "Stopped. {done} of {file} are kept, and the next start goes on from there.",
            done=megabytes(journal.done),
            file=order.file_name,
        )
    )


@dataclass
class _Run:
    order: Order
    network: Network
    stop: threading.Event
    report: Callable[[Progress], None]
    partial: Partial = field(init=False)
    wire: Wire = field(init=False)
    target: Path = field(init=False)
    fetched: int = 0
    kept: int = 0
    total: int | None = None
    locked: bool = False
    _told_at: float = 0.0

    def __post_init__(self) -> None:
        self.partial = Partial.of(self.order)
        self.wire = Wire(self.network)
        self.target = self.order.folder / self.order.file_name
        self.total = self.order.size

    # -- the way ---------------------------------------------------------------------------------------------------
    def whole(self) -> Delivery:
        if self.order.sha256 is not None and (there := self.already(self.order.sha256)):
            return there
        make_folder(self.order.folder)
        with held(self.partial, self.wait_for_the_other, self.stop) as self.locked:
            journal = self.partial.state()
            self.kept = journal.done if journal else 0
            return self.from_any_source()

    def from_any_source(self) -> Delivery:
        failures: list[VaeManagerError] = []
        for source in self.order.sources:
            try:
                once = functools.partial(self.once, source)
                return keep_trying(once, lambda: self.fetched, self.network.patience, self.stop)
            except (NetworkError, NotFoundError, IntegrityError) as error:
                failures.append(error)
        raise _all_failed(self.order, failures)

    def once(self, source: Source) -> Delivery:
        """Try one source once."""
        self.tell("resolving", self.partial.done or self.kept)
        if self.order.sha256 is not None and (there := self.already(self.order.sha256)):
            return there  # another process has brought it meanwhile
        location = awaited(lambda: locate(source, self.wire, hash_decides=self.order.sha256 is not None), self.stop)
        expected = _agreed_hash(self.order, location)
        if there := self.already(expected):
            return there
        self.bring(location, expected)
        self.prove(location.source, expected)
        if there := self.already(expected):
            self.partial.throw_away()
            return there
        self.tell("publishing", self.partial.done)
        sha256, size = self.partial.sha256(), self.partial.done
        self.partial.publish(self.target)
        return Delivery(self.target, sha256, size, expected is not None, self.fetched, already_there=False)

    def bring(self, location: Location, expected: str | None) -> None:
        """Have all bytes in the partial file."""
        size = self.order.size if self.order.size is not None else location.size
        kept, source = self.partial.state(), nameable(location.source)
        plan = decide(target=None, expected=expected, journal=kept, source=source, size=size)
        journal = Journal(self.order, expected, size, source)
        start = 0
        if isinstance(plan, Resume) and kept is not None:
            journal = replace(journal, etag=plan.etag, segments=kept.segments)
            self.tell("resuming", plan.start)
            self.partial.resume(journal, self.stop, locked=self.locked)
            start = self.partial.done
        self.kept = min(self.kept, start)
        self.total = size
        if size is not None:
            if start == size:
                return
            check_room(self.order.folder, size - start)
        fetch(self.wire, location, journal, self.partial, start=start, tick=self.tick(location), stop=self.stop)

    def prove(self, source: Source, expected: str | None) -> None:
        """Compare the hash; wrong bytes are thrown away."""
        found = self.partial.sha256()
        if expected in (None, found):
            return
        self.partial.throw_away()
        raise IntegrityError(
            say(
                "{file} from {source} is not the published file and was thrown away. Expected SHA-256: {expected}. "
                "Received: {found}. Files that were there before are unharmed.",
                file=self.order.file_name,
                source=shown_source(source),
                expected=expected,
                found=found,
            )
        )

    def already(self, expected: str | None) -> Delivery | None:
        """Look at what bears the final name; None: nothing does."""
        found = self.hash_of_target()
        plan = decide(target=found, expected=expected)
        if isinstance(plan, Refuse):
            raise RefusedError(
                say(
                    "{folder} has another file named {file}. It is left as it is: rename or remove it, then try again.",
                    folder=self.order.folder,
                    file=self.order.file_name,
                )
            )
        if isinstance(plan, AlreadyThere) and found is not None:
            size = self.target.stat().st_size
            return Delivery(self.target, found, size, proven=True, fetched=self.fetched, already_there=True)
        return None

    def hash_of_target(self) -> str | None:
        if not self.target.is_symlink() and not self.target.exists():
            return None
        if not self.target.is_file():
            return ""  # a folder, or a link that leads nowhere: no file has this hash
        size = self.target.stat().st_size
        self.tell("proving", size)
        return hash_of(self.target, self.stop)

    # -- what is told ----------------------------------------------------------------------------------------------
    def tell(self, phase: Phase, done: int) -> None:
        self._told_at = time.monotonic()
        self.report(Progress(phase, done, self.total, self.kept))

    def tick(self, location: Location) -> Callable[[int, int | None], None]:
        is_network = not isinstance(location.source, LocalSource)

        def arrived(count: int, total: int | None) -> None:
            self.fetched += count if is_network else 0
            self.total = total
            self.kept = min(self.kept, self.partial.done - count)
            if time.monotonic() - self._told_at >= REPORT_SECONDS:
                self.tell("fetching", self.partial.done)

        return arrived

    def wait_for_the_other(self) -> None:
        done = 0
        with suppress(OSError):
            done = self.partial.path.stat().st_size
        self.tell("resolving", done)


def _agreed_hash(order: Order, location: Location) -> str | None:
    """Return the hash to prove; whoever publishes one must publish the same."""
    if None not in (order.sha256, location.sha256) and order.sha256 != location.sha256:
        raise IntegrityError(
            say(
                "{source} now holds another file than the known {file}, so nothing was fetched. "
                "Known SHA-256: {expected}. The hub's: {found}.",
                source=shown_source(location.source),
                file=order.file_name,
                expected=order.sha256,
                found=location.sha256,
            )
        )
    return order.sha256 or location.sha256


def _all_failed(order: Order, failures: list[VaeManagerError]) -> VaeManagerError:
    """Return one error that tells about each source."""
    if len(failures) == 1:
        return failures[0]
    told: Sentence = failures[-1].sentence
    for error in reversed(failures[:-1]):
        told = say("{first} {rest}", first=error.sentence, rest=told)
    sentence = say(
        "{file} could not be fetched from any of its sources. {failures}", file=order.file_name, failures=told
    )
    if any(isinstance(error, IntegrityError) for error in failures):
        return IntegrityError(sentence)
    if all(isinstance(error, NotFoundError) for error in failures):
        return NotFoundError(sentence)
    return NetworkError(sentence)
