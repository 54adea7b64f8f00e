"""Connections whose sockets can be shut down by another thread, from the TLS handshake to the end of the body.

This module imports `requests`, so it is imported at the first use. It has both urllib3 1.26 and 2.x under it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from .deadline import Sockets, sockets_of_thread

__all__ = ["WatchedAdapter", "with_connections"]

# A mixin's `super()` needs a base to type it by; the actual base is that of a pool.
_Base: Any = HTTPConnection if TYPE_CHECKING else object


def with_connections(pools: Mapping[str, type[HTTPConnectionPool]], mixin: type) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools by scheme, as `pools`, whose connections have the methods of `mixin` before their own."""
    return {scheme: _pool(pool, mixin) for scheme, pool in pools.items()}


def _pool(pool: type[HTTPConnectionPool], mixin: type) -> type[HTTPConnectionPool]:
    inner: Any = pool.ConnectionCls
    connection = type(inner.__name__, (mixin, inner), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class WatchedAdapter(HTTPAdapter):
    """An HTTP adapter that adds the sockets of its connections to the `sockets_of_thread`."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Make watched connections."""
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = with_connections(self.poolmanager.pool_classes_by_scheme, _Watched)

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        """Make watched connections to the proxy."""
        is_new = proxy not in self.proxy_manager
        manager: Any = super().proxy_manager_for(proxy, **more)
        if is_new:
            manager.pool_classes_by_scheme = with_connections(manager.pool_classes_by_scheme, _Watched)
        return manager


class _Watched(_Base):  # type: ignore[misc]
    """A connection that adds its socket to the collections of the thread that uses it."""

    _twin: socket.socket | None = None
    """The socket before TLS, under another descriptor: TLS takes the first one over, and shows the result when its
    handshake has ended."""
    _watchers: tuple[Sockets, ...] = ()

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()
        if sockets_of_thread():
            self._twin = connected.dup()
            self._watch(self._twin)
        return connected

    def connect(self) -> None:
        """Connect; a proxy's answer and the handshake can be ended meanwhile."""
        try:
            super().connect()
        finally:
            if self._twin is not None:  # else the server would not see the connection's end
                self._twin.close()
                self._twin = None
        self._watch(self.sock)

    def getresponse(self, *arguments: Any, **more: Any) -> Any:
        """Return the response; a kept connection may serve another thread now."""
        self._watch(self.sock)
        return super().getresponse(*arguments, **more)

    def _watch(self, used: Any) -> None:
        watchers = sockets_of_thread()
        for one in self._watchers:
            if one not in watchers:
                one.discard(used)
        for one in watchers:
            one.add(used)
        self._watchers = watchers
