"""Another WebUI of A1111's family: a folder beside `webui/` with the modules that differ, which are found first.

Such a module may begin as A1111's does, with `underneath(globals())`: what it then defines anew counts for what stands
there too.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WEBUI = HERE / "webui"


def put_over(name: str) -> None:
    """Let the folder `name` go before A1111's. Called once, before anything of `modules` is imported."""
    folder = HERE / name
    if not (folder / "modules").is_dir():
        raise FileNotFoundError(f"there is no stand-in {folder}")
    sys.path.insert(0, str(folder))
    importlib.import_module("modules").__path__.insert(0, str(folder / "modules"))


def underneath(names: dict[str, Any]) -> None:
    """Define in a module's globals all that A1111's module of the same name defines."""
    parts = names["__name__"].split(".")
    source = WEBUI.joinpath(*parts).with_suffix(".py")
    exec(compile(source.read_text(encoding="utf-8"), source, "exec", dont_inherit=True), names)
