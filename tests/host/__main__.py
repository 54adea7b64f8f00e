"""`python -m tests.host --data DIR --port PORT`: start the stand-in WebUI. Flags of the WebUI itself may follow.

--as HOST          another WebUI of A1111's family: the folder beside webui/ with what differs there
--extension PATH   an extension that does not lie in DIR/extensions; may be repeated. The repository, if absent
--no-extension     only what lies in DIR/extensions
--half             the WebUI's own types; without it --no-half is given, since a CPU is slow at float16
--step-seconds S   how long one step of a generation takes
--without NAME     the extension does not find this name of the WebUI; may be repeated
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.host.data import make_data_dir
from tests.host.disguise import ROOT, become_the_webui
from tests.host.forking import end_with_parent
from tests.host.layers import hosts

NAME = "sd-webui-vae-manager"
"""The folder below extensions/ that the repository would be cloned into."""


def main() -> None:
    end_with_parent()
    parser = argparse.ArgumentParser(prog="python -m tests.host", allow_abbrev=False)
    parser.add_argument("--as", dest="host", choices=hosts(), default="webui")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--extension", type=Path, action="append", default=[])
    parser.add_argument("--no-extension", action="store_true")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--step-seconds", type=float, default=0.02)
    parser.add_argument("--without", action="append", default=[])
    own, flags = parser.parse_known_args()
    given = {path.resolve().name: str(path.resolve()) for path in own.extension} or {NAME: str(ROOT)}
    data = make_data_dir(own.data.resolve())
    types = [] if own.half else ["--no-half"]
    become_the_webui(["--data-dir", str(data), "--port", str(own.port), *types, *flags], own.host)
    _start({} if own.no_extension else given, own.step_seconds, own.without)


def _start(given: dict[str, str], step_seconds: float, hidden: list[str]) -> None:
    from modules import script_loading

    script_loading.given[:] = given.values()  # before the flags are read
    import modules.initialize as initialize  # before gradio, as a fork may want it
    from modules import extensions, launch_utils, shared

    launch_utils.run_extensions_installers(shared.config_filename, given)
    extensions.given.update(given)
    initialize.imports()
    import webui

    from tests.host import sampling
    from tests.host.removal import hide

    for name in hidden:
        hide(name)

    sampling.step_seconds = step_seconds

    if shared.cmd_opts.nowebui:
        webui.api_only()
    else:
        webui.webui()


main()
