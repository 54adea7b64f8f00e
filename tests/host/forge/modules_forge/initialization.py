"""Imitates modules_forge/initialization.py: what is done before anything of the WebUI is imported."""

from __future__ import annotations

import os

INITIALIZED = False


def initialize_forge() -> None:
    """Once: the readers, and the hub's caches, which are moved into Forge's own folder where nobody has set them."""
    global INITIALIZED  # as in Forge

    if INITIALIZED:
        return
    INITIALIZED = True
    from modules_forge import patch_basic
    from modules_forge.shared import diffusers_dir

    for name in ("HF_HOME", "HF_DATASETS_CACHE", "HUGGINGFACE_HUB_CACHE", "HUGGINGFACE_ASSETS_CACHE", "HF_HUB_CACHE"):
        os.environ.setdefault(name, diffusers_dir)
    patch_basic.patch_all_basics()
