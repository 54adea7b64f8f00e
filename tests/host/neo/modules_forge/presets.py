"""Imitates modules_forge/presets.py: what each preset remembers by itself, without sizes, samplers and the like."""

from __future__ import annotations

from typing import Any

PRESETS = ("sd", "xl", "flux", "klein", "qwen", "lumina", "zit", "wan", "anima", "ernie", "pid", "krea")


def register(options_templates: dict[str, Any], options_section: Any, OptionInfo: Any) -> None:
    for name in PRESETS:
        hidden = {
            f"forge_checkpoint_{name}": OptionInfo(None),
            f"forge_additional_modules_{name}": OptionInfo([]),
            f"forge_unet_storage_dtype_{name}": OptionInfo("Automatic"),
        }
        options_templates.update(options_section((None, "Forge Hidden Options"), hidden))
