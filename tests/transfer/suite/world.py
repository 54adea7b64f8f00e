"""What a case happens in: a hub, a mirror, a folder, and eyes on all of them."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.hub import Hub, Link
from tests.transfer.ordering import COMMIT, MB, NAME, QUICK, REPO, Desk, hosts_of, sha256, some_bytes
from vae_manager.errors import Cancelled, VaeManagerError
from vae_manager.transfer import (
    DownloadRequest,
    DownloadResult,
    Network,
    Progress,
    Unfinished,
    download_file,
    range_requests,
    unfinished,
)

TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"
SECRETS = (TOKEN, "geheim", "Signature", "Key-Pair-Id")
CONNECTIONS = 8
PATIENT = 15.0
"""Seconds that a case may take at most."""
THREADS = 6.0
"""Seconds after which no thread of a transfer is left: the read time-out, and some."""
SMALL_SHARES = {"MIN_SEGMENT_BYTES": 300_000, "MAX_SEGMENT_BYTES": 2 * MB, "FIRST_SEGMENT_BYTES": 500_000}
"""So that a file of some MB has work for all connections."""
OURS = re.compile(r"\.[0-9a-f]{16}\.vae-manager\.(part|journal|recent|lock)(\.new)?")

some_data = cache(some_bytes)


@dataclass
class World:
    """A hub with one file, of which the token is known, and a folder that it goes to."""

    hub: Hub
    mirror: Hub
    desk: Desk
    patch: pytest.MonkeyPatch
    tmp_path: Path
    data: bytes
    link: Link
    network: dict[str, object] = field(default_factory=dict)
    order: DownloadRequest = field(init=False)
    seen_wrong: list[str] = field(default_factory=list)
    """What was in the folder at some time and must never be there."""
    allowed: list[bytes] = field(default_factory=list)
    """Contents that may bear the final name."""
    delivery: DownloadResult | None = None
    error: VaeManagerError | None = None
    seconds: float = 0.0
    others: list[Callable[[], object]] = field(default_factory=list)
    """What to wait for at the end: other processes, mounts."""
    _wishes: list[tuple[int, Callable[[], object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hub.add(REPO, NAME, self.data, revision=COMMIT)
        self.hub.gate(REPO, TOKEN)
        self.hub.cdn.link = self.mirror.cdn.link = self.link
        self.order = self.desk.order(self.data)
        self.allowed = [self.data]
        self.desk.on_progress = self._look

    # -- ordering ------------------------------------------------------------------------------------------------
    @property
    def folder(self) -> Path:
        return self.desk.folder

    @property
    def target(self) -> Path:
        return self.folder / self.order.file_name

    def settings(self, **changes: object) -> Network:
        usual = {"connections": CONNECTIONS, "connect_timeout": 1, "read_timeout": 1, "retry_policy": QUICK}
        return self.desk.network(**{**usual, "token_hosts": hosts_of(self.hub, self.mirror), **self.network, **changes})

    def get(self) -> DownloadResult:
        return self.desk.get(self.order, self.settings())

    def attempt(self, get: Callable[[World], object] | None = None) -> None:
        """Order once; what comes of it is kept in `delivery` and `error`."""
        self.delivery = self.error = None
        too_late = threading.Timer(PATIENT, self.desk.stop.set)
        too_late.daemon = True
        too_late.start()
        began = time.monotonic()
        try:
            result = get(self) if get else self.get()
            self.delivery = result if isinstance(result, DownloadResult) else None
        except VaeManagerError as error:
            self.error = error
        finally:
            too_late.cancel()
            self.seconds = time.monotonic() - began
        assert self.seconds < PATIENT, f"it takes more than {PATIENT} s"

    def repair(self) -> None:
        """Nothing goes wrong any more."""
        for server in (self.hub.api, self.hub.cdn, self.mirror.api, self.mirror.cdn):
            server.repair()
        self.hub.limit_addresses(3600)
        self._wishes.clear()
        self.desk.stop.clear()

    def keep(self, count: int = 3 * MB) -> Unfinished:
        """Leave a partial file of about `count` bytes behind, as a stop in the middle does."""
        self.hub.cdn.link = Link(rate_total=25 * MB)
        self._wishes.append((count, self.desk.stop.set))
        with suppress(Cancelled):
            self.get()
        self.desk.stop.clear()
        self.hub.settle()
        self.hub.cdn.link = self.link
        assert not self.target.exists(), "it is not to be stopped so early"
        return self.left

    @property
    def left(self) -> Unfinished:
        [left] = unfinished(self.folder)
        return left

    @property
    def journal(self) -> Path:
        return self.left.path.with_suffix(".journal")

    def when(self, share: float, action: Callable[[], object]) -> None:
        """Do something once, as soon as this share of the file has arrived."""
        self._wishes.append((int(share * len(self.data)), action))

    # -- looking -------------------------------------------------------------------------------------------------
    def sent(self) -> int:
        """Bytes of files that all servers have sent; small files come from the hub's own."""
        total = 0
        for hub in (self.hub, self.mirror):
            hub.settle(PATIENT)
            files = [seen for seen in hub.requests if seen.status in (200, 206) and seen.method == "GET"]
            total += sum(seen.sent for seen in files)
        return total

    def _look(self, told: Progress) -> None:
        self.look()
        for wish in [wish for wish in self._wishes if told.phase == "fetching" and told.done >= wish[0]]:
            self._wishes.remove(wish)
            wish[1]()

    def look(self) -> None:
        """Note what may not be in the folder."""
        with suppress(OSError):  # it may just go away
            if self.target.is_file() and not self.target.is_symlink():
                found = self.target.read_bytes()
                if found not in self.allowed:
                    self.seen_wrong.append(f"{len(found)} bytes {sha256(found)} under the final name")
        with suppress(OSError):
            for path in self.folder.iterdir():
                if not path.name.startswith(".") and path.name != self.order.file_name:
                    self.seen_wrong.append(f"a file that hosts list: {path.name}")
                if path.name.startswith(".") and not path.name.endswith(".part"):
                    self._read(path)

    def _read(self, path: Path) -> None:
        with suppress(OSError):
            text = path.read_bytes().decode("latin-1")
            self.seen_wrong += [f"{secret} in {path.name}" for secret in SECRETS if secret in text]

    def hidden(self) -> list[str]:
        """The hidden files, by their last names; whatever should not be there with its whole name."""
        names = [path.name for path in self.folder.iterdir() if path.name != self.order.file_name]
        matches = [(name, OURS.fullmatch(name)) for name in names]
        return sorted(name.rpartition("vae-manager.")[2] if match else name for name, match in matches)


def threads_left(before: set[threading.Thread]) -> list[str]:
    """The threads of transfers that are still there after a while, without those that were there `before`."""
    until = time.monotonic() + THREADS
    while True:
        new = set(threading.enumerate()) - before
        found = [thread.name for thread in new if thread.name.startswith("vae-manager")]
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.02)


@contextmanager
def a_world(tmp_path: Path, size: int, link: Link, network: dict[str, object]) -> Iterator[World]:
    folder = tmp_path / "models" / "VAE"
    folder.mkdir(parents=True)
    signed_in, patch = pytest.MonkeyPatch.context(), pytest.MonkeyPatch.context()
    with signed_in as environment, patch as case, Hub() as hub, Hub() as mirror:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            environment.setenv(name, TOKEN)
        for name, value in SMALL_SHARES.items():
            environment.setattr(range_requests, name, value)
        environment.setattr(sys.modules[download_file.__module__], "REPORT_INTERVAL_S", 0.02)
        world = World(hub, mirror, Desk(hub, folder, threading.Event()), case, tmp_path, some_data(size), link)
        world.network = network
        yield world
