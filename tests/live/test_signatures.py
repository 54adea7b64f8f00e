"""The signatures that the stand-in WebUI of tests/host imitates are those of the real one.

A small extension, put into the WebUI's folder for the time of one start, describes them from inside.
`--record-signatures` writes what it says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ..host import signatures
from .conftest import option
from .webui import WebUI

pytestmark = pytest.mark.live

HOST = Path(signatures.__file__).parent
ROUTE = "/vae-manager-live-probe"
PROBE = dedent(
    f"""
    import importlib.util
    from pathlib import Path

    from modules import launch_utils, script_callbacks

    here = Path(__file__).parents[1] / "signatures.py"
    spec = importlib.util.spec_from_file_location("vae_manager_live_signatures", here)
    signatures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(signatures)
    told = {{
        "webui": f"{{launch_utils.git_tag()}} ({{launch_utils.commit_hash()[:8]}})",
        "fork": signatures.fork_here(),
        "surface": signatures.recorded(),  # here, before the WebUI has filled in what is empty when it is imported
    }}
    script_callbacks.on_app_started(lambda demo, app: app.add_api_route("{ROUTE}", lambda: told, methods=["GET"]))
    """
)


@pytest.fixture
def told(webui: WebUI, folder: Path, restart: None) -> Iterator[dict[str, Any]]:
    """What the probe says from inside the WebUI."""
    extension = folder / "extensions" / "vae-manager-live-probe"
    (extension / "scripts").mkdir(parents=True)
    try:
        shutil.copy(signatures.__file__, extension)
        (extension / "scripts" / "probe.py").write_text(PROBE, encoding="utf-8")
        webui.restart()
        yield webui.get(ROUTE)
    finally:
        shutil.rmtree(extension)
        webui.restart()


def test_the_recorded_signatures_are_the_real_ones(pytestconfig: pytest.Config, told: dict[str, Any]) -> None:
    tag, commit = str(told["webui"]).split()
    version = f"{told['fork']}-{commit.strip('()')}" if told["fork"] else tag
    path = HOST / f"signatures-{version}.json"
    if option(pytestconfig, "--record-signatures", False):
        surface = dict(sorted(told["surface"].items()))
        record = {"webui": told["webui"], "how": "described inside the running WebUI", "surface": surface}
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if not path.exists():
        pytest.skip(f"nothing is recorded of {version}: --record-signatures")
    assert told["surface"] == json.loads(path.read_text(encoding="utf-8"))["surface"]
