"""A file that cannot be used changes nothing, by whatever way it comes, and a sentence says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .bad_files import BAD, BadFile
from .stage import STARTS, Stage, assert_told
from .ways import WAYS

UNCHOOSABLE = "this WebUI does not list it, so nobody can choose it"


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("bad_files")
def test_a_bad_file_changes_nothing(stage: Stage, marker: Path, way: str, start: str, bad: BadFile) -> None:
    if bad.name == "bad-locked.safetensors" and os.geteuid() == 0:
        pytest.skip("root may read every file")
    if bad.only_named_otherwise and stage.loads_any_layout:
        pytest.skip("this WebUI can use it; see test_any_layout")
    if bad.name not in stage.listed:
        pytest.skip(UNCHOOSABLE)
    if way in stage.webui.lacks:
        pytest.skip(stage.webui.lacks[way])
    tried = WAYS[way]
    if tried.needs_file and bad.name == "bad-gone.safetensors":
        pytest.skip("a file that has gone is not near a checkpoint")
    if bad.before_use is not None:
        stage.lay([bad], marker)  # an earlier test may have let the WebUI list its files without it
    if tried.switches:
        _ = stage.second_builtin  # to compare with
    stage.begin(start, by_card=tried.by_card, in_memory=tried.in_memory)
    files = sorted(path.name for path in stage.vaes.iterdir())
    told = tried.go(stage, bad.name)
    stage.assert_as_before()
    if told is not None:
        assert_told(told, bad.name)
    assert not marker.exists()
    assert sorted(path.name for path in stage.vaes.iterdir()) == files
