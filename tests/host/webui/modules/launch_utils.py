"""Imitates modules/launch_utils.py: the version, and the install.py of each extension in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from modules import cmd_args, errors
from modules.paths_internal import extensions_dir, script_path
from modules.timer import startup_timer

args, _ = cmd_args.parser.parse_known_args()

TAG = "v1.10.1"


def git_tag() -> str:
    """The version; `git describe --tags` in the WebUI."""
    return TAG


def is_installed(package: str) -> bool:
    """By distribution or by module name."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        try:
            return importlib.util.find_spec(package) is not None
        except ModuleNotFoundError:
            return False
    return True


def run_pip(command: str, desc: str | None = None, live: bool = False) -> str:
    """The WebUI would install; here everything that an extension may want is there already."""
    raise RuntimeError(f"the stand-in installs nothing: pip {command}")


def run_extension_installer(extension_dir: str) -> None:
    """Runs install.py in the WebUI's folder; an error is printed and the start goes on."""
    installer = Path(extension_dir, "install.py")
    if not installer.is_file():
        return
    environment = {**os.environ, "PYTHONPATH": f"{script_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, str(installer)], env=environment, cwd=script_path, capture_output=True, encoding="utf8"
    )
    if done.returncode != 0:
        errors.report(
            f"Error running install.py for extension {extension_dir}.\nError code: {done.returncode}\n"
            f"stdout: {done.stdout}\nstderr: {done.stderr}"
        )
    elif done.stdout.strip():
        print(done.stdout.strip())


def run_extensions_installers(settings_file: str, given: Mapping[str, str] = MappingProxyType({})) -> None:
    """Every extension of the data folder, then `given`, name -> folder: the stand-in's that lie elsewhere."""
    installed = {path.name: str(path) for path in sorted(Path(extensions_dir).glob("*")) if path.is_dir()}
    with startup_timer.subcategory("run extensions installers"):
        for name, folder in {**installed, **given}.items():
            run_extension_installer(folder)
            startup_timer.record(name)
