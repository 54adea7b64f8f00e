"""Imitates Forge's modules/infotext_utils.py: modules in a pasted infotext become an override of all of them."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modules import shared
from modules_forge import main_entry

from tests.host.layers import underneath

webui = underneath(globals())

infotext_to_setting_name_mapping = [("VAE/TE", "forge_additional_modules")]


def parse_generation_parameters(x: str, skip_fields: Iterable[str] | None = None) -> dict[str, Any]:
    """With "VAE/TE", the names of files, where the infotext has other modules than the options."""
    fields: dict[str, Any] = webui.parse_generation_parameters(x, skip_fields)
    if fields.get("Model") is not None and fields["Model"] in shared.opts.sd_model_checkpoint:
        del fields["Model"]
    vae = fields.pop("VAE", None)
    modules = [vae] if vae else [_file(fields[key]) for key in fields if key.startswith("Module ")]
    chosen = [Path(path).name for path in shared.opts.forge_additional_modules]
    if modules and sorted(modules) != sorted(chosen):
        fields["VAE/TE"] = modules
    of_hires = [fields[key] for key in fields if key.startswith("Hires Module ")]
    first = fields.get("Hires Module 1", "Use same choices")
    if first in ("Use same choices", "Built-in"):
        fields["Hires VAE/TE"] = [] if first == "Built-in" else [first]
    else:
        fields["Hires VAE/TE"] = [_file(stem) for stem in of_hires if _file(stem) in main_entry.module_list]
    return fields


def _file(stem: str) -> str:
    """The first module of that name without its ending; else the name as it is."""
    return next((name for name in main_entry.module_list if Path(name).stem == stem), stem)


def create_override_settings_dict(text_pairs: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = webui.create_override_settings_dict(text_pairs)
    given = {key: value.strip() for key, _, value in (pair.partition(":") for pair in text_pairs or [])}
    if "VAE/TE" in given:
        settings["forge_additional_modules"] = literal_eval(given["VAE/TE"])
    return settings


def get_override_settings(params: dict[str, Any], *, skip_fields: Any = None) -> list[tuple[str, str, Any]]:
    overrides: list[tuple[str, str, Any]] = webui.get_override_settings(params, skip_fields=skip_fields)
    modules = params.get("VAE/TE")
    if modules is not None and "VAE/TE" not in (skip_fields or {}) and not shared.opts.disable_weights_auto_swap:
        overrides.append(("VAE/TE", "forge_additional_modules", list(modules)))
    return overrides
