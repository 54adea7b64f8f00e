"""Some hundred swaps at random: no pixel drifts. `tasks.py prove swaps` makes a thousand."""

from __future__ import annotations

import pytest

from .stage import Stage
from .walk import Walk

STEPS = 60


@pytest.mark.usefixtures("bad_files")
def test_no_pixel_drifts(stage: Stage) -> None:
    walk = Walk(stage, seed=1)
    for _ in range(STEPS):
        walk.step(look=True)
    stage.webui.set(sd_checkpoints_limit=1)
    stage.checkpoint(stage.first)
    assert not walk.drifted
    assert not walk.untold
    assert walk.swaps > STEPS
