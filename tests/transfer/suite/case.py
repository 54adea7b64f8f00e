"""One row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.hub import Fault, Link
from tests.transfer.ordering import MB
from vae_manager.errors import VaeManagerError

from .world import World

Step = Callable[[World], object]
Outcome = type[VaeManagerError] | None
Left = Literal["file", "nothing", "partial", "hidden"]

SIZE = 8 * MB
A_LITTLE = 0.6 * MB
"""What is lost on the way when a connection or two end: what the systems at both ends have taken beyond the cut."""
MORE = 2.5 * MB
"""The same for all eight connections."""
WHOLE = SIZE + MORE
"""The file once more: thrown away for a wrong hash, and fetched again."""
HELPING = 4 * MB
"""What several connections may cost besides: one that takes over half of what another is about to bring loses what is
on its way, which is more on a busy machine. One connection alone is held to the bytes of its case."""
FAST = Link(rate_per_connection=16 * MB)
"""So that more than one connection is worth its while."""
SLOW = Link(rate_total=8 * MB)
"""So that there is a middle of the way."""


@dataclass(frozen=True)
class Case:
    """What is done to the hub, and what must come of it."""

    name: str
    fail: Step = lambda _: None
    """Makes the hub, the folder or the system fail, before the file is ordered."""
    ends: Outcome | tuple[Outcome, ...] = None
    """None: the file is delivered; else the class of the error. Several where either is right."""
    left: Left = "file"
    """What lies in the folder afterwards: the right file (or, after an error, that of somebody else), nothing, a
    partial file that can go on, or hidden files of which the next call makes the best."""
    twice: float = A_LITTLE
    """The most bytes that the servers may have sent beyond the file's size, until it lay there: the next call, after
    all has healed, included."""
    code: str = ""
    """The code of the error; several, with "|" between them, where either is right."""
    heals: bool = True
    """Whether what is wrong passes: the next call after an error delivers."""
    size: int = SIZE
    link: Link = FAST
    network: Mapping[str, object] = field(default_factory=dict)
    get: Step | None = None
    """How it is ordered, where that is not the plain way."""
    check: Step = lambda _: None
    """What else must hold after the call."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return self.ends if isinstance(self.ends, tuple) else (self.ends,)


# -- how a server is made to fail ------------------------------------------------------------------------------------
def cdn(*faults: Fault | None, covering: int | None = None) -> Step:
    """The next requests to the CDN meet these."""
    return lambda world: world.hub.cdn.fail_next(*faults, covering=covering)


def cdn_always(fault: Fault, *, covering: int | None = None) -> Step:
    return lambda world: world.hub.cdn.fail_always(fault, covering=covering)


def hub(*faults: Fault | None) -> Step:
    """The next requests to the hub's own host meet these."""
    return lambda world: world.hub.api.fail_next(*faults)


def hub_always(fault: Fault) -> Step:
    return lambda world: world.hub.api.fail_always(fault)


def both(*steps: Step) -> Step:
    """One after the other."""

    def all_of_them(world: World) -> None:
        for step in steps:
            step(world)

    return all_of_them


def midway(step: Step, at: float = 0.4) -> Step:
    """Do it when this share of the file has arrived."""
    return lambda world: world.when(at, lambda: step(world))
