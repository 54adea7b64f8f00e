"""As modules/sd_hijack.py of reForge: nothing is hijacked."""

from __future__ import annotations

from typing import Any


class StableDiffusionModelHijack:
    layers: Any = None
    circular_enabled = False

    def __init__(self) -> None:
        self.extra_generation_params: dict[str, Any] = {}
        self.comments: list[str] = []

    def hijack(self, m: Any) -> None:
        pass

    def undo_hijack(self, m: Any) -> None:
        pass

    def redo_hijack(self, m: Any) -> None:
        pass

    def apply_circular(self, enable: bool) -> None:
        pass

    def clear_comments(self) -> None:
        self.comments = []
        self.extra_generation_params = {}


model_hijack = StableDiffusionModelHijack()
