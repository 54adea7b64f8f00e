"""Makes this process look like the WebUI's, or that of a fork: working directory, sys.path, sys.argv."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WEBUI = HERE / "webui"


def hosts() -> list[str]:
    """The WebUI and its forks."""
    return sorted(path.parent.name for path in HERE.glob("*/modules"))


def become_the_webui(flags: list[str], host: str = "webui") -> None:
    """Its folder is the working directory and first in sys.path; the repository's is not in sys.path any more.

    What is imported from `tests` later is still found, since the package itself is loaded. Another `host` is a folder
    beside the WebUI's, with those modules alone in which it differs: they are found first.
    """
    sys.argv = ["launch.py", *flags]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    sys.path[:] = [str(WEBUI), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
    os.chdir(WEBUI)
    if host != WEBUI.name:
        _lay_over(HERE / host)


def _lay_over(folder: Path) -> None:
    """Its top-level modules come before the WebUI's, and so do those of its packages that the WebUI has too."""
    sys.path.insert(0, str(folder))
    for package in (folder / "modules", *(path for path in folder.glob("modules/*") if path.is_dir())):
        name = ".".join(package.relative_to(folder).parts)
        importlib.import_module(name).__path__.insert(0, str(package))


def continue_the_webuis(namespace: dict[str, Any]) -> SimpleNamespace:
    """Runs the WebUI's module of the same path in the namespace of another host's, which then says what differs.

    So the WebUI's functions call the host's own where it has one of that name. What they were before is given back.
    """
    path = WEBUI.joinpath(*Path(namespace["__file__"]).relative_to(HERE).parts[1:])
    before = set(namespace)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True), namespace)
    return SimpleNamespace(**{name: namespace[name] for name in namespace.keys() - before})
