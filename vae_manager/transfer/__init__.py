"""Downloads: the transfer of bytes into a partial file, its verification and its publication.

`download_file` handles one request from the first query to the final name, `unfinished` lists the downloads that can be
resumed, `proposed_name` returns a file's name, which for some sources only the server has, and `only_file` the one file
of a repository that may be a VAE. `inspect_remote` says what a file is before it is downloaded, and `hub_cache` returns
the folder of what huggingface_hub has downloaded here.
"""

from __future__ import annotations

from .delivery import download_file
from .hub_listing import listed_files, only_file
from .local_copies import ALSO, folders_of_environment, hub_cache, is_cached
from .remote_inspection import WANTED_ANYWAY, RemoteInspection, inspect_remote, no_vae, no_vae_error
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
from .resolved_url import ListedFile
from .resumable import discard, unfinished
from .sources import proposed_name, version_files

__all__ = [
    "ALSO",
    "WANTED_ANYWAY",
    "DownloadRequest",
    "DownloadResult",
    "ListedFile",
    "LocalPlaces",
    "Network",
    "Phase",
    "Progress",
    "RemoteInspection",
    "RetryPolicy",
    "Taken",
    "Unfinished",
    "discard",
    "download_file",
    "folders_of_environment",
    "hub_cache",
    "inspect_remote",
    "is_cached",
    "listed_files",
    "no_vae",
    "no_vae_error",
    "only_file",
    "proposed_name",
    "unfinished",
    "version_files",
]
