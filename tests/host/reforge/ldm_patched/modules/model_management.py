"""Imitates ldm_patched/modules/model_management.py on a machine without a GPU: everything is where it decodes."""

from __future__ import annotations

from typing import Any


def load_model_gpu(model: Any) -> None:
    model.loads += 1
