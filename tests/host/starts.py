"""Processes that start the extension without a name of the WebUI (without.py), and what became of each start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from tests.host.removal import ROOT

Outcome = dict[str, Any]


def outcomes(host: str, names: Sequence[str], python: str = sys.executable) -> list[Outcome]:
    """Start a process for all names. A name that ends it has an outcome too, and a new process continues."""
    found: list[Outcome] = []
    while len(found) < len(names):
        with tempfile.TemporaryDirectory() as data:
            command = [python, "-m", "tests.host.without", host, data, *names[len(found) :]]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        told = [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("={")]
        found += told
        if len(found) < len(names):
            found.append({"name": names[len(found)], "started": False, "raised": done.stderr[-1500:]})
    return found


def is_right(outcome: Outcome) -> bool:
    """The WebUI started and made a picture, and its page names the functions that fail."""
    return bool(
        outcome["started"] and outcome.get("picture") == 200 and outcome.get("state") == 200 and outcome.get("shown")
    )
