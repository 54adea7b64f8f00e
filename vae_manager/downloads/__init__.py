"""Downloads: their queue, their history, and the API keys that they may use."""

from .addresses import Keys
from .history import Ending, History, Past
from .queue import Download, Downloads, LeftOver, Pending, Wanted, key_of

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
