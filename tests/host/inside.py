"""A small extension for tests that look at a host, or act in it, from inside: it runs the lines that it is given."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.host.fixtures import WebUI

SCRIPT = dedent('''
    """Runs the lines of a test, and notes in which thread the hooks of a generation run."""

    import threading

    import inside_package
    from modules import script_callbacks, scripts


    class Inside(scripts.Script):
        def title(self):
            return "Inside"

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def process(self, p):
            import torch

            main = threading.current_thread() is threading.main_thread()
            inside_package.processed = {"main_thread": main, "inference_mode": torch.is_inference_mode_enabled()}


    def run(request: dict):
        names = {}
        exec(request["lines"], names)
        return names["answer"]


    def started(demo, app):
        inside_package.app = app
        app.add_api_route("/inside", run, methods=["POST"])


    script_callbacks.on_app_started(started)
''')


def install_inside(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "inside"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "inside.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "inside_package.py").write_text("processed = None\n", encoding="utf-8")


def inside(webui: WebUI, lines: str) -> Any:
    """What the lines have put into `answer`; they run in a thread of the server."""
    status, answer = webui.call("/inside", {"lines": dedent(lines)})
    assert status == 200, answer
    return answer
