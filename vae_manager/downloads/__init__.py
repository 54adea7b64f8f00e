"""Downloads: their queue, their history, and the API keys that they may use."""

from .history import Ending, History, Past
from .keys import Keys
from .pending import Pending
from .queue import Download, Downloads, LeftOver, Wanted, key_of

__all__ = [
    "Download",
    "Downloads",
    "Ending",
    "History",
    "Keys",
    "LeftOver",
    "Past",
    "Pending",
    "Wanted",
    "key_of",
]
