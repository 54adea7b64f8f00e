"""Every call from the WebUI into the extension is wrapped in an error boundary (vae_manager/webui/faults.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.host import gradios
from tests.host.fixtures import start_webui
from tests.host.inside import inside, install_inside

KINDS = {"callback", "hook", "patch", "event", "setting"}


@pytest.mark.parametrize("host", ["forge"] if gradios.IS_4 else ["webui", "reforge"])
def test_no_registration_goes_round_the_edge(tmp_path: Path, host: str) -> None:
    install_inside(tmp_path)
    repository = str(Path(__file__).resolve().parents[2])
    flags = ("--as", host, "--api", "--extension", repository, "--step-seconds", "0.001")
    with start_webui(tmp_path, *flags) as webui:
        lines = "from tests.host.edges import kinds, without_edge\nanswer = [kinds(), without_edge()]"
        found, missing = inside(webui, lines)
    assert found.keys() == KINDS
    assert missing == []
