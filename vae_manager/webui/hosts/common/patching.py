"""Patches of a WebUI, through its own registry (modules/patches.py): applied once however often the UI is reloaded.

Each patched function has an edge. A `VaeManagerError` is a refusal, and the WebUI gets it. Any other error of the
extension is a fault, which is recorded; the WebUI then gets the result of its own function, which is called now if it
was not called before.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from modules import patches

from ....errors import RefusedError, VaeManagerError
from ....sentences import Sentence, say
from ...faults import FAULTS, marked

KEY = "vae-manager"
SOURCE = "__vae_manager_source__"
"""An attribute of a patched function: the globals of the module that it was made in."""
READ_WITHOUT_UNPICKLING = (".safetensors",)
"""Extensions, in any case, of files that every WebUI reads without running code."""

Function = Callable[..., Any]


@dataclass(frozen=True)
class Patch:
    place: Any
    """The owner of the function: a module, a class, or `MODULE:CLASS`, which is looked up when the patch is applied."""
    name: str
    make: Callable[[Any, Function], Function]
    """Makes another of the host and the WebUI's own."""
    fall_back: Callable[[Function], Function] = lambda original: original
    """Wraps the WebUI's own function for a call after a fault of the extension. If it can read a user's VAE file, it
    must not read a pickle."""

    def resolved_place(self) -> Any:
        if not isinstance(self.place, str):
            return self.place
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)


def install(host: Any, wanted: Iterable[Patch]) -> None:
    """Apply those that are not applied. One that cannot be is recorded as a fault, and the others are."""
    for patch in wanted:
        with FAULTS.caught(guard_of(patch)):
            place = patch.resolved_place()
            original = getattr(place, patch.name)
            if patches.original(KEY, place, patch.name) is None:
                patches.patch(KEY, place, patch.name, _edged(host, patch, original))


def remove(source: ModuleType, wanted: Iterable[Patch]) -> None:
    """Take back those that are still of the module `source`: what another extension has put over one of them stays."""
    for patch in wanted:
        with FAULTS.caught(guard_of(patch)):
            place = patch.resolved_place()
            applied = patches.original(KEY, place, patch.name) is not None
            if applied and is_of(source, getattr(place, patch.name)):
                patches.undo(KEY, place, patch.name)


def is_of(source: ModuleType, function: Function) -> bool:
    return getattr(function, SOURCE, None) is vars(source)


def guard_of(patch: Patch) -> Sentence:
    return say("The guard of “{name}”", name=patch.name)


def refuse_pickles(*paths: str | None, harmless: tuple[str, ...] = READ_WITHOUT_UNPICKLING) -> None:
    """Check a file that the WebUI's own reader is about to read after a fault of the extension. Raises RefusedError.

    `harmless` are the extensions of files that this WebUI reads without running code.
    """
    for path in paths:
        if path is not None and not str(path).lower().endswith(harmless):
            raise RefusedError(
                say(
                    "{file} was not loaded: the extension's own reader does not work on this WebUI, and another one "
                    "could run what is in the file. The VAE in use is unchanged. A .safetensors file can be loaded.",
                    file=str(path),
                )
            )


class _Watched:
    """One call's view of the WebUI's own function: what has become of it."""

    def __init__(self, original: Function) -> None:
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.is_done, self.error = False, None
            try:
                self.result = original(*args, **kwargs)
            except Exception as error:
                self.error = error
                raise
            self.is_done = True
            return self.result

        self.call = call


def _edged(host: Any, patch: Patch, original: Function) -> Function:
    @functools.wraps(original)
    def edged(*args: Any, **kwargs: Any) -> Any:
        own = _Watched(original)
        try:
            return patch.make(host, own.call)(*args, **kwargs)
        except VaeManagerError:
            raise
        except Exception as error:
            if own.error is not None and isinstance(error, type(own.error)):
                raise  # the WebUI's own error, or one in its words
            FAULTS.note(guard_of(patch), error)
            if own.error is not None:
                raise own.error from None
            if own.is_done:
                return own.result
        return patch.fall_back(original)(*args, **kwargs)

    setattr(edged, SOURCE, patch.make.__globals__)
    return marked(edged)
