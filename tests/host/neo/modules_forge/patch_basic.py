"""Imitates Neo's modules_forge/patch_basic.py: safetensors files are not read through it, pickles are."""

from __future__ import annotations

from typing import Any

import torch

from tests.host.layers import underneath

forge = underneath(globals())
build_loaded: Any = forge.build_loaded


def patch_all_basics() -> None:
    build_loaded(torch, "load")
