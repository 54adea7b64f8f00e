"""`python -m tests.host.without HOST DATA NAME …`: one process that starts the extension anew for each name it lacks.

For each name the extension is imported afresh, the page is built, a picture is made through the API, and the state of
the page is requested. Prints one line of JSON each, see `Outcome`; an empty name hides no name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from tests.host.data import make_data_dir
from tests.host.disguise import ROOT, become_the_webui
from tests.host.layers import WEBUI
from tests.host.removal import PACKAGE, hide

NAME = "sd-webui-vae-manager"
REQUEST = {"prompt": "a house", "steps": 1, "width": 32, "height": 32, "seed": 1}


@dataclass
class Outcome:
    name: str
    started: bool = False
    """The page was built, and no callback of the extension raised in the WebUI."""
    picture: int = 0
    """The status of the request."""
    state: int = 0
    faults: list[str] = field(default_factory=list)
    """Faults that the extension recorded."""
    shown: bool = False
    """True if the status of the page names each of them, or the missing name."""
    adapter: str = ""
    raised: str = ""
    """Error of a failed start."""
    said: str = ""
    """The WebUI's report of a callback of the extension that raised."""
    seconds: float = 0.0


def prepare(host: str, data: Path) -> None:
    """Everything that a start needs once."""
    make_data_dir(data)
    become_the_webui(["--data-dir", str(data), "--port", "0", "--api", "--no-half", "--skip-load-model-at-start"], host)
    initialize: Any = importlib.import_module("modules.initialize")
    from modules import extensions

    extensions.given.update({NAME: str(ROOT)})
    initialize.imports()
    initialize.fix_asyncio_event_loop_policy()
    initialize.configure_opts_onchange()
    sd_models: Any = importlib.import_module("modules.sd_models")
    sd_models.setup_model()
    from tests.host import sampling

    sampling.step_seconds = 0.0


def forget_the_extension() -> None:
    """Restore the modules of before the extension was loaded."""
    from modules import patches, shared

    for place, name in list(patches.originals["vae-manager"]):
        patches.undo("vae-manager", place, name)
    for known in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[known]
    for option in [name for name in shared.opts.data_labels if name.startswith("vae_manager_")]:
        del shared.opts.data_labels[option]


def start_without(name: str) -> Outcome:
    outcome, began, printed = Outcome(name), time.perf_counter(), io.StringIO()
    forget_the_extension()
    show: Callable[[], None] = hide(name) if name else lambda: None
    try:
        with contextlib.redirect_stderr(printed):
            _start(outcome)
    except Exception:
        outcome.raised = traceback.format_exc()[-1500:]
    finally:
        show()
    told = [line for line in printed.getvalue().splitlines() if line.startswith("*** Error")]
    outcome.said = "\n".join(told)
    outcome.started = outcome.started and not told
    outcome.seconds = round(time.perf_counter() - began, 2)
    return outcome


def _start(outcome: Outcome) -> None:
    import gradio as gr
    from modules import script_callbacks, shared, ui
    from starlette.testclient import TestClient

    initialize: Any = importlib.import_module("modules.initialize")
    webui: Any = importlib.import_module("webui")
    initialize.initialize_rest()
    script_callbacks.before_ui_callback()
    shared.demo = ui.create_ui()
    app = gr.routes.App.create_app(shared.demo)
    webui.create_api(app)
    script_callbacks.app_started_callback(shared.demo, app)
    outcome.started = True
    client = TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)
    made = client.post("/sdapi/v1/txt2img", json=REQUEST)
    outcome.picture = made.status_code
    if made.status_code != 200:
        outcome.raised = made.text[:1500]
    answer = client.get("/vae-manager/state")
    outcome.state = answer.status_code
    status = answer.json().get("regions", {}).get("status", "") if answer.status_code == 200 else ""
    faults: Any = importlib.import_module("vae_manager.webui.faults")
    surfaces: Any = importlib.import_module("vae_manager.webui.hosts.host_values")
    outcome.adapter = surfaces.host_here()
    outcome.faults = [str(fault.message) for fault in faults.FAULTS.all()]
    named = [str(fault.function) for fault in faults.FAULTS.all()]
    if outcome.adapter == "unknown":
        named.append(outcome.name.rpartition(".")[2])
    outcome.shown = all(text in unescape(status) for text in named)


def work(names: list[str]) -> None:
    for name in names:
        try:
            outcome = start_without(name)
        except LookupError as error:
            outcome = Outcome(name, raised=f"no such owner: {error}")
        print("=" + json.dumps(asdict(outcome)), flush=True)


def main() -> None:
    import os

    host, data, *names = sys.argv[1:]
    logging.getLogger("vae_manager").addHandler(logging.NullHandler())
    prepare(host, Path(data).resolve())
    if host == WEBUI.name:
        work(names)
        os._exit(0)
    thread = threading.Thread(target=lambda: (work(names), os._exit(0)))  # type: ignore[func-returns-value]
    thread.start()
    importlib.import_module("modules_forge.main_thread").loop()  # pictures are made in this thread


if __name__ == "__main__":
    main()
