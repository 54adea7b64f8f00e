"""`sync`: a folder brought to a declared set, for containers, init jobs and fleets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from ..files import inspect
from ..records.verdict import Verdict
from ..sync import Outcome, Plan, bring, look, read_declared, worst
from .shared import (
    delivery_text,
    fields_of,
    folder_of,
    judge,
    load_catalogue,
    network_of,
    print_json,
    print_problem,
    progress_bar,
    refusal_of,
    stopped_by_ctrl_c,
    with_catalogue,
    with_folder,
    with_host,
    with_network,
    with_terms,
)

DIFFERS: Final = 1
"""The exit status of `--check` where something is missing or another file has its name."""


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE.yaml", help="a list of entry ids and of items with a source")
    command.add_argument(
        "--check",
        action="store_true",
        help="print the differences and change nothing; the exit status is 1 if there are any",
    )
    with_network(command)
    with_terms(command)
    with_folder(command)
    with_host(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    folder = folder_of(options)
    items = read_declared(options.file, load_catalogue(options))
    with stopped_by_ctrl_c() as stop:
        found = look(items, folder, stop)
        if options.check:
            return _checked(options, folder, found)
        outcomes = []
        for outcome in bring(
            found,
            folder,
            network=network_of(options),
            refusal=refusal_of(options),
            reporting=lambda name: progress_bar(options, name),
            stop=stop,
        ):
            outcomes.append(outcome)
            if not options.json:
                _print(outcome, _answer(outcome, options))
    status = worst(outcome.error for outcome in outcomes if outcome.error is not None)
    if options.json:
        rows = [_outcome_fields(folder, outcome, _answer(outcome, options)) for outcome in outcomes]
        print_json(_fields(folder, found, rows, status))
    else:
        _print_undeclared(found)
    return status


def _checked(options: argparse.Namespace, folder: Path, found: Plan) -> int:
    status = DIFFERS if found.differs else 0
    if options.json:
        rows = [_item_fields(folder, step.item.file_name, step.item.sha256, step.state) for step in found.steps]
        print_json(_fields(folder, found, rows, status))
        return status
    for step in found.steps:
        print(f"{step.state:<10} {step.item.file_name}")
    _print_undeclared(found)
    return status


def _answer(outcome: Outcome, options: argparse.Namespace) -> Verdict | None:
    """Return what the WebUI can do with a file that is there now, as `get` tells."""
    return judge(inspect(outcome.delivery.path), options) if outcome.delivery is not None else None


def _print(outcome: Outcome, answer: Verdict | None) -> None:
    name = outcome.step.item.file_name
    if outcome.error is not None:
        print_problem(f"{name}: {outcome.error}")
    if answer is not None and answer.reason is not None:
        print_problem(answer.reason.sentence)
    print(f"{_state(outcome):<10} {name if outcome.delivery is None else delivery_text(outcome.delivery)}", flush=True)


def _print_undeclared(found: Plan) -> None:
    for name in found.undeclared:
        print(f"{'undeclared':<10} {name}")


def _state(outcome: Outcome) -> str:
    if outcome.error is not None:
        return "FAILED"
    return "same" if outcome.delivery is None or outcome.delivery.already_there else "fetched"


def _fields(folder: Path, found: Plan, items: list[dict[str, Any]], status: int) -> dict[str, Any]:
    return {"folder": str(folder), "items": items, "undeclared": list(found.undeclared), "status": status}


def _outcome_fields(folder: Path, outcome: Outcome, answer: Verdict | None) -> dict[str, Any]:
    item, error = outcome.step.item, outcome.error
    row = _item_fields(folder, item.file_name, item.sha256, _state(outcome).lower())
    if outcome.delivery is not None:
        row["fetched"] = outcome.delivery.fetched
    if answer is not None:
        row = {**row, **fields_of(answer)}
    return row if error is None else {**row, "error": str(error), "status": error.exit_status}


def _item_fields(folder: Path, name: str, sha256: str, state: str) -> dict[str, Any]:
    return {"file_name": name, "path": str(folder / name), "sha256": sha256, "state": state}
