"""The verdict on a file, as the commands print it."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ..files import FileRecord
from ..library.verification import Verification
from ..records.capability import HOSTS
from ..records.verdict import AskFirst, Refused, Usable, UsableAfter, Verdict, obstacle_of, verdict

__all__ = ["fields_of", "judge", "verification_fields", "with_host"]

NAMES: Final = {Usable: "usable", UsableAfter: "usable-after", AskFirst: "ask-first", Refused: "refused"}


def with_host(command: argparse.ArgumentParser) -> None:
    """Add the option that names the WebUI."""
    command.add_argument(
        "--host", choices=list(HOSTS), default="a1111", help="the WebUI that is to load the files (default: a1111)"
    )


def verification_fields(found: Verification | None) -> dict[str, Any]:
    """Return the fields of JSON output for what the last verification of a file found."""
    return {
        "verification": found.outcome.value if found is not None else None,
        "verification_reason": str(found.reason) if found is not None and found.reason is not None else None,
    }


def judge(record: FileRecord, options: argparse.Namespace) -> Verdict:
    """Return the verdict for the WebUI of the options, with any published checkpoint that it runs."""
    return verdict(record, HOSTS[options.host])


def fields_of(answer: Verdict) -> dict[str, Any]:
    """Return the fields of JSON output."""
    reason = answer.reason
    is_convertible = obstacle_of(answer) is not None
    return {
        "verdict": NAMES[type(answer)],
        "loadable": isinstance(answer, Usable | AskFirst) and not is_convertible,
        "convertible": is_convertible,
        "code": reason.code if reason is not None else None,
        "reason": str(reason.sentence) if reason is not None else None,
    }
