"""Another WebUI of A1111's family: a folder beside `webui/` with the modules that differ, which are found first.

Such a module may begin as A1111's does, with `underneath(globals())`: what it then defines anew counts for what stands
there too.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve().parent
WEBUI = HERE / "webui"


def hosts() -> list[str]:
    """A1111's and the others."""
    return sorted(path.parent.name for path in HERE.glob("*/modules"))


def put_over(name: str) -> None:
    """Let the folder `name` go before A1111's. Called once, before anything of `modules` is imported."""
    folder = HERE / name
    sys.path.insert(0, str(folder))
    for package in (folder / "modules", *(path for path in folder.glob("modules/*") if path.is_dir())):
        of_a1111 = importlib.import_module(".".join(package.relative_to(folder).parts))
        of_a1111.__path__.insert(0, str(package))


def underneath(names: dict[str, Any]) -> SimpleNamespace:
    """Define in a module's globals all that A1111's of the same path defines; gives the same, for what is redefined."""
    source = WEBUI.joinpath(*Path(names["__file__"]).relative_to(HERE).parts[1:])
    before = set(names)
    exec(compile(source.read_text(encoding="utf-8"), source, "exec", dont_inherit=True), names)
    return SimpleNamespace(**{name: names[name] for name in names.keys() - before})
