"""Imitates modules/script_loading.py: a script is executed anew each time, as a module that is not in sys.modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

loaded_scripts: dict[str, ModuleType] = {}


given: list[str] = []
"""Folders of extensions that do not lie in the data folder. Only the stand-in has this."""


def preload_extensions(extensions_dir: str, parser: Any, extension_list: list[str] | None = None) -> None:
    """Let each extension add its flags."""
    folder = Path(extensions_dir)
    names = extension_list if extension_list is not None else [path.name for path in sorted(folder.glob("*"))]
    for script in (*(folder / name / "preload.py" for name in names), *(Path(path, "preload.py") for path in given)):
        if not script.is_file():
            continue
        try:
            module = load_module(str(script))
            if hasattr(module, "preload"):
                module.preload(parser)
        except Exception as error:
            print(f"Error running preload() for {script}: {error!r}")


def load_module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded_scripts[path] = module
    return module
