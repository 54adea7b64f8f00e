"""A desk at which tests order files."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hub import Fault, Hub, Seen
from vae_manager.catalogue.entry import HubSource, Source
from vae_manager.errors import Cancelled
from vae_manager.transfer import (
    DownloadRequest,
    DownloadResult,
    Network,
    Progress,
    RetryPolicy,
    download_file,
    unfinished,
)

REPO = "stabilityai/sd-vae-ft-mse-original"
NAME = "vae.safetensors"
COMMIT = "629b3ad3030ce36e15e70c5db7d91df0d60c627f"
PINNED = HubSource(REPO, NAME, COMMIT)
QUICK = RetryPolicy(max_attempts=4, first_delay=0.01, max_delay=0.02)
MB = 1_000_000
CHUNK = 1 << 16


def some_bytes(count: int, seed: int | str = 0) -> bytes:
    """A safetensors file of so many bytes with its header; noise alone if a header would not fit."""
    head = b""
    if count > 200:
        size = count - 8 - 96
        described = {"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
        head = (96).to_bytes(8, "little") + json.dumps(described).encode().ljust(96)
    return head + random.Random(seed).randbytes(count - len(head))


def hosts_of(*hubs: Hub) -> frozenset[str]:
    """Return the hosts of the hubs, as the settings of a network name them."""
    return frozenset(hub.endpoint.partition("//")[2] for hub in hubs)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Desk:
    """Orders from one hub into one folder."""

    hub: Hub
    folder: Path
    stop: threading.Event
    told: list[Progress] = field(default_factory=list)
    on_progress: Callable[[Progress], None] = lambda _: None

    def order(
        self, data: bytes, *sources: Source, known: bool = True, size: int | None = None, name: str = NAME
    ) -> DownloadRequest:
        return DownloadRequest(sources or (PINNED,), self.folder, name, sha256(data) if known else None, size)

    def network(self, **changes: object) -> Network:
        return Network(**{"endpoint": self.hub.endpoint, "retry_policy": QUICK, **changes})  # type: ignore[arg-type]

    def get(self, order: DownloadRequest, network: Network | None = None) -> DownloadResult:
        return download_file(order, network=network or self.network(), report=self._tell, stop=self.stop)

    def _tell(self, progress: Progress) -> None:
        self.told.append(progress)
        self.on_progress(progress)

    @property
    def target(self) -> Path:
        return self.folder / NAME

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def sent(self) -> int:
        """Bytes of files that the CDN has sent."""
        self.hub.settle()
        return self.hub.cdn.sent()

    def gets(self) -> list[Seen]:
        return [seen for seen in self.hub.cdn.requests if seen.method == "GET"]

    def keep(self, order: DownloadRequest, count: int) -> int:
        """Leave a partial file of about `count` right bytes behind, as a stop in the middle does; say how many."""
        self.hub.cdn.fail_next(Fault.stall_at(count))
        self.on_progress = lambda progress: self.stop.set() if progress.done > count - CHUNK else None
        with pytest.raises(Cancelled):
            self.get(order, self.network(read_timeout=1, connections=1))  # so that the one left behind ends soon
        self.on_progress = lambda _: None
        self.stop.clear()
        self.told.clear()
        [left] = unfinished(self.folder)
        assert left.path.stat().st_size == left.done > 0
        return left.done
