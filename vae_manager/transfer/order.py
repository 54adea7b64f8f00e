"""What is asked of a transfer, what it tells on the way, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import __version__
from ..catalogue.entry import Source
from .retry import Patience

Phase = Literal["waiting", "resolving", "resuming", "fetching", "proving", "publishing"]


@dataclass(frozen=True)
class Order:
    """What is wanted and where it goes."""

    sources: tuple[Source, ...]
    """Tried in turn; all are expected to give the same bytes."""
    folder: Path
    file_name: str
    sha256: str | None
    """None: the orderer knows none. The hub's own is used where it gives one, else the file is published unproven."""
    size: int | None = None


@dataclass(frozen=True)
class Network:
    """How the network is used."""

    endpoint: str | None = None
    """A hub or a mirror of it; None: huggingface_hub's own (HF_ENDPOINT)."""
    token_for_endpoint: bool = False
    """Send the hub's token to `endpoint` although it is not the hub that the token was saved for."""
    civitai: str | None = None
    """A site that speaks Civitai's API; None: https://civitai.com."""
    connect_timeout: float = 10
    read_timeout: float = 30
    slowest: float = 1000
    """Bytes per second, over `read_timeout`: a line that brings less is given up, and tried again."""
    connections: int = 16
    """The most that one file is fetched over at once; fewer are used where more bring nothing."""
    bandwidth: float | None = None
    """Bytes per second, over all connections; None: as fast as the line allows."""
    public_only: bool = False
    """Ask no address of a private network or of this machine: for addresses typed into a page that others can open."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API keys by the exact host that each was saved for; sent to no other."""
    user_agent: str = f"vae-manager/{__version__}"
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Progress:
    """Where a transfer stands."""

    phase: Phase
    done: int
    """Bytes on disk, kept ones included."""
    total: int | None
    kept: int = 0
    """Bytes of `done` that were there before this run."""


@dataclass(frozen=True)
class Delivery:
    """A file under its final name."""

    path: Path
    sha256: str
    size: int
    proven: bool
    """False: nobody publishes a hash for it."""
    fetched: int
    """Bytes that came over the network in this run, those that came twice counted twice."""
    already_there: bool
    source: Source | None = None
    """Where it came from in this run; None: it was there."""


@dataclass(frozen=True)
class Unfinished:
    """A partial file that can go on: `deliver(unfinished.order, …)`."""

    order: Order
    done: int
    total: int | None
    path: Path
    """The partial file."""
