"""What is asked of a transfer, what it tells on the way, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import __version__
from ..catalogue.sources import Source
from .retry import Patience

Phase = Literal["resolving", "resuming", "fetching", "proving", "publishing"]


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
    connect_timeout: float = 10
    read_timeout: float = 30
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


@dataclass(frozen=True)
class Unfinished:
    """A partial file that can go on: `deliver(unfinished.order, …)`."""

    order: Order
    done: int
    total: int | None
    path: Path
    """The partial file."""
