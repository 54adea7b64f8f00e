"""The `Host` of reForge: A1111's, with another model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from modules import call_queue

from ....records.capability import REFORGE
from ..a1111.adapter import A1111
from ..common import options, patching
from .guards import there

if TYPE_CHECKING:
    from ..a1111.ways_in import WaysIn
    from ..common.comparing import FamilyComparing
    from ..host import Result


class ReForge(A1111):
    name = "reForge"
    capability = REFORGE

    def __init__(self) -> None:
        super().__init__()
        self.unwatched = True
        """The WebUI's own ways of loading a VAE were not guarded for a time: what it notes of the VAE may be wrong."""

    @functools.cached_property
    def ways_in(self) -> WaysIn:
        from ..a1111.ways_in import WaysIn
        from .books import ReForgeBooks

        return WaysIn(self, ReForgeBooks(self))

    @functools.cached_property
    def comparing(self) -> FamilyComparing:
        from ..common.comparing import FamilyComparing
        from .decoding import ReForgeDecoding

        return FamilyComparing(self, ReForgeDecoding(self))

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """In the main thread, which loads the first checkpoint without the queue lock."""
        with call_queue.queue_lock:
            return there(work)

    def guard(self) -> None:
        from . import guards

        if self.model() is None:
            self.unwatched = False
        patching.install(self, guards.all_patches())

    def note_watched(self) -> None:
        """What the WebUI notes has been put right."""
        self.unwatched = not options.guarded()

    def unguard(self) -> None:
        from ..a1111 import guards as shared_guards
        from . import guards

        self.unwatched = True
        for module in (guards, shared_guards):
            patching.remove(module, guards.all_patches())


@functools.cache
def the_host() -> ReForge:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return ReForge()
