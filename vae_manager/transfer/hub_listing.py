"""The files of a hub's repository, for a person who gives its address in place of a file's."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from ..catalogue.entry import HubSource, Source
from ..catalogue.file_names import suffix_here
from ..catalogue.source_text import parse_source
from ..errors import NotFoundError, UsageError, VaeManagerError, WholeRepositoryError
from ..files.state_file import list_of, parse_json
from ..messages import megabytes, msg
from .http_client import HttpClient, answered, json_of, senseless_answer
from .hub import check_online, hub_authorization, hub_endpoint, hub_error
from .request import Network
from .resolved_url import ListedFile

__all__ = ["listed_files", "only_file"]

SHOWN: Final = 8
"""Files that an error names."""


@dataclass(frozen=True)
class _File:
    path: str
    size: int | None


def listed_files(whole: WholeRepositoryError, *, network: Network, stop: threading.Event) -> Sequence[ListedFile]:
    """Return the files of a repository, or of a folder in it, that may be a VAE; the likeliest first, at least one.

    A file with the same name but another extension than .safetensors beside it does not count. Raises NotFoundError if
    there is none, and for an unknown repository; the errors of the network; and Cancelled as soon as `stop` is set.
    """
    return answered(functools.partial(_files, whole), network, stop, whole.repo)


def only_file(whole: WholeRepositoryError, *, network: Network, stop: threading.Event) -> Source:
    """Return the one of the `listed_files`. Raises UsageError, which names the files, if there are several."""
    return answered(functools.partial(_only_file, whole), network, stop, whole.repo)


def _files(whole: WholeRepositoryError, client: HttpClient) -> Sequence[ListedFile]:
    files = _candidates(_listed(whole, client))
    if not files:
        raise NotFoundError(
            msg(
                "{repo} holds no file that may be a VAE: no .safetensors, .ckpt or .pt.",
                code="no-file-in-repository",
                repo=whole.repo,
            )
        )
    return [ListedFile(HubSource(whole.repo, file.path, whole.revision), file.size) for file in files]


def _only_file(whole: WholeRepositoryError, client: HttpClient) -> Source:
    files = _files(whole, client)
    if len(files) > 1:
        shown = [
            f"{file.source} ({megabytes(file.size)})" if file.size is not None else str(file.source)
            for file in files[:SHOWN]
        ]
        raise UsageError(
            msg(
                "{repo} holds {count} files that may be a VAE. Give one of them: {files}",
                code="several-files-in-repository",
                repo=whole.repo,
                count=len(files),
                files=", ".join([*shown, *(["…"] if len(files) > SHOWN else [])]),
            )
        )
    return files[0].source


def _listed(whole: WholeRepositoryError, client: HttpClient) -> Sequence[_File]:
    """Return the files of the first page of the hub's listing, a thousand at most."""
    source = HubSource(whole.repo, whole.folder, whole.revision)
    check_online(source)
    endpoint = hub_endpoint(client.network)
    folder = f"/{quote(whole.folder)}" if whole.folder else ""
    revision = quote(whole.revision or "main", safe="")
    address = f"{endpoint}/api/models/{whole.repo}/tree/{revision}{folder}?recursive=true"
    response = client.follow(address, hub_authorization(endpoint, client.network))
    try:
        if response.status_code != 200:
            raise hub_error(source, response, address, client.network)
        data = json_of(response, address)
    finally:
        response.close()
    try:
        items = list_of(parse_json(data))
    except (ValueError, TypeError):
        raise senseless_answer(address) from None
    return [file for item in items if (file := _file(item, source)) is not None]


def _file(item: Any, place: HubSource) -> _File | None:
    """Return the file of a line; None for a folder, and for a path that no person could give as a source.

    A mirror can list what it likes: characters that are not shown, or turn the direction of the text, and `..`.
    """
    if not isinstance(item, dict) or item.get("type") != "file" or not isinstance(item.get("path"), str):
        return None
    source = replace(place, path=item["path"])
    try:
        if parse_source(str(source)) != source:
            return None
    except VaeManagerError:
        return None
    size = item.get("size")
    return _File(item["path"], size if isinstance(size, int) and size >= 0 else None)


def _candidates(files: Sequence[_File]) -> list[_File]:
    """Return the files with the extension of a VAE; those that have it in their name come first."""
    found = [file for file in files if suffix_here(file.path)]
    safe = {PurePosixPath(file.path).with_suffix("") for file in found if suffix_here(file.path) == ".safetensors"}
    kept = [
        file
        for file in found
        if suffix_here(file.path) == ".safetensors" or PurePosixPath(file.path).with_suffix("") not in safe
    ]
    return sorted(kept, key=lambda file: ("vae" not in file.path.lower(), file.path))
