"""Sources: the Hugging Face Hub, Civitai, buckets and plain URLs, each resolved to the current address of the bytes.

Signed addresses expire, so a source is resolved again before each attempt.
"""

from __future__ import annotations

import functools
import stat
import threading
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ..catalogue.entry import (
    BucketSource,
    CivitaiSource,
    HttpsSource,
    LocalSource,
    Source,
    name_at,
)
from ..catalogue.file_names import proposed_file_name
from ..errors import NetworkError, NotFoundError, RefusedError
from ..files.headers import disk_error
from ..messages import msg
from .buckets import resolve_bucket
from .civitai import civitai_file_name, civitai_files, resolve_civitai
from .http_client import HttpClient, answered
from .hub import HUB_FILE, resolve_at_mirror, resolve_hub
from .modelscope import is_modelscope_file, published_by_modelscope
from .request import Network
from .resolved_url import ListedFile, ResolvedUrl

__all__ = ["proposed_name", "resolve_source", "version_files"]


def proposed_name(source: Source, *, network: Network, stop: threading.Event) -> str:
    """Return a usable name for the file of `source`, from the name under which it is published.

    Sends a request only if the source does not contain the name. Raises the errors of `resolve_source`, and `Cancelled`
    as soon as `stop` is set.
    """
    name = name_at(source)
    if name is None and isinstance(source, CivitaiSource):
        name = answered(functools.partial(civitai_file_name, source), network, stop, str(source))
    return proposed_file_name(source, name or "")


def version_files(source: CivitaiSource, *, network: Network, stop: threading.Event) -> Sequence[ListedFile]:
    """Return the files of a model version at Civitai. Raises as `proposed_name`."""
    return answered(functools.partial(civitai_files, source), network, stop, str(source))


def resolve_source(source: Source, client: HttpClient, *, hash_decides: bool) -> ResolvedUrl:
    """Return the resolved address of `source`.

    With `hash_decides`, a pinned revision that has vanished falls back to the main branch: the hash would refuse other
    bytes anyway.
    """
    if isinstance(source, LocalSource):
        return _local(source)
    if isinstance(source, HttpsSource):
        return _at_address(source, client)
    if isinstance(source, BucketSource):
        return _in_bucket(source, client)
    if isinstance(source, CivitaiSource):
        return resolve_civitai(source, client)
    try:
        return resolve_hub(source, client)
    except NotFoundError:
        if source.revision is None or not hash_decides:
            raise
        return resolve_hub(replace(source, revision=None), client)


def _at_address(source: HttpsSource, client: HttpClient) -> ResolvedUrl:
    """Return the address itself, with size and hash if it is that of a hub's file or of ModelScope's.

    A server that does not tell them may give the file all the same, so its refusal here is no error yet.
    """
    plain = ResolvedUrl(source, client.checked(source.url))
    try:
        if HUB_FILE.fullmatch(urlsplit(source.url).path):
            return resolve_at_mirror(source, client)
        if is_modelscope_file(source):
            size, sha256 = published_by_modelscope(source, client)
            return replace(plain, size=size, sha256=sha256)
    except (NetworkError, NotFoundError, RefusedError):
        return plain
    return plain


def _local(source: LocalSource) -> ResolvedUrl:
    """Return the address of a file. Raises NotFoundError for anything else: to open a pipe waits for a writer."""
    try:
        status = source.path.stat()
    except PermissionError as error:
        raise NotFoundError(disk_error(source.path, error).message) from error  # another source may have it
    except (OSError, ValueError):
        raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=source.path)) from None
    if not stat.S_ISREG(status.st_mode):
        raise NotFoundError(msg("{path} is not a file.", code="not-a-file", path=source.path))
    return ResolvedUrl(source, str(source.path), size=status.st_size)


def _in_bucket(source: BucketSource, client: HttpClient) -> ResolvedUrl:
    if client.network.public_only:
        raise RefusedError(
            msg(
                "{source} is a bucket, which this computer reads with its own keys. Here only public https addresses "
                "are fetched.",
                code="bucket-not-public",
                source=source,
            )
        )
    return resolve_bucket(source)
