"""Another WebUI of A1111's family: a folder beside `webui/` with the modules that differ, which are found first.

Such a module may begin as A1111's does, with `underneath(globals())`: what it then defines anew counts for what stands
there too. Neo's folder is laid over Forge's, and that over A1111's.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve().parent
WEBUI = HERE / "webui"


BELOW = {"neo": ("forge",), "neo_newer": ("neo", "forge")}
"""The folders between a host's own and A1111's, from the top."""
LAYER = "__layer__"
"""The folder whose source is executed now, in the globals of a module that has several."""


def hosts() -> list[str]:
    """A1111's and the others."""
    return sorted(path.parent.name for path in HERE.glob("*/modules"))


def put_over(name: str) -> None:
    """Let the folder `name` go before those below it. Called once, before anything of `modules` is imported."""
    folders = [HERE / layer for layer in (*reversed(BELOW.get(name, ())), name)]
    for folder in folders:
        sys.path.insert(0, str(folder))
    for folder in folders:
        for path in _packages(folder):
            package = importlib.import_module(".".join(path.relative_to(folder).parts))
            if str(path) not in package.__path__:
                package.__path__.insert(0, str(path))


def _packages(folder: Path) -> list[Path]:
    """Those that a folder below has too: parents first."""
    tops = [path for path in sorted(folder.iterdir()) if path.name in ("modules", "modules_forge", "backend")]
    below = [path for top in tops for path in sorted(top.iterdir()) if path.is_dir() and path.name != "__pycache__"]
    return [*tops, *below]


def underneath(names: dict[str, Any]) -> SimpleNamespace:
    """Define in a module's globals all that the folder below defines at that path; gives it, for what is redefined."""
    own, *inside = Path(names["__file__"]).relative_to(HERE).parts
    layer = names.get(LAYER, own)
    below = (*BELOW.get(layer, ()), WEBUI.name)
    base = next(name for name in below if HERE.joinpath(name, *inside).exists())
    source = HERE.joinpath(base, *inside)
    before = set(names)
    names[LAYER] = base
    exec(compile(source.read_text(encoding="utf-8"), source, "exec", dont_inherit=True), names)
    names[LAYER] = layer
    return SimpleNamespace(**{name: names[name] for name in names.keys() - before})
