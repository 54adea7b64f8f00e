"""Imitates Neo's scripts/xyz_grid.py: the axis for VAEs overrides by a path.

What is wrong there and here: a name is made lower case first, so that of a file with a capital in it is a KeyError.
"""

from __future__ import annotations

from typing import Any

from modules import sd_vae

from tests.host.layers import underneath

forge = underneath(globals())

LABELS = tuple(one for one in forge.LABELS if one[0] not in ("FP8 mode", "UniPC Order", "Hires sampler"))


def find_vae(name: str | None) -> str:
    if name is None or (name := name.strip().lower()) == "none":
        return "None"
    if name in ("auto", "automatic"):
        return "Automatic"
    return str(sd_vae.vae_dict[name])


def apply_vae(p: Any, x: str, xs: Any) -> None:
    p.override_settings["sd_vae"] = find_vae(x)


forge.webui.APPLIED["VAE"] = forge.webui.APPLIED["VAE"]._replace(apply=apply_vae)


class SharedSettingsStackHelper:
    """Nothing is loaded at the end: the next picture loads what the options say."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass
