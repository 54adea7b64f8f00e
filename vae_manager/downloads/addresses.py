"""Addresses that a person types, and the API keys of the sites.

A typed address becomes a download request without a known hash. Its file is inspected and marked as unverified, unless
the hub or site itself publishes a hash.

API keys of sites that require one are in `keys.json`: {"civitai.com": "…"}, readable by its owner alone. They are not
among the WebUI's settings: those are visible to every user of the page, and appear in reports. A key goes only to the
network code; the page shows only that there is one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..catalogue import HubSource, LocalSource, Source
from ..catalogue.entry import safe_file_name
from ..catalogue.file_names import listed_name, suffix_here
from ..errors import DiskError, RefusedError, UsageError, WholeRepositoryError
from ..files.state_file import StateFile, pairs_of
from ..messages import msg

if TYPE_CHECKING:
    from ..transfer import DownloadRequest, Network, RemoteInspection


NetworkFor = Callable[[tuple[Source, ...]], "Network"]
"""Returns the network settings for these sources."""

CIVITAI: Final = "civitai.com"
SAFETENSORS: Final = ".safetensors"
CLICK_SECONDS: Final = 10.0
"""Seconds that a click waits for an answer of a server: the page's other clicks come after it."""
_KEY: Final = re.compile(r"[\x21-\x7e]{8,200}")
"""The characters that a header can hold."""


def typed(
    text: str,
    folder: Path,
    network: NetworkFor,
    *,
    remote_users: bool,
    name: str = "",
    seen: RemoteInspection | None = None,
) -> DownloadRequest:
    """Return the request for an address that a person typed: `hub:owner/repo/path`, `civitai:version`, https, a bucket.

    The path of a local file is taken too, unless `remote_users` can open the page. `name` is the person's own for the
    file. `seen` is what a look has found there. Without it, the server is asked for what only it has: the one file of a
    repository, and the name of a file; a click waits for that, so each answer has `CLICK_SECONDS`.
    """
    from ..catalogue.source_text import typed_source
    from ..transfer import DownloadRequest, only_file, proposed_name

    def hasty(*sources: Source) -> Network:
        found = network(sources)
        return replace(found, answer_timeout=min(found.answer_timeout, CLICK_SECONDS))

    try:
        general = network(())
        source = typed_source(
            text, remote_users=remote_users, http_hosts=general.http_hosts, endpoint=general.named_endpoint
        )
    except WholeRepositoryError as whole:
        hub = HubSource(whole.repo, whole.folder, whole.revision)
        source = seen.source if seen is not None else only_file(whole, network=hasty(hub), stop=threading.Event())
    check(source, remote_users=remote_users)
    if seen is not None and seen.source == source:
        proposed = seen.record.path.name
    else:
        proposed = proposed_name(source, network=hasty(source), stop=threading.Event())
    return DownloadRequest((source,), folder, name_of(proposed, name), None)


def name_of(proposed: str, own: str = "") -> str:
    """Return the name for the file of an address: a person's `own`, else the `proposed` one.

    Raises RefusedError for a format that the page fetches none of and for a name that cannot be used, and UsageError
    for one that no WebUI would list.
    """
    is_named = own.strip().lower().endswith(SAFETENSORS) and not suffix_here(proposed)
    if not proposed.lower().endswith(SAFETENSORS) and not is_named:
        raise _no_safetensors(proposed)
    name = safe_file_name(listed_name(own.strip(), proposed)) if own.strip() else proposed
    if not name.lower().endswith(SAFETENSORS):
        raise _no_safetensors(name)
    return name


def _no_safetensors(name: str) -> RefusedError:
    return RefusedError(
        msg(
            "{file} is no .safetensors file. Other formats can carry code, so the page fetches none.",
            code="no-safetensors",
            file=name,
        )
    )


def check(source: Source, *, remote_users: bool) -> None:
    """Raise RefusedError for a file of this machine if people elsewhere could request it."""
    if remote_users and isinstance(source, LocalSource):
        raise RefusedError(
            msg(
                "This WebUI can be reached from other machines, so the page reads no files of this one by their path.",
                code="local-path-refused",
            )
        )


def must_be_public(sources: tuple[Source, ...], *, remote_users: bool) -> bool:
    """Return True if private addresses, and storages that this machine is signed in to, must be refused.

    This applies to addresses that any person may have typed. A hub is at the endpoint that the owner has set.
    """
    return remote_users and not all(isinstance(source, HubSource) for source in sources)


class Keys:
    """API keys by host."""

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, pairs_of, is_private=True)
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, str]:
        """Return every key; empty if the file is missing or invalid."""
        return dict(self._file.items(_key))

    def __contains__(self, host: str) -> bool:
        return host in self.all()

    def save(self, host: str, key: str) -> None:
        """Store the key without outer spaces, in place of the host's earlier one.

        Raises UsageError if a header cannot hold it, and DiskError.
        """
        key = key.strip()
        if not _KEY.fullmatch(key):
            raise UsageError(msg("This is not an API key: letters and digits in one piece, copied whole."))
        with self._lock:
            self._write({**self.all(), host: key})

    def remove(self, host: str) -> None:
        """Delete the host's key, if there is one; the file goes with the last key. Raises DiskError."""
        with self._lock:
            self._write({other: key for other, key in self.all().items() if other != host})

    def _write(self, keys: Mapping[str, str]) -> None:
        try:
            self._file.write(dict(keys) or None)
        except OSError as error:
            raise DiskError(
                msg(
                    "{path} cannot be written: {reason}",
                    code="not-writable",
                    path=self._file.path,
                    reason=error.strerror or error,
                )
            ) from error


def _key(item: tuple[str, Any]) -> tuple[str, str]:
    host, key = item
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError("no key")
    return host, key
