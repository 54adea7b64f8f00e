"""A hub on loopback that speaks the protocol of huggingface.co and can be made to fail.

`Hub` holds repositories and starts two servers, the hub's own host and its CDN; `Fault` says what goes wrong on either.
By hand: `python -m tests.hub --help`.
"""

from __future__ import annotations

from .faults import Fault
from .hub import Hub
from .sending import Link, Seen
from .server import Server

__all__ = ["Fault", "Hub", "Link", "Seen", "Server"]
