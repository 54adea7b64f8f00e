"""Imitates the few helpers of modules/util.py that the stand-in uses."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modules.paths_internal import cwd


def natural_sort_key(s: str, regex: re.Pattern[str] = re.compile("([0-9]+)")) -> list[int | str]:
    """`vae2` before `vae10`, whatever the case."""
    return [int(part) if part.isdigit() else part.lower() for part in regex.split(s)]


def truncate_path(target_path: str, base_path: str = cwd) -> str:
    """Relative to `base_path` when it lies below it, else absolute."""
    target, base = os.path.abspath(target_path), os.path.abspath(base_path)  # noqa: PTH100  # follows no links
    try:
        return Path(target).relative_to(base).as_posix()
    except ValueError:
        return target


class MassFileLister:
    """Whether files exist, looked up once a folder: a file that came later is not there until it is told."""

    def __init__(self) -> None:
        self.cached_dirs: dict[str, set[str]] = {}

    def exists(self, path: str) -> bool:
        dirname, filename = os.path.split(path)
        if dirname not in self.cached_dirs:
            self.cached_dirs[dirname] = set(os.listdir(dirname))  # noqa: PTH208  # as the WebUI's keys are spelled
        return filename in self.cached_dirs[dirname]

    def reset(self) -> None:
        self.cached_dirs.clear()

    def update_file_entry(self, path: str) -> None:
        dirname, filename = os.path.split(path)
        if dirname in self.cached_dirs and os.path.exists(path):  # noqa: PTH110
            self.cached_dirs[dirname].add(filename)
