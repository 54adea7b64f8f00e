"""The latent test among the tiny VAEs, whose two latent spaces are known."""

from __future__ import annotations

import pytest

from .stage import FROM_FILE, Stage
from .test_tried_out import try_out


@pytest.mark.usefixtures("labelled")
def test_which_family_a_file_is_probably_made_for(stage: Stage) -> None:
    """The checkpoints have `base` in them; a is a tune of it, and b has another latent space."""
    stage.begin(FROM_FILE)
    family, found, own = try_out(stage, stage.a)
    assert family == "SD 1.x / 2.x"
    assert found > 0.9 * own
    family, found, own = try_out(stage, stage.b)
    assert family == "SDXL"
    assert found < 0.5 * own
