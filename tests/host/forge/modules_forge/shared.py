"""Imitates modules_forge/shared.py: a folder of Forge's own."""

from __future__ import annotations

from pathlib import Path

from modules.paths_internal import models_path

diffusers_dir = str(Path(models_path, "diffusers"))
Path(diffusers_dir).mkdir(parents=True, exist_ok=True)
