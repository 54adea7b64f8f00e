"""Imitates backend/misc/checkpoint_pickle.py: an unpickler that imports and calls whatever the file names."""

from __future__ import annotations

import pickle
from typing import Any

load = pickle.load


class Empty:
    pass


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return Empty if module.startswith("pytorch_lightning") else super().find_class(module, name)
