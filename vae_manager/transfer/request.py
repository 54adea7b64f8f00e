"""Download requests, the network's settings, and the retry policy."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from .. import __version__
from ..catalogue.entry import Source
from ..errors import Cancelled, NetworkError, TransientNetworkError
from ..messages import Message, msg

if TYPE_CHECKING:
    from ..library.moving import Memory
    from ..records import HashStore

Result = TypeVar("Result")

NETWORK_THREAD = "vae-manager network"
"""The name of every thread that sends requests."""
POLL_SECONDS = 0.1
"""Seconds between two checks of a waiting thread."""

PROGRESS_BYTES = 1_000_000
"""Bytes between two failures after which the second counts as the first: a line that drops often still finishes."""

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_RATE_LIMIT: Final = re.compile(r";\s*r=0\s*;\s*t=([0-9]+)")
_COMMA: Final = re.compile(r",(?!\s*[0-9]{1,2}[ -][A-Za-z]{3})")
"""A comma between two values; the one inside a date precedes its day of the month."""

NO_ANSWER: Final = frozenset({"no-answer", "answer-too-slow"})
"""Codes of the errors of a server that has taken a request and does not answer it in time."""

Phase = Literal["waiting", "resolving", "retrying", "resuming", "fetching", "proving", "publishing"]


@dataclass(frozen=True)
class RetryPolicy:
    """The number of attempts at one source, and the waits between them."""

    max_attempts: int = 5
    max_silent_seconds: float = 60.0
    """Seconds of attempts in a row that a server took and did not answer in time."""
    first_delay: float = 1.0
    """Seconds; doubled after each further failure."""
    max_delay: float = 30.0
    max_retry_after: float = 120.0
    """Seconds; a server that asks for a longer wait is given up at once."""

    def delay_after(self, failures: int, retry_after: float | None) -> float:
        """Return the seconds to wait after so many failures in a row, never less than the server's own wish.

        Up to half of the wait is random, so that many machines which failed together do not retry together.
        """
        wait = min(self.first_delay * 2.0 ** (failures - 1), self.max_delay)
        return max(wait * (1 - random.random() / 2), (retry_after or 0.0) * (1 + random.random() / 10))


def retry(
    attempt: Callable[[], Result],
    received: Callable[[], int],
    retry_policy: RetryPolicy,
    stop: threading.Event,
    on_failure: Callable[[Message], None] = lambda problem: None,
) -> Result:
    """Call `attempt` until it succeeds, repeating it only after a `TransientNetworkError`.

    `received` returns the number of bytes so far. `on_failure` is told why an attempt has failed, before the wait for
    the next one, which ends at once when `stop` is set.
    """
    failures, silent = 0, 0.0
    while True:
        began = time.monotonic()
        before = received()
        try:
            return attempt()
        except TransientNetworkError as error:
            failures = 1 if received() - before >= PROGRESS_BYTES else failures + 1
            silent = silent + time.monotonic() - began if error.code in NO_ANSWER else 0.0
            retry_after = error.retry_after
            is_over = failures >= retry_policy.max_attempts or silent >= retry_policy.max_silent_seconds
            if is_over or (retry_after or 0.0) > retry_policy.max_retry_after:
                raise NetworkError(error.message) from None
            on_failure(error.message)
            if stop.wait(retry_policy.delay_after(failures, retry_after)):
                raise Cancelled(msg("Stopped.")) from None


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Read the seconds that a server wants its client to wait.

    A date counts from the server's own clock, which its `Date` shows: two clocks seldom agree, and one that is an hour
    off would make a wait of seconds look like one of an hour. Of several values the longest counts.

    The hub sends `RateLimit: "resolvers";r=0;t=42` (draft-ietf-httpapi-ratelimit-headers): no request for 42 seconds.

    Returns:
        Seconds; 0 for a past date, infinity if the number is too large; None without a readable value.
    """
    clock = _timestamp(_COMMA.split(headers.get("Date", ""))[0])
    now = time.time() if clock is None else clock
    waits = [_seconds_of(value.strip(), now) for value in _COMMA.split(headers.get("Retry-After", ""))]
    known = [wait for wait in waits if wait is not None]
    if known:
        return max(known)
    limited = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    return float(limited[1]) if limited is not None else None


def _seconds_of(value: str, now: float) -> float | None:
    if _NUMBER.fullmatch(value):
        return float(value)
    then = _timestamp(value)
    return None if then is None else max(0.0, then - now)


def _timestamp(date: str) -> float | None:
    """Return seconds since 1970; None if `date` is not a date."""
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):  # IndexError: the parser of old Pythons at odd texts
        return None


@dataclass(frozen=True)
class DownloadRequest:
    """A request for one file: its sources, its target and its hash."""

    sources: tuple[Source, ...]
    """Tried in turn; all are expected to have the same bytes."""
    folder: Path
    file_name: str
    sha256: str | None
    """None: not known to the caller. The hub's own is used if there is one, else the file is published unverified."""
    size: int | None = None


def _ignore(_: Message) -> None:
    return None


@dataclass(frozen=True)
class LocalPlaces:
    """Places of this machine that may have a wanted file already; by default none."""

    library: Sequence[Path] = ()
    """VAE folders of the WebUI, whose files no program writes to."""
    hub_cache: Path | None = None
    others: Sequence[Path] = ()
    """Folders of other programs, which the owner has named."""
    hashes: HashStore | None = None
    """Stored hashes: a file that is known to have other bytes is not read again."""
    memories: Sequence[Memory] = ()
    """Stores that follow a file of the library when a second name changes its identity."""
    notice: Callable[[Message], None] = _ignore
    """Receives the reason why a file was passed over."""


@dataclass(frozen=True)
class Network:
    """The settings of the network."""

    endpoint: str | None = None
    """The hub or a mirror of it; None: huggingface_hub's own (HF_ENDPOINT)."""
    token_hosts: frozenset[str] = frozenset()
    """Hosts of hubs that get the token saved for huggingface.co; with the port, unless it is the usual one."""
    http_hosts: frozenset[str] = frozenset()
    """Hosts that may be asked over plain http, written in the same way: those of the person's own network."""
    civitai: str | None = None
    """A site with Civitai's API; None: https://civitai.com."""
    connect_timeout: float = 10
    read_timeout: float = 30
    answer_timeout: float = 60
    """Seconds for an answer that resolves an address or lists files: from the first request, over all redirects, to the
    last byte, however steadily a server sends."""
    min_speed: float = 1000
    """Bytes per second, over `read_timeout`: a slower connection is closed and retried."""
    connections: int = 32
    """The most connections for one file; fewer are used if more do not increase the speed. A line that limits each
    connection to 20 MB/s gives 640 MB/s with 32."""
    bandwidth: float | None = None
    """Bytes per second, over all connections; None: unlimited."""
    public_only: bool = False
    """Refuse addresses of private networks and of this machine, for URLs typed into a page that others can open."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API keys by the exact host that each was saved for; sent to no other."""
    user_agent: str = f"vae-manager/{__version__}"
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    places: LocalPlaces = field(default_factory=LocalPlaces)
    """What is asked before the network."""

    @property
    def named_endpoint(self) -> str:
        """The hub that a person has named here or in HF_ENDPOINT; empty without one. Unchecked."""
        return (self.endpoint or os.environ.get("HF_ENDPOINT", "")).strip()


@dataclass(frozen=True)
class Progress:
    """The state of a transfer."""

    phase: Phase
    done: int
    """Bytes on disk, kept ones included."""
    total: int | None
    kept: int = 0
    """Bytes of `done` that were there before this run."""
    problem: Message | None = None
    """Why the last attempt has failed, while the next one is waited for."""


Way = Literal["linked", "cloned", "copied"]
"""`linked`: a hard link. `cloned`: blocks of the disk are shared until one of the two files is written to."""


@dataclass(frozen=True)
class Taken:
    """A file of this machine whose bytes were taken instead of a download."""

    path: Path
    way: Way
    sha256: str


@dataclass(frozen=True)
class DownloadResult:
    """A file under its final name."""

    path: Path
    sha256: str
    size: int
    proven: bool
    """False: no source publishes a hash for it."""
    fetched: int
    """Bytes from the network in this run; bytes fetched twice count twice."""
    already_there: bool
    source: Source | None = None
    """The source of this run; None: the file was there already, or another file of this machine had the bytes."""
    taken: Taken | None = None
    """The file of this machine that had the bytes."""


@dataclass(frozen=True)
class Unfinished:
    """A partial file that can be resumed with `download_file(unfinished.request, …)`."""

    request: DownloadRequest
    done: int
    total: int | None
    path: Path
    """The partial file."""
