"""Imitates Forge's modules/api/models.py: hires fix may have modules of its own."""

from __future__ import annotations

from typing import Any

from tests.host.layers import underneath

webui = underneath(globals())


class Txt2ImgRequest(webui.Txt2ImgRequest):  # type: ignore[misc]
    hr_additional_modules: list[Any] | None = None
