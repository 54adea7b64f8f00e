"""Imitates modules/sd_hijack.py: the text model is wrapped so that emphasis counts; layers are listed for tiling."""

from __future__ import annotations

from typing import Any

import torch

from tests.host.network import TextModelWithEmphasis


class StableDiffusionModelHijack:
    """Without its layers, which a failed VAE load leaves it, tiling raises and emphasis does nothing."""

    layers: list[torch.nn.Module] | None = None
    circular_enabled = False
    clip: Any = None

    def __init__(self) -> None:
        self.extra_generation_params: dict[str, Any] = {}
        self.comments: list[str] = []

    def hijack(self, m: Any) -> None:
        if not isinstance(m.cond_stage_model, TextModelWithEmphasis):
            m.cond_stage_model = TextModelWithEmphasis(m.cond_stage_model)
        self.clip = m.cond_stage_model
        self.layers = list(m.modules())

    def undo_hijack(self, m: Any) -> None:
        if isinstance(m.cond_stage_model, TextModelWithEmphasis):
            m.cond_stage_model = m.cond_stage_model.wrapped
        self.apply_circular(False)
        self.layers = None
        self.clip = None

    def apply_circular(self, enable: bool) -> None:
        """The flag is set before the layers are touched, as in the WebUI."""
        if self.circular_enabled == enable:
            return
        self.circular_enabled = enable
        for layer in self.layers:  # type: ignore[union-attr]
            if type(layer) is torch.nn.Conv2d:
                layer.padding_mode = "circular" if enable else "zeros"

    def clear_comments(self) -> None:
        self.comments = []
        self.extra_generation_params = {}

    def redo_hijack(self, m: Any) -> None:
        self.undo_hijack(m)
        self.hijack(m)


model_hijack = StableDiffusionModelHijack()
