"""Imitates Forge's modules/sd_hijack.py, which does nothing."""

from __future__ import annotations

from typing import Any


class StableDiffusionModelHijack:
    def hijack(self, m: Any) -> None:
        pass

    def undo_hijack(self, m: Any) -> None:
        pass

    def apply_circular(self, enable: bool) -> None:
        pass

    def clear_comments(self) -> None:
        pass

    def redo_hijack(self, m: Any) -> None:
        pass


model_hijack = StableDiffusionModelHijack()
