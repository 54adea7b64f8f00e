"""Imitates modules_forge/shared_options.py: the options that only Forge has; Settings shows none of them."""

from __future__ import annotations

from typing import Any


def register(options_templates: dict[str, Any], options_section: Any, OptionInfo: Any) -> None:
    hidden = {
        "forge_unet_storage_dtype": OptionInfo("Automatic"),
        "forge_inference_memory": OptionInfo(1024),
        "forge_async_loading": OptionInfo("Queue"),
        "forge_pin_shared_memory": OptionInfo("CPU"),
        "forge_preset": OptionInfo("sd"),
        "forge_additional_modules": OptionInfo([]),
    }
    options_templates.update(options_section((None, "Forge Hidden options"), hidden))
