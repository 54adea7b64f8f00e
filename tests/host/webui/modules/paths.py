"""Imitates modules/paths.py: the folders again, and the WebUI's own folder first in sys.path."""

from __future__ import annotations

import sys

import modules.safe  # noqa: F401  # replaces torch.load for everybody, as in the WebUI
from modules.paths_internal import (  # noqa: F401
    cwd,
    data_path,
    extensions_builtin_dir,
    extensions_dir,
    models_path,
    script_path,
)

if script_path not in sys.path:
    sys.path.insert(0, script_path)
