"""Sync: the plan file, and the steps that make an installation hold exactly the files of the plan.

A folder is brought to a declared set of VAEs; a second run makes no further change. `read_declared` reads the wanted
files, `look` the present ones, `plan` decides (pure), and `bring` applies the plan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml

from .catalogue import Catalogue, Entry, Source
from .catalogue.loader import file_name_in, sources_in
from .catalogue.schema import Fields, ValidationIssue, as_count, as_sha256, entry_nodes, line_of, read_text
from .errors import (
    Cancelled,
    DiskError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    RefusedError,
    UsageError,
    VaeManagerError,
)
from .files import sha256_of
from .library import Folder, scan
from .messages import Message, joined, msg
from .transfer import DownloadRequest, DownloadResult, Network, Progress, download_file
from .transfer.resume_journal import partial_write_error

__all__ = [
    "Item",
    "Outcome",
    "Plan",
    "Step",
    "apply_plan",
    "inspect_folder",
    "name_taken",
    "plan",
    "read_declared",
    "request_of",
    "worst_exit_status",
]


_KEYS: Final = frozenset({"id", "source", "sources", "sha256", "file_name", "size", "entry"})
_BESIDE_ID: Final = frozenset({"id", "file_name"})

State = Literal["same", "missing", "other"]
"""`same`: a file of the name has the wanted bytes. `other`: the place has other bytes, which are never overwritten."""

_WORST_FIRST: Final = (Cancelled, IntegrityError, DiskError, NetworkError, NotFoundError, RefusedError, UsageError)

Reporting = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]
"""Opens a report of progress for a file of this name."""


@dataclass(frozen=True)
class Item:
    """One wanted file."""

    file_name: str
    sha256: str
    sources: tuple[Source, ...]
    """Empty: the file has to be on this machine."""
    size: int | None = None
    """Bytes, if known."""
    entry: Entry | None = None
    """The catalogue's entry, if the item names one: it may have terms."""


def read_declared(
    file: Path, catalogue: Catalogue, *, http_hosts: Collection[str] | None = (), endpoint: str = ""
) -> tuple[Item, ...]:
    """Read the items of `file`; a relative path of a local source counts from its folder.

    Plain http is for this machine and the hosts `http_hosts`; None: for all, where each request is checked anyway.
    Pages of the hub at `endpoint` mean its files. One invalid line invalidates the file: raises `UsageError`, which
    names each invalid line. Raises `NotFoundError` for a missing file.
    """
    if not file.is_file():
        raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=file))
    text, unreadable = read_text(file)
    nodes, issues = entry_nodes(text)
    issues = issues if unreadable is None else [unreadable]
    items: dict[str, Item] = {}
    for node in nodes:
        item, found_issues = _item(node, catalogue, _Reading(file.absolute().parent, http_hosts, endpoint))
        issues += found_issues
        if item is None:
            continue
        name = item.file_name.lower()  # as Windows and macOS compare names: folders are shared between machines
        if name in items:
            issues.append(
                ValidationIssue(
                    line_of(node),
                    msg("The file name {name} is there twice.", code="duplicate-file-name", name=item.file_name),
                )
            )
        items[name] = item
    if issues:
        raise UsageError(
            msg(
                "{path} cannot be used, so nothing was changed. {problems}",
                code="bad-declaration",
                path=file,
                problems=_all_issues(issues),
            )
        )
    return tuple(items.values())


@dataclass(frozen=True)
class _Reading:
    """How the sources of a declared file are read: its folder, and what `read_declared` was given."""

    folder: Path
    http_hosts: Collection[str] | None
    endpoint: str


def _item(node: yaml.Node, catalogue: Catalogue, reading: _Reading) -> tuple[Item | None, list[ValidationIssue]]:
    if isinstance(node, yaml.ScalarNode):
        issues: list[ValidationIssue] = []
        entry = _entry(str(node.value).strip(), node, catalogue, issues)
        return (None if entry is None else _of_entry(entry, entry.file_name)), issues
    fields = Fields(node, _KEYS)
    if not isinstance(node, yaml.MappingNode):
        return None, fields.issues
    item = _named(fields, catalogue) if "id" in fields.nodes else _explicit(fields, catalogue, reading)
    return (None if fields.issues else item), fields.issues


def _named(fields: Fields, catalogue: Catalogue) -> Item | None:
    for key in fields.nodes.keys() - _BESIDE_ID:
        fields.add_issue(
            fields.nodes[key],
            msg("Beside an “id” there is no “{key}”: the catalogue says it.", code="key-beside-id", key=key),
        )
    entry = _entry(fields.text("id") or "", fields.nodes["id"], catalogue, fields.issues)
    if entry is None:
        return None
    return _of_entry(entry, file_name_in(fields, (), fallback=entry.file_name))


def _entry(id: str, node: yaml.Node, catalogue: Catalogue, issues: list[ValidationIssue]) -> Entry | None:
    try:
        return catalogue.entry(id)
    except NotFoundError as error:
        issues.append(ValidationIssue(line_of(node), error.message))
        return None


def _of_entry(entry: Entry, file_name: str) -> Item:
    return Item(file_name, entry.sha256, entry.sources, entry.size, entry)


def _explicit(fields: Fields, catalogue: Catalogue, reading: _Reading) -> Item:
    sources = sources_in(fields, reading.folder, reading.http_hosts, reading.endpoint)
    has_name = bool(sources) or "file_name" in fields.nodes
    if not has_name and not fields.issues:  # with a name, the file may be here already
        fields.add_issue(fields.node, msg("The entry has no “{key}”.", code="missing-key", key="source"))
    sha256 = fields.required("sha256", as_sha256)
    return Item(
        file_name_in(fields, sources, fallback="") if has_name else "",
        sha256,
        sources,
        fields.read("size", as_count),
        _entry_of(fields.text("entry"), sha256, catalogue),
    )


def _entry_of(id: str | None, sha256: str, catalogue: Catalogue) -> Entry | None:
    """Return the entry that a lock file names for these bytes, which may have terms; None for another version's."""
    entry = catalogue.recognise(sha256) if id is not None and sha256 is not None else None
    return entry if entry is not None and entry.id == id else None


def _all_issues(issues: list[ValidationIssue]) -> Message:
    """Return one message with all issues, in order of the lines."""
    return joined(
        [
            msg("Line {line}: {problem}", line=issue.line, problem=issue.message)
            for issue in sorted(issues, key=lambda issue: issue.line)
        ]
    )


@dataclass(frozen=True)
class Step:
    """One wanted file with its present state."""

    item: Item
    state: State
    file: str
    """The file with the wanted bytes, or the place of one, relative to the folder, with forward slashes."""


@dataclass(frozen=True)
class Plan:
    """The steps that bring a folder to its declared files."""

    steps: tuple[Step, ...]
    undeclared: tuple[str, ...]
    """VAE files below the folder that are not declared, with forward slashes. They are left alone."""

    @property
    def differs(self) -> bool:
        """False if only undeclared files are there: a folder may hold more files than the declared ones."""
        return any(step.state != "same" for step in self.steps)


def plan(items: Iterable[Item], there: Mapping[str, str], files: Iterable[str]) -> Plan:
    """Decide the steps from the hashes of the present files.

    A file with the declared name and bytes counts wherever it is below the folder, as WebUIs list it.

    Args:
        items: The wanted files.
        there: Hashes by file, relative to the folder; "" matches no hash, and a missing file has no key.
        files: All VAE files of the folder, relative to it.
    """
    steps = tuple(_step(item, there) for item in items)
    declared = {step.file for step in steps}
    return Plan(steps, tuple(file for file in files if file not in declared))


def _step(item: Item, there: Mapping[str, str]) -> Step:
    named = [file for file in there if _name_of(file) == item.file_name]
    same = [file for file in named if there[file] == item.sha256]
    if same:
        return Step(item, "same", item.file_name if item.file_name in same else same[0])
    return Step(item, "other" if item.file_name in named else "missing", item.file_name)


def _name_of(file: str) -> str:
    return file.rpartition("/")[2]


def worst_exit_status(errors: Iterable[VaeManagerError]) -> int:
    """Return the exit status of the worst of `errors`, 0 without errors.

    The order is: stopped, wrong bytes, disk, network, not found, refused, usage.
    """
    found = list(errors)
    for kind in _WORST_FIRST:
        if any(isinstance(error, kind) for error in found):
            return kind.exit_status
    return found[0].exit_status if found else 0


@dataclass(frozen=True)
class Outcome:
    """The result of an item: present before (neither field), downloaded, or failed."""

    step: Step
    delivery: DownloadResult | None = None
    error: VaeManagerError | None = None


def inspect_folder(items: Iterable[Item], folder: Path, stop: threading.Event) -> Plan:
    """Hash the files with the declared names below `folder`, which need not exist, and return the plan.

    Raises `DiskError` for an unreadable file, and `Cancelled`.
    """
    items = tuple(items)
    there: dict[str, str] = {}
    files = [file.relative for file in scan([Folder(folder)])]
    try:
        for item in items:
            path = folder / item.file_name
            if path.is_symlink() or path.exists():
                there[item.file_name] = _hash(path, item, stop)
            if there.get(item.file_name) != item.sha256:
                for file in files:
                    if file != item.file_name and _name_of(file) == item.file_name:
                        there[file] = _hash(folder / file, item, stop)
    except OSError as error:
        raise partial_write_error(folder, error) from error
    return plan(items, there, files)


def _hash(path: Path, item: Item, stop: threading.Event) -> str:
    """Return the SHA-256 of a file; "" for any other kind of file and, without reading it, for another size."""
    if not path.is_file() or item.size not in (None, path.stat().st_size):
        return ""
    return sha256_of(path, stop=stop)


def apply_plan(
    plan: Plan,
    folder: Path,
    *,
    network: Network,
    refusal: Callable[[Entry], Message | None],
    reporting: Reporting,
    stop: threading.Event,
) -> Iterator[Outcome]:
    """Apply `plan`, item by item, and yield the outcome of each; a failure ends its own item alone.

    `refusal` returns why an entry of the catalogue must not be downloaded. After a stop, the remaining items are
    yielded as stopped too.
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
    refusal: Callable[[Entry], Message | None],
    reporting: Reporting,
    stop: threading.Event,
) -> DownloadResult:
    item = step.item
    if stop.is_set():
        raise Cancelled(msg("Stopped."))
    if step.state == "other":
        raise name_taken(step, folder)
    if item.entry is not None and (reason := refusal(item.entry)) is not None:
        raise RefusedError(reason)
    with reporting(item.file_name) as report:
        return download_file(request_of(step, folder), network=network, report=report, stop=stop)


def name_taken(step: Step, folder: Path) -> RefusedError:
    """Return the refusal of an item whose name another file has."""
    return RefusedError(
        msg(
            "{folder} has another file named {file}. It is left as it is: rename or remove it, then try again.",
            code="name-taken",
            folder=folder,
            file=step.item.file_name,
        )
    )


def request_of(step: Step, folder: Path) -> DownloadRequest:
    """Return the request for the item of `step`, into the folder of its file."""
    item = step.item
    return DownloadRequest(item.sources, (folder / step.file).parent, item.file_name, item.sha256, item.size)
