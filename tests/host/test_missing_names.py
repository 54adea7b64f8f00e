"""A WebUI without a name that the extension uses: it starts, makes pictures, and the page names the missing part.

These are a few of each kind; `python tasks.py prove host_names` hides all that the extension's source mentions.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.host import gradios
from tests.host.asking import Picture
from tests.host.fixtures import start_webui
from tests.host.removal import names_in_use
from tests.host.starts import is_right, outcomes

FLAGS = ["webui_is_non_local", "ckpt_dir", "vae_dir", "vae_path", "no_hashing", "freeze_settings", "disable_nan_check"]
NAMES = {
    "webui": [
        "modules.launch_utils.git_tag",
        "modules.options.options_section",
        "modules.script_callbacks.add_callback",
        "modules.processing.StableDiffusionProcessing.override_settings",
        "modules.sd_vae.reload_vae_weights",
        "modules.shared.cmd_opts",
        "modules.ui_extra_networks_checkpoints_user_metadata.CheckpointUserMetadataEditor.update_vae",
    ],
    "forge": [
        "modules.call_queue.queue_lock",
        "modules.processing.StableDiffusionProcessing.override_settings",
        "modules_forge.main_entry.ui_vae",
        "backend.memory_management.load_model_gpu",
    ],
}
HOST = "forge" if gradios.IS_4 else "webui"


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    return {outcome["name"]: outcome for outcome in outcomes(HOST, ["", *NAMES[HOST]])}


def test_with_all_names_there_is_no_fault(found: dict[str, dict[str, object]]) -> None:
    assert is_right(found[""])
    assert found[""]["faults"] == []


@pytest.mark.parametrize("name", NAMES[HOST])
def test_the_webui_starts_without(found: dict[str, dict[str, object]], name: str) -> None:
    assert is_right(found[name]), found[name]


def test_a_start_without_any_of_the_flags(tmp_path: Path) -> None:
    """A separate process, started as a person starts it."""
    hidden = [word for flag in FLAGS for word in ("--without", f"modules.shared.cmd_opts.{flag}")]
    with start_webui(tmp_path, "--as", HOST, "--api", "--step-seconds", "0.001", *hidden) as webui:
        assert Picture(webui).status == 200
        status, state = webui.call("/vae-manager/state")
    assert status == 200
    assert "vm-broken" not in state["regions"]["status"]


def test_the_names_that_the_extension_uses_are_found() -> None:
    """Guard against a run that hides no name."""
    used = names_in_use(None if HOST == "webui" else HOST)
    assert len(used) > 100
    assert set(NAMES[HOST]) <= {*used, *NAMES[HOST]}
