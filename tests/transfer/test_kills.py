"""Killed (SIGKILL) at random moments: thirty times here, three hundred times by `python tasks.py prove kills`."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.hub import Hub, Link

from .killing import Killer
from .ordering import COMMIT, MB, NAME, REPO, sha256, some_bytes

DATA = some_bytes(40 * MB)
ROUNDS = 10
KILLS_A_ROUND = 3
CONNECTIONS = 8
MOST_TWICE = 16 * MB
"""Bytes for each kill."""
SEED = 20261123


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")
def test_thirty_kills(hub: Hub, tmp_path: Path) -> None:
    hub.cdn.link = Link(rate_per_connection=10 * MB)
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    chance = random.Random(SEED)
    hits = 0
    with Killer(hub, sha256(DATA), CONNECTIONS) as killer:
        whole = killer.seconds_undisturbed(tmp_path / "first")
        for number in range(ROUNDS):
            twice, hit = killer.one_round(tmp_path / f"round-{number}", KILLS_A_ROUND, whole, chance)
            assert twice <= KILLS_A_ROUND * MOST_TWICE, f"{twice / MB:.1f} MB twice"
            hits += hit
    assert hits >= ROUNDS * KILLS_A_ROUND / 2, "most kills hit a download"
