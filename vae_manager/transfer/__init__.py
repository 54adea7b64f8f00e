"""The moving of bytes into a partial file, until they are proven and published.

`deliver` does one order from the first question to the final name; `unfinished` finds what can go on.
"""

from __future__ import annotations

from .deliver import deliver
from .order import Delivery, Network, Order, Phase, Progress, Unfinished
from .retry import Patience
from .unfinished import discard, unfinished

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
    "unfinished",
]
