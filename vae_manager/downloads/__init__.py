"""Downloads: their queue, their history, and the API keys that they may use."""

from .addresses import Keys
from .history import DownloadOutcome, History, PastDownload, kept_version, past_delivery, references_of
from .looks import MAX_WAIT_SECONDS, Look, Looks, SeenFile, too_many_looks
from .queue import Download, DownloadItem, Downloads, Pending, UnfinishedDownload, key_of

__all__ = [
    "MAX_WAIT_SECONDS",
    "Download",
    "DownloadItem",
    "DownloadOutcome",
    "Downloads",
    "History",
    "Keys",
    "Look",
    "Looks",
    "PastDownload",
    "Pending",
    "SeenFile",
    "UnfinishedDownload",
    "kept_version",
    "key_of",
    "past_delivery",
    "references_of",
    "too_many_looks",
]
