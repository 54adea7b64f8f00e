"""The name of a file before it is ordered: most sources tell it themselves, some servers have to be asked."""

from __future__ import annotations

import threading

from ...catalogue.entry import CivitaiSource, Source, name_at
from ...catalogue.file_names import safe_file_name
from ..order import Network
from ..retry import awaited
from ..wire.http_client import Wire
from .civitai import name_of


def proposed_name(source: Source, *, network: Network, stop: threading.Event) -> str:
    """Return the name under which `source` offers its file.

    Asks the network only where the source does not say it. Raises `RefusedError` for a name that cannot be used, what
    `locate` raises, and `Cancelled` as soon as `stop` is set.
    """
    name = name_at(source)
    if name is None and isinstance(source, CivitaiSource):
        return awaited(lambda: _asked(source, network), stop)
    return safe_file_name(name or "")


def _asked(source: CivitaiSource, network: Network) -> str:
    wire = Wire(network)
    try:
        return name_of(source, wire)
    finally:
        wire.close()
