"""Downloads: the transfer of bytes into a partial file, its verification and its publication.

`download_file` handles one request from the first query to the final name, `unfinished` lists the downloads that can be
resumed, `proposed_name` returns a file's name, which for some sources only the server has, `only_file` the one file of
a repository that may be a VAE, and `hub_cache` the folder of what huggingface_hub has downloaded here.
"""

from __future__ import annotations

from .delivery import download_file
from .hub_listing import only_file
from .local_copies import ALSO, folders_of_environment, hub_cache
from .request import (
    DownloadRequest,
    DownloadResult,
    LocalPlaces,
    Network,
    Phase,
    Progress,
    RetryPolicy,
    Taken,
    Unfinished,
)
from .resumable import discard, unfinished
from .sources import proposed_name

__all__ = [
    "ALSO",
    "DownloadRequest",
    "DownloadResult",
    "LocalPlaces",
    "Network",
    "Phase",
    "Progress",
    "RetryPolicy",
    "Taken",
    "Unfinished",
    "discard",
    "download_file",
    "folders_of_environment",
    "hub_cache",
    "only_file",
    "proposed_name",
    "unfinished",
]
