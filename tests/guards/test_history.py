"""params.txt, the infotext of the last picture, names the VAE that decoded it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .stage import FROM_FILE, Stage
from .ways import HIRES, REFINED


@pytest.fixture
def preferred(stage: Stage) -> Iterator[str]:
    """The VAE that the card of the second checkpoint prefers."""
    stage.begin(FROM_FILE, by_card=True)
    with stage.carded(stage.second, stage.b):
        yield stage.b
    stage.unknown()


@pytest.mark.parametrize("asked", [REFINED, HIRES], ids=["refiner", "hires"])
def test_params_txt_names_the_vae_that_came_with_another_checkpoint(
    stage: Stage, preferred: str, asked: dict[str, object]
) -> None:
    checkpoint = "hr_checkpoint_name" if asked is HIRES else "refiner_checkpoint"
    picture = stage.picture(**{**asked, checkpoint: stage.second})
    assert picture.vae == preferred
    history = (stage.folder / "params.txt").read_text(encoding="utf-8")
    assert stage.webui.named(history) == preferred
    assert stage.picture().vae == stage.a
    assert stage.webui.named((stage.folder / "params.txt").read_text(encoding="utf-8")) == stage.a
