"""Imitates Forge's modules/sd_vae.py: the WebUI's list and rules, to which nobody listens. What loads does nothing."""

from __future__ import annotations

from typing import Any

from backend.utils import load_torch_file  # noqa: F401 - the checkpoint merger's way to a VAE file (extras.py:225)

from tests.host.layers import underneath

webui = underneath(globals())


def load_vae_dict(filename: str, map_location: str | None) -> None:
    pass


def load_vae(model: Any, vae_file: str | None = None, vae_source: str | None = "from unknown source") -> None:
    pass


def _load_vae_dict(model: Any, vae_dict_1: Any) -> None:
    pass


def clear_loaded_vae() -> None:
    pass


unspecified = object()


def reload_vae_weights(sd_model: Any = None, vae_file: Any = unspecified) -> None:
    pass
