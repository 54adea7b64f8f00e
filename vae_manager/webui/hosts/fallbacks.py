"""A view of the host for the page: an unexpected error is recorded as a fault, and replaced by a value.

Methods that only read return a cautious value; methods that act raise a refusal. The host's own refusals pass through.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ...choice import AUTOMATIC, Resolution, Rule
from ...errors import VaeManagerError
from ...messages import Message, msg
from ...records.verdict import A1111, VaeSignature
from ..admission import Listening
from ..faults import FAULTS, unavailable_error
from .host import Comparing, NoComparing
from .host_values import InUse

if TYPE_CHECKING:
    from .host import Host

Reads = Mapping[str, tuple[Message, Callable[[], Any]]]
Acts = Mapping[str, Message]

FILES: Final = msg("The list of VAE files")
SETTINGS: Final = msg("Reading the settings")
FLAGS: Final = msg("Reading what the WebUI allows")
IN_USE: Final = msg("Reading which VAE is in use")
CHOOSING: Final = msg("Choosing a VAE")
COMPARING: Final = msg("Comparing VAEs")
CARDS: Final = msg("Reading the checkpoints' cards")
LANGUAGE: Final = msg("Reading the language of the WebUI")
QUICK: Final = msg("Reading the quick settings")

HOST_READS: Final[Reads] = {
    "name": (SETTINGS, str),
    "version": (SETTINGS, str),
    "shared_with_others": (FLAGS, lambda: True),
    "shows_paths": (FLAGS, lambda: False),
    "listening": (FLAGS, lambda: Listening(is_loopback=True)),
    "folders": (FILES, tuple),
    "encoder_folders": (SETTINGS, tuple),
    "other_folders": (SETTINGS, tuple),
    "endpoint": (SETTINGS, lambda: None),
    "token_hosts": (SETTINGS, frozenset),
    "http_hosts": (SETTINGS, frozenset),
    "connections": (SETTINGS, lambda: 1),
    "bandwidth": (SETTINGS, lambda: None),
    "capability": (SETTINGS, lambda: A1111),
    "next_checkpoint": (IN_USE, lambda: None),
    "signature": (IN_USE, lambda: VaeSignature(None)),
    "converts": (SETTINGS, lambda: False),
    "files": (FILES, dict),
    "refresh": (msg("Refreshing the WebUI's list of VAE files"), lambda: None),
    "refusal": (FLAGS, lambda: msg("This cannot be done: reading what the WebUI allows has failed.")),
    "choice": (IN_USE, lambda: AUTOMATIC),
    "resolution": (IN_USE, lambda: Resolution(None, Rule.NOTHING_NEARER)),
    "checkpoints": (CARDS, tuple),
    "component_lists": (IN_USE, dict),
    "components": (IN_USE, tuple),
    "preference": (CARDS, lambda: None),
    "comparing": (COMPARING, lambda: NoComparing(unavailable_error(COMPARING).message)),
    "in_use": (IN_USE, lambda: InUse(None, None, None, None)),
    "generating": (IN_USE, lambda: False),
    "may_hash": (FLAGS, lambda: False),
    "quick_settings": (QUICK, lambda: None),
    "language": (LANGUAGE, lambda: "None"),
    "translations": (LANGUAGE, dict),
}
"""The function that each reading method or property belongs to, and its value after a failure."""

HOST_ACTS: Final[Acts] = {
    "data_folder": SETTINGS,
    "download_folder": msg("Finding the download folder"),
    "check": CHOOSING,
    "choose": CHOOSING,
    "follow_setting": CHOOSING,
    "use_components": msg("Choosing the components of a checkpoint"),
    "prefer": msg("Writing a checkpoint's card"),
    "try_out": msg("Trying out a VAE"),
    "run_exclusive": CHOOSING,
    "set_quick_settings": msg("Changing the quick settings"),
    "reload_page": msg("Reloading the UI"),
}

COMPARING_READS: Final[Reads] = {
    "kept": (COMPARING, lambda: NoComparing(unavailable_error(COMPARING).message).kept),
    "offers": (COMPARING, tuple),
    "waits_for": (COMPARING, lambda: None),
}
COMPARING_ACTS: Final[Acts] = dict.fromkeys(("order", "compare", "save_folder", "infotext"), COMPARING)


def with_fallbacks(host: Host) -> Host:
    """Wrap `host`, so that it raises only `VaeManagerError`."""
    return cast("Host", _HostWithFallbacks(host))


class _WithFallbacks:
    reads: Reads
    acts: Acts

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name not in self.reads and name not in self.acts:
            return getattr(self._inner, name)
        found = self._called(name, lambda: getattr(self._inner, name))
        if not callable(found) or not hasattr(found, "__self__"):
            return found

        @functools.wraps(found)
        def method(*args: Any, **kwargs: Any) -> Any:
            return self._called(name, lambda: found(*args, **kwargs))

        return method

    def _called(self, name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except VaeManagerError:
            raise
        except Exception as error:
            function, otherwise = self.reads.get(name) or (self.acts[name], None)
            FAULTS.record(function, error)
            if otherwise is None:
                raise unavailable_error(function) from error
            return otherwise()


class _HostWithFallbacks(_WithFallbacks):
    reads, acts = HOST_READS, HOST_ACTS

    @property
    def comparing(self) -> Comparing:
        inner = self._called("comparing", lambda: self._inner.comparing)
        return cast("Comparing", _ComparingWithFallbacks(inner))


class _ComparingWithFallbacks(_WithFallbacks):
    reads, acts = COMPARING_READS, COMPARING_ACTS
