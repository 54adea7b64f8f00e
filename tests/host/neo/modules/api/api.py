"""Imitates Neo's modules/api/api.py, of which only the lists of upscalers are asked more."""

from __future__ import annotations

from typing import Any

from modules import shared

from tests.host.layers import underneath

forge = underneath(globals())


class Api(forge.Api):  # type: ignore[misc]
    def routes(self) -> list[tuple[str, str, Any]]:
        upscalers = ("upscalers", "GET", lambda: [{"name": one.name} for one in shared.sd_upscalers])
        of_latents = ("latent-upscale-modes", "GET", lambda: [{"name": name} for name in shared.latent_upscale_modes])
        return [*super().routes(), upscalers, of_latents]
