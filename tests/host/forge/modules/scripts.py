"""Imitates Forge's modules/scripts.py: the folders of extensions stay in sys.path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modules import paths

from tests.host.layers import underneath

webui = underneath(globals())


HERE = Path(__file__).resolve().parents[1]


def list_scripts(scriptdirname: str, extension: str, *, include_extensions: bool = True) -> list[Any]:
    """With Forge's own in the place of the WebUI's."""
    listed = webui.list_scripts(scriptdirname, extension, include_extensions=include_extensions)
    own = {path.name: str(path) for path in Path(HERE, scriptdirname).glob(f"*{extension}")}
    return [
        file._replace(path=own[file.filename]) if file.basedir == paths.script_path and file.filename in own else file
        for file in listed
    ]


class PostprocessImageArgs(webui.PostprocessImageArgs):  # type: ignore[misc]
    def __init__(self, image: Any, index: int) -> None:
        super().__init__(image)
        self.index = index


def load_scripts() -> None:
    for file in list_scripts("scripts", ".py"):
        if file.basedir not in sys.path:
            sys.path = [file.basedir, *sys.path]
    webui.load_scripts()
