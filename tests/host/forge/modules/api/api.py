"""Imitates Forge's modules/api/api.py: options go through sysinfo, and modules are listed instead of VAEs."""

from __future__ import annotations

from typing import Any

from modules import sysinfo

from tests.host.layers import underneath

webui = underneath(globals())


class Api(webui.Api):  # type: ignore[misc]
    def routes(self) -> list[tuple[str, str, Any]]:
        kept = [route for route in super().routes() if route[0] != "sd-vae"]
        return [*kept, ("sd-modules", "GET", self.get_sd_vaes_and_text_encoders)]

    def get_config(self) -> dict[str, Any]:
        return sysinfo.get_config()

    def set_config(self, req: dict[str, Any]) -> None:
        sysinfo.set_config(req)

    def get_sd_vaes_and_text_encoders(self) -> list[dict[str, str]]:
        from modules_forge.main_entry import module_list

        return [{"model_name": name, "filename": path} for name, path in module_list.items()]
