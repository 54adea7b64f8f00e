"""Imitates modules/shared_items.py: the choices of some dropdowns."""

from __future__ import annotations

from collections.abc import Iterator


def sd_vae_items() -> list[str]:
    from modules import sd_vae

    return ["Automatic", "None", *sd_vae.vae_dict]


def refresh_vae_list() -> None:
    from modules import sd_vae

    sd_vae.refresh_vae_list()


def list_checkpoint_tiles(use_short: bool = False) -> list[str]:
    from modules import sd_models

    return sd_models.checkpoint_tiles(use_short)


def refresh_checkpoints() -> None:
    from modules import sd_models

    sd_models.list_models()


ui_reorder_categories_builtin_items = [
    "image",
    "sampler",
    "accordions",
    "dimensions",
    "cfg",
    "denoising",
    "seed",
    "batch",
    "override_settings",
]


def ui_reorder_categories() -> Iterator[str]:
    """The parts of a generation tab, the sections that scripts have made up, and the scripts last."""
    from modules import scripts

    yield from ui_reorder_categories_builtin_items
    both = scripts.scripts_txt2img.scripts + scripts.scripts_img2img.scripts
    named = dict.fromkeys(script.section for script in both if isinstance(script.section, str))
    yield from (section for section in named if section not in ui_reorder_categories_builtin_items)
    yield "scripts"
