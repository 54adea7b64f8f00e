"""A host as one visitor may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .permissions import Act

if TYPE_CHECKING:
    from ...sentences import Sentence
    from .host import Host

__all__ = ["seen_from_elsewhere", "seen_from_here"]


class _Visited:
    """Everything is the host's own, apart from what depends on the visitor."""

    def __init__(self, host: Host, *, is_owner: bool) -> None:
        self._host = host
        self._is_owner = is_owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    @property
    def shows_paths(self) -> bool:
        return self._is_owner

    def refusal(self, act: Act) -> Sentence | None:
        return self._host.refusal(act, remote=not self._is_owner)


def seen_from_here(host: Host) -> Host:
    """The host as its owner uses it, at this machine."""
    return cast("Host", _Visited(host, is_owner=True))


def seen_from_elsewhere(host: Host) -> Host:
    """The host as anybody else uses it."""
    return cast("Host", _Visited(host, is_owner=False))
