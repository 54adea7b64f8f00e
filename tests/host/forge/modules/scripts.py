"""Imitates Forge's modules/scripts.py: the folders of extensions stay in sys.path."""

from __future__ import annotations

import sys
from typing import Any

from tests.host.disguise import continue_the_webuis

webui = continue_the_webuis(globals())


class PostprocessImageArgs(webui.PostprocessImageArgs):  # type: ignore[misc]
    def __init__(self, image: Any, index: int) -> None:
        super().__init__(image)
        self.index = index


def load_scripts() -> None:
    for file in webui.list_scripts("scripts", ".py"):
        if file.basedir not in sys.path:
            sys.path = [file.basedir, *sys.path]
    webui.load_scripts()
