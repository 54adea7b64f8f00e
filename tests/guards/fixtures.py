"""Fixtures that do not depend on which WebUI it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from vae_manager.maintenance import key_of

from .bad_files import BAD
from .stage import Stage


@pytest.fixture(scope="session")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a hostile file would write."""
    return tmp_path_factory.mktemp("hostile") / "code-has-run"


@pytest.fixture(scope="module")
def bad_files(stage: Stage, marker: Path) -> Iterator[None]:
    """All bad files lie in the VAE folder."""
    bad_here = [bad for bad in BAD if not (bad.only_named_otherwise and stage.loads_any_layout)]
    stage.lay(bad_here, marker)
    yield
    stage.clear(bad_here)
    stage.unknown()


@pytest.fixture(autouse=True)
def set_up_anew_after_a_failure(stage: Stage, request: pytest.FixtureRequest) -> Iterator[None]:
    before = request.session.testsfailed
    yield
    if request.session.testsfailed != before:
        stage.unknown()


@pytest.fixture
def labelled(stage: Stage) -> Iterator[None]:
    """Label the files SD1 after the test: the manager would ask about a guess of another family at each later pick."""
    yield
    for name in (stage.a, stage.b):
        action = {"do": "set-family", "file": key_of(stage.vaes / name), "family": "sd1"}
        assert stage.webui.fire("vae_manager_txt2img_act", json.dumps(action), answers=True)[0] == 200
