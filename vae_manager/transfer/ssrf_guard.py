"""Guard against requests to private addresses, for URLs typed into a page that others can open too.

A person who types an address must not reach through this computer the hosts that only it can reach: itself, the
machines of its network, the metadata service of its cloud. There are two checks, since a name can resolve to another
address from one moment to the next (DNS rebinding):

1. Before a request is sent, all addresses of the host's name must be public. So no packet reaches a private host.
   Behind a proxy this is the only possible check: the peer is then the proxy, which the owner of this computer has
   chosen, so it may be private.
2. Without a proxy, the peer of the connected socket must be public, before TLS begins and before any request is sent.

Each redirect is a request of its own, and so is checked too. This module imports `requests`, so it is imported at the
first use.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection

from ..errors import RefusedError, TransientNetworkError
from ..messages import msg
from .connections import WatchedAdapter, with_connections
from .urls import origin

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments; Python 3.10 has only a part of it
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
    )
)
"""Networks that IANA's registries list as not globally reachable and some Python version lacks."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The prefix by which an IPv6-only network reaches an IPv4 address: its last 32 bits (RFC 6052)."""


def is_public(address: str) -> bool:
    """Return True if `address`, a numerical one, is reached over the public internet.

    >>> [is_public(one) for one in ("1.1.1.1", "10.0.0.1", "100.64.0.1", "::ffff:127.0.0.1", "fe80::1%eth0")]
    [True, False, False, False, False]
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved
    in_list = any(ip in network for network in NOT_PUBLIC if network.version == ip.version)
    return ip.is_global and not (special or ip.is_unspecified or in_list)


class PublicAdapter(WatchedAdapter):
    """An HTTP adapter for public addresses alone. Raises `RefusedError` for any other, and sends no request."""

    def __init__(self, allowed: Callable[[str], bool] = is_public, **more: Any) -> None:
        self._allowed = allowed
        super().__init__(**more)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Make connections that check the address they really get, since a name can resolve differently later."""
        super().init_poolmanager(*arguments, **more)
        # Of this manager alone: those for proxies may be private.
        self.poolmanager.pool_classes_by_scheme = with_connections(
            self.poolmanager.pool_classes_by_scheme, _guarded(self._allowed)
        )

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Look up the host, then send the request. Raises RefusedError and TransientNetworkError before that."""
        address = request.url or ""
        self._look_up(address, by_proxy=select_proxy(address, dict(proxies or {})) is not None)
        return super().send(request, stream, timeout, verify, cert, proxies)

    def _look_up(self, address: str, *, by_proxy: bool) -> None:
        """Refuse unless all addresses of the name are allowed. Numbers in odd notations are resolved like names."""
        _, name, port = origin(address)
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            if not by_proxy:
                raise TransientNetworkError(
                    msg(
                        "{host} cannot be reached. Check the network, or choose a mirror: in the WebUI's settings, "
                        "or by HF_ENDPOINT.",
                        code="unreachable",
                        host=name,
                    )
                ) from None
            raise RefusedError(
                msg(
                    "Where {host} leads to cannot be looked up on this computer, so it could be an address of its own "
                    "network. Here only public https addresses are fetched.",
                    code="not-resolvable",
                    host=name,
                )
            ) from None
        if not all(self._allowed(str(one[4][0])) for one in found):
            raise _not_public(name)


def _not_public(name: str) -> RefusedError:
    return RefusedError(
        msg(
            "{host} is an address of this computer or of its own network. Here only public https addresses are "
            "fetched.",
            code="not-public",
            host=name,
        )
    )


def _guarded(allowed: Callable[[str], bool]) -> type:
    """Return a mixin for connections of urllib3 (1.26 and 2.x) that check their peer."""
    # A mixin's `super()` needs a base to type it by; the actual base is that of a pool.
    base: Any = HTTPConnection if TYPE_CHECKING else object

    class Looking(base):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            """Check the peer before TLS begins."""
            connected: socket.socket = super()._new_conn()
            self._look_at(connected)
            return connected

        def connect(self) -> None:
            """Check the peer again: both versions promise to call this method, `_new_conn` is a private name."""
            super().connect()
            self._look_at(self.sock)

        def _look_at(self, connected: socket.socket) -> None:
            if not allowed(str(connected.getpeername()[0])):
                connected.close()
                self.close()
                raise _not_public(self.host)

    return Looking
