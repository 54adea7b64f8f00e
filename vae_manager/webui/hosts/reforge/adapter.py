"""Adapter of reForge, made of that of A1111.

It has every patch of reForge: those of A1111 (hosts/a1111/load_hooks.py), except those for NaN, and

    sd_models.load_model                a checkpoint that is in memory already comes back with the VAE of that moment
    the `onchange` of two options       an exception reaches the WebUI, which then takes the setting back

An option removes them.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from modules import call_queue, sd_models, sd_vae
from modules_forge import main_thread

from ....records.verdict import REFORGE
from .. import host_values
from ..a1111 import load_hooks as shared_guards
from ..a1111.adapter import A1111
from ..common import options, patches
from ..common.patches import Function, Patch

if TYPE_CHECKING:
    from ..a1111.load_hooks import LoadHooks
    from ..common.adapter import Decoding


FOLLOWED = ("sd_vae", "sd_vae_overrides_per_model_preferences")
"""Options whose change may load another VAE (initialize_util.py:194)."""

Result = TypeVar("Result")


def all_patches() -> Iterator[Patch]:
    """Yield A1111's shared patches, and those of loading and of the options in `FOLLOWED` that exist here."""
    yield from shared_guards.shared_patches()
    yield Patch(sd_models, "load_model", _load_model)
    for name in FOLLOWED:
        option = host_values.option_info(name)
        if option is not None:
            yield Patch(option, "onchange", _onchange)


def _load_model(host: ReForge, original: Function) -> Function:
    """Wrap `load_model`, which is also called before each picture and has no effect then (sd_models.py:1092)."""

    def load_model(*args: Any, **kwargs: Any) -> Any:
        before = host.model()
        model = original(*args, **kwargs)
        if model is not None and model is not before:
            host.load_hooks.reload(model)
        return model

    return load_model


def _onchange(host: ReForge, _: Function) -> Function:
    def onchange() -> None:
        with call_queue.queue_lock:
            there(sd_vae.reload_vae_weights)

    return onchange


def there(work: Callable[[], Result]) -> Result:
    """Return the result of `work`, run in that thread; an exception is raised here, in the WebUI's own call.

    In that thread itself `work` runs directly, since waiting for it would be a deadlock.
    """
    if threading.current_thread() is threading.main_thread():
        return work()
    results: list[Result] = []
    errors: list[Exception] = []

    def kept() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised in the waiting thread
            errors.append(error)

    main_thread.run_and_wait_result(kept)
    if errors:
        raise errors[0]
    return results[0]


class ReForge(A1111):
    """reForge, with A1111's functions except those that differ."""

    name = "reForge"
    capability = REFORGE

    def __init__(self) -> None:
        super().__init__()
        self.unwatched = True
        """The WebUI's own ways of loading a VAE were not patched for a time: its variables of the VAE may be wrong."""

    @functools.cached_property
    def load_hooks(self) -> LoadHooks:
        """A1111's hooks over the state of reForge, imported with the first model."""
        from ..a1111.load_hooks import LoadHooks
        from .vae_state import ReForgeVaeState

        return LoadHooks(self, ReForgeVaeState(self))

    @functools.cached_property
    def decoding(self) -> Decoding:
        """Implement `FamilyWebUI.decoding` by the wrapper of the VAE."""
        from .vae_state import ReForgeDecoding

        return ReForgeDecoding(self)

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the main thread, which loads the first checkpoint without the queue lock."""
        with call_queue.queue_lock:
            return there(work)

    def guard(self) -> None:
        """Apply the patches; if no model is loaded yet, no load was missed, and there is no state to repair."""
        if self.model() is None:
            self.unwatched = False
        patches.install(self, all_patches())

    def note_watched(self) -> None:
        """Record that the WebUI's variables have been corrected."""
        self.unwatched = not options.guarded()

    def unguard(self) -> None:
        """Undo the patches of both modules, and note that loads are unwatched from now on."""
        from ..a1111 import load_hooks as shared_guards

        self.unwatched = True
        for module in (sys.modules[__name__], shared_guards, patches):
            patches.remove(module, all_patches())


@functools.cache
def the_host() -> ReForge:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return ReForge()
