"""Imitates modules/gradio_extensons.py (spelt so): every component tells the scripts that it is made, and has classes.

Also `tooltip`, a keyword that gradio does not know (of ToolButton alone under gradio 4, whose components refuse what
they do not know), and pictures that are served from where they were saved.
"""

from __future__ import annotations

import functools
from typing import Any

import gradio as gr

from modules import patches, script_callbacks, scripts, ui_tempdir
from tests.host import gradios


def _announced(original: Any, *, tooltip: bool) -> Any:
    """`__init__` with the scripts' callbacks before and after it."""

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if gradios.in_event():
            original(self, *args, **kwargs)
            return
        if tooltip:
            self.webui_tooltip = kwargs.pop("tooltip", None)
        if scripts.scripts_current is not None:
            scripts.scripts_current.before_component(self, **kwargs)
        script_callbacks.before_component_callback(self, **kwargs)
        original(self, *args, **kwargs)
        self.elem_classes = [f"gradio-{self.get_block_name()}", *(self.elem_classes or [])]
        if getattr(self, "multiselect", False):
            self.elem_classes.append("multiselect")
        script_callbacks.after_component_callback(self, **kwargs)
        if scripts.scripts_current is not None:
            scripts.scripts_current.after_component(self, **kwargs)

    return init


def _config_with_tooltip(original: Any) -> Any:
    @functools.wraps(original)
    def get_config(self: Any) -> dict[str, Any]:
        config: dict[str, Any] = original(self)
        if getattr(self, "webui_tooltip", None):
            config["webui_tooltip"] = self.webui_tooltip
        return config

    return get_config


def _replace(owner: Any, field: str, replacement: Any) -> None:
    patches.patch(__name__, obj=owner, field=field, replacement=replacement)


_replace(gradios.Component, "__init__", _announced(gradios.Component.__init__, tooltip=True))
_replace(gr.blocks.BlockContext, "__init__", _announced(gr.blocks.BlockContext.__init__, tooltip=False))
_replace(gr.blocks.Block, "get_config", _config_with_tooltip(gr.blocks.Block.get_config))

ui_tempdir.install_ui_tempdir_override()
