"""Downloads: their queue, their history, and the API keys that they may use."""

from .addresses import Keys
from .history import Ending, History, Past
from .queue import Download, DownloadItem, Downloads, Pending, UnfinishedDownload, key_of

__all__ = [
    "Download",
    "DownloadItem",
    "Downloads",
    "Ending",
    "History",
    "Keys",
    "Past",
    "Pending",
    "UnfinishedDownload",
    "key_of",
]
