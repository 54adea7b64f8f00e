"""The moving of bytes into a partial file, until they are proven and published.

`deliver` does one order from the first question to the final name; `unfinished` finds what can go on;
`proposed_name` asks for a file's name where only the server knows it.
"""

from __future__ import annotations

from .delivery import deliver
from .request import Delivery, Network, Order, Patience, Phase, Progress, Unfinished
from .resumable import discard, unfinished
from .sources import proposed_name

__all__ = [
    "Delivery",
    "Network",
    "Order",
    "Patience",
    "Phase",
    "Progress",
    "Unfinished",
    "deliver",
    "discard",
    "proposed_name",
    "unfinished",
]
