"""Imitates Neo's modules/shared.py: no upscaler of latents."""

from __future__ import annotations

from typing import Any

from tests.host.layers import underneath

forge = underneath(globals())

latent_upscale_default_mode = "None"
latent_upscale_modes: dict[str, Any] = {}
