"""What a typed address means as an order: no hash is known, so what comes of it is inspected and told as not proven,
unless the hub or site itself publishes one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import HubSource, LocalSource, Source
from ..errors import RefusedError
from ..sentences import say

if TYPE_CHECKING:
    from ..transfer import Network, Order

NetworkFor = Callable[[tuple[Source, ...]], "Network"]
"""How the network is used for these sources."""


def typed(text: str, folder: Path, network: NetworkFor, *, strangers: bool) -> Order:
    """The order for `hub:owner/repo/path`, `civitai:version`, an https address, a bucket's, or, unless `strangers` can
    open the page, a file's path. Where only the server knows the file's name, it is asked."""
    from ..catalogue.parsing import parse_source
    from ..transfer import Order, proposed_name

    source = parse_source(text)
    check(source, strangers=strangers)
    name = proposed_name(source, network=network((source,)), stop=threading.Event())
    if not name.lower().endswith(".safetensors"):
        raise RefusedError(
            say("{file} is no .safetensors file. Other formats can carry code, so the page fetches none.", file=name)
        )
    return Order((source,), folder, name, None)


def check(source: Source, *, strangers: bool) -> None:
    """Raises RefusedError for a file of this machine, where people elsewhere could ask for it."""
    if strangers and isinstance(source, LocalSource):
        raise RefusedError(
            say("This WebUI can be reached from other machines, so the page reads no files of this one by their path.")
        )


def must_be_public(sources: tuple[Source, ...], *, strangers: bool) -> bool:
    """Whether no address of a private network may be asked, and no storage that this machine is signed in to: for what
    anybody may have typed. A hub is at the endpoint that the owner has set."""
    return strangers and not all(isinstance(source, HubSource) for source in sources)
