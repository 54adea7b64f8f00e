"""Forge Neo has a list of quick settings, as A1111 has, beside its own row for VAEs: the list is the person's."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

from ..host.fixtures import start_webui
from ..host.inside import inside, install_inside

MINE = ["CLIP_stop_at_last_layers", "samples_format"]

LIKE_NEO = dedent('''
    """Registers the option as Neo does."""

    from modules import script_callbacks, shared
    from modules.options import OptionInfo
    from modules.ui_components import DropdownMulti


    def register():
        names = lambda: {"choices": list(shared.opts.data_labels)}
        info = OptionInfo([], "Quicksettings list", DropdownMulti, names, section=("ui", "User interface"))
        shared.opts.add_option("quicksettings_list", info)


    script_callbacks.on_ui_settings(register)
''')

ASK = """
from modules import shared
from tests.host.edges import _is_ours
from vae_manager.webui.hosts.forge.adapter import the_host

known = shared.demo.fns
events = list(known.values()) if isinstance(known, dict) else known
writers = [
    event.fn.__qualname__
    for event in events
    if event.fn is not None
    and _is_ours(event.fn)
    and any(getattr(one, "elem_id", None) == "setting_quicksettings_list" for one in event.outputs)
]
there = "setting_quicksettings_list" in [getattr(block, "elem_id", None) for block in shared.demo.blocks.values()]
answer = [there, writers, the_host().quick_settings()]
"""


def test_the_list_is_read_as_it_is_and_never_written(tmp_path: Path) -> None:
    install_inside(tmp_path)
    extension = tmp_path / "extensions" / "like-neo" / "scripts"
    extension.mkdir(parents=True)
    (extension / "like_neo.py").write_text(LIKE_NEO, encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"quicksettings_list": MINE}), encoding="utf-8")
    repository = str(Path(__file__).resolve().parents[2])
    flags = ("--as", "forge", "--api", "--extension", repository, "--step-seconds", "0.001")
    with start_webui(tmp_path, *flags) as webui:
        is_there, writers, read = inside(webui, ASK)
    assert is_there
    assert writers == []
    assert read == MINE
