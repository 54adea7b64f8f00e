"""Imitates modules/scripts.py: finds the scripts of all extensions and executes them, at the start and at Reload UI.

An extension's folder is in sys.path only while its own scripts are executed.
"""

from __future__ import annotations

import inspect
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType

from modules import errors, extensions, paths, script_callbacks, script_loading, timer
from tests.host.script_class import (  # noqa: F401
    AlwaysVisible,
    OnComponent,
    PostprocessBatchListArgs,
    PostprocessImageArgs,
    PostProcessMaskOverlayArgs,
    PostSampleArgs,
    Script,
    ScriptBuiltinUI,
)
from tests.host.script_runner import ScriptRunner, wrap_call  # noqa: F401

ScriptFile = namedtuple("ScriptFile", ["basedir", "filename", "path"])
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])

scripts_data: list[ScriptClassData] = []
current_basedir = paths.script_path

scripts_txt2img: ScriptRunner | None = None
scripts_img2img: ScriptRunner | None = None
scripts_current: ScriptRunner | None = None


def basedir() -> str:
    """The folder of the extension whose scripts are being executed, else the WebUI's."""
    return current_basedir


def list_scripts(scriptdirname: str, extension: str, *, include_extensions: bool = True) -> list[ScriptFile]:
    """The WebUI's own, then each extension's by name; the stand-in reads no metadata.ini."""
    own = sorted(Path(paths.script_path, scriptdirname).glob(f"*{extension}"))
    found = [ScriptFile(paths.script_path, path.name, str(path)) for path in own]
    for known in extensions.active() if include_extensions else []:
        found += known.list_files(scriptdirname, extension)
    return found


def list_files_with_name(filename: str) -> list[str]:
    folders = [paths.script_path, *(known.path for known in extensions.active())]
    return [str(Path(folder, filename)) for folder in folders if Path(folder, filename).is_file()]


def load_scripts() -> None:
    """Forgets all callbacks and classes, executes every script, and starts with new runners."""
    global current_basedir, scripts_txt2img, scripts_img2img  # as in the WebUI

    scripts_data.clear()
    script_callbacks.clear_callbacks()
    syspath = sys.path
    built_in = list_scripts("modules/processing_scripts", ".py", include_extensions=False)
    for file in list_scripts("scripts", ".py") + built_in:
        try:
            if file.basedir != paths.script_path:
                sys.path = [file.basedir, *sys.path]
            current_basedir = file.basedir
            _register(script_loading.load_module(file.path), file)
        except Exception:
            errors.report(f"Error loading script: {file.filename}", exc_info=True)
        finally:
            sys.path = syspath
            current_basedir = paths.script_path
            timer.startup_timer.record(file.filename)
    scripts_txt2img = ScriptRunner()
    scripts_img2img = ScriptRunner()


def _register(module: ModuleType, file: ScriptFile) -> None:
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, Script):
            scripts_data.append(ScriptClassData(value, file.path, file.basedir, module))
