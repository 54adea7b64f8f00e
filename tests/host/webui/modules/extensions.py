"""Imitates modules/extensions.py: the folders of `extensions/`, and those given to the stand-in by --extension."""

from __future__ import annotations

from pathlib import Path

from modules import scripts, shared
from modules.paths_internal import extensions_dir

extensions: list[Extension] = []
extension_paths: dict[str, Extension] = {}

given: dict[str, str] = {}
"""Name -> folder of extensions that do not lie in the data folder. Only the stand-in has this."""

Path(extensions_dir).mkdir(parents=True, exist_ok=True)


class Extension:
    """One installed extension."""

    def __init__(self, name: str, path: str, enabled: bool = True, is_builtin: bool = False) -> None:
        self.name = name
        self.path = path
        self.enabled = enabled
        self.is_builtin = is_builtin
        self.canonical_name = name.lower().strip()

    def list_files(self, subdir: str, extension: str) -> list[scripts.ScriptFile]:
        files = sorted(Path(self.path, subdir).glob("*"))
        return [
            scripts.ScriptFile(self.path, file.name, str(file))
            for file in files
            if file.suffix.lower() == extension and file.is_file()
        ]


def active() -> list[Extension]:
    flags = shared.cmd_opts
    if flags.disable_all_extensions or shared.opts.disable_all_extensions == "all":
        return []
    builtin_only = flags.disable_extra_extensions or shared.opts.disable_all_extensions == "extra"
    return [known for known in extensions if known.enabled and (known.is_builtin or not builtin_only)]


def list_extensions() -> None:
    extensions.clear()
    extension_paths.clear()
    folders = {path.name: str(path) for path in sorted(Path(extensions_dir).glob("*")) if path.is_dir()}
    for name, path in (folders | given).items():
        extension = Extension(name, path, enabled=name not in shared.opts.disabled_extensions)
        extensions.append(extension)
        extension_paths[path] = extension


def find_extension(filename: str) -> Extension | None:
    """The extension whose folder the file lies in."""
    for folder in Path(filename).resolve().parents:
        if str(folder) in extension_paths:
            return extension_paths[str(folder)]
    return None
