"""Downloads: the transfer of bytes into a partial file, its verification and its publication.

`download_file` handles one request from the first query to the final name, `unfinished` lists the downloads that can be
resumed, `proposed_name` returns a file's name, which for some sources only the server has, and `only_file` the one file
of a repository that may be a VAE. `inspect_remote` says what a file is before it is downloaded.
"""

from __future__ import annotations

from .delivery import download_file
from .hub_listing import listed_files, only_file
from .remote_inspection import WANTED_ANYWAY, RemoteInspection, inspect_remote, no_vae, no_vae_error
from .request import DownloadRequest, DownloadResult, Network, Phase, Progress, RetryPolicy, Unfinished
from .resolved_url import ListedFile
from .resumable import discard, unfinished
from .sources import proposed_name, version_files

__all__ = [
    "WANTED_ANYWAY",
    "DownloadRequest",
    "DownloadResult",
    "ListedFile",
    "Network",
    "Phase",
    "Progress",
    "RemoteInspection",
    "RetryPolicy",
    "Unfinished",
    "discard",
    "download_file",
    "inspect_remote",
    "listed_files",
    "no_vae",
    "no_vae_error",
    "only_file",
    "proposed_name",
    "unfinished",
    "version_files",
]
