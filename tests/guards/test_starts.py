"""The WebUI starts with whatever VAE its settings name: a bad one leaves the checkpoint its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .bad_files import BAD, READ_IN_TWO_WAYS
from .stage import FROM_BUILTIN, Stage, assert_told

STARTED_WITH = (
    "bad-missing-key.safetensors",
    "bad-one-nan.safetensors",
    "bad-hostile.ckpt",
    *(bad.name for bad in READ_IN_TWO_WAYS),
    "bad-pipe.safetensors",
    "bad-wan.safetensors",
    "nowhere.safetensors",
)


@pytest.fixture
def start_with(stage: Stage) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Starts the WebUI anew with other settings; a value of None: without that one."""
    if stage.webui.restart_command is None:
        pytest.skip("needs a way to restart the WebUI: --restart-command CMD")
    config = stage.folder / "config.json"
    before = config.read_text(encoding="utf-8") if config.exists() else "{}"

    def start(changed: dict[str, Any]) -> None:
        settings = {**json.loads(before), **stage.webui.as_config(changed)}
        kept = {name: value for name, value in settings.items() if value is not None}
        config.write_text(json.dumps(kept), encoding="utf-8")
        stage.webui.restart()
        stage.unknown()

    yield start
    stage.webui.set(sd_vae="None")


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize("name", STARTED_WITH)
def test_a_start_with_a_bad_vae(
    stage: Stage, marker: Path, start_with: Callable[[dict[str, Any]], None], name: str
) -> None:
    builtin = stage.begin(FROM_BUILTIN)
    start_with({"sd_vae": name})
    given = stage.picture()
    assert given.vae is None
    assert given.vae_hash is None
    assert given.looks_like(builtin)
    assert stage.webui.option("sd_vae") == name
    assert name in stage.status()
    if name in {bad.name for bad in BAD}:
        assert_told(stage.status(), name)
    assert not marker.exists()
    stage.webui.choose(stage.a)
    assert stage.picture().vae == stage.a
    stage.webui.choose("None")
    assert stage.picture().looks_like(builtin)


def test_an_override_does_not_stick_where_no_vae_was_ever_set(
    stage: Stage, start_with: Callable[[dict[str, Any]], None]
) -> None:
    builtin = stage.begin(FROM_BUILTIN)
    start_with({"sd_vae": None})
    assert stage.picture(override_settings={"sd_vae": stage.a}).vae == stage.a
    assert stage.webui.option("sd_vae") == "Automatic"
    after = stage.picture()
    assert after.vae is None
    assert after.looks_like(builtin)
