"""The effect: look at a folder, and bring to it what is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..catalogue import Entry
from ..errors import Cancelled, RefusedError, VaeManagerError
from ..files import sha256_of
from ..library import Folder, scan
from ..sentences import Sentence, say
from ..transfer import Delivery, Network, Order, Progress, deliver
from ..transfer.partial.allocation import disk_error
from .plan import Item, Plan, Step, plan

Reporting = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
"""Opens a report of progress for a file of this name."""


@dataclass(frozen=True)
class Outcome:
    """What became of an item: it was there (neither), it was fetched, or it failed."""

    step: Step
    delivery: Delivery | None = None
    error: VaeManagerError | None = None


def look(items: Iterable[Item], folder: Path, stop: threading.Event) -> Plan:
    """Hash what bears the declared names in `folder`, which need not exist, and say what differs.

    Raises `DiskError` for what cannot be read, and `Cancelled`.
    """
    items = tuple(items)
    there: dict[str, str] = {}
    try:
        for item in items:
            path = folder / item.file_name
            if path.is_symlink() or path.exists():
                there[item.file_name] = _hash(path, item, stop)
    except OSError as error:
        raise disk_error(error, folder) from error
    return plan(items, there, [file.relative for file in scan([Folder(folder)])])


def _hash(path: Path, item: Item, stop: threading.Event) -> str:
    """The SHA-256 of a file; "" for what is no file, or not of the item's size, which spares reading it."""
    if not path.is_file() or item.size not in (None, path.stat().st_size):
        return ""
    return sha256_of(path, stop=stop)


def bring(
    plan: Plan,
    folder: Path,
    *,
    network: Network,
    refusal: Callable[[Entry], Sentence | None],
    reporting: Reporting,
    stop: threading.Event,
) -> Iterator[Outcome]:
    """Do what `plan` says, item by item, and tell of each as it is done; a failure ends its own item alone.

    `refusal` says why an entry of the catalogue must not be fetched. After a stop, what is left is told as stopped too.
    """
    for step in plan.steps:
        if step.state == "same":
            yield Outcome(step)
            continue
        try:
            yield Outcome(step, delivery=_fetch(step, folder, network, refusal, reporting, stop))
        except VaeManagerError as error:
            yield Outcome(step, error=error)


def _fetch(
    step: Step,
    folder: Path,
    network: Network,
    refusal: Callable[[Entry], Sentence | None],
    reporting: Reporting,
    stop: threading.Event,
) -> Delivery:
    item = step.item
    if stop.is_set():
        raise Cancelled(say("Stopped."))
    if step.state == "other":
        raise RefusedError(
            say(
                "{folder} has another file named {file}. It is left as it is: rename or remove it, then try again.",
                folder=folder,
                file=item.file_name,
            )
        )
    if item.entry is not None and (reason := refusal(item.entry)) is not None:
        raise RefusedError(reason)
    order = Order(item.sources, folder, item.file_name, item.sha256, item.size)
    with reporting(item.file_name) as report:
        return deliver(order, network=network, report=report, stop=stop)
