"""The moving of bytes into a partial file, until they are proven and published.

`download_file` does one order from the first question to the final name; `unfinished` finds what can go on;
`proposed_name` asks for a file's name where only the server knows it.
"""

from __future__ import annotations

from .delivery import download_file
from .request import DownloadRequest, DownloadResult, Network, Phase, Progress, RetryPolicy, Unfinished
from .resumable import discard, unfinished
from .sources import proposed_name

__all__ = [
    "DownloadRequest",
    "DownloadResult",
    "Network",
    "Phase",
    "Progress",
    "RetryPolicy",
    "Unfinished",
    "discard",
    "download_file",
    "proposed_name",
    "unfinished",
]
