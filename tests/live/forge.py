"""A running Forge, asked in its own way what the checks ask of A1111's WebUI.

Its VAE stands in a list of modules beside the text encoders; `sd_vae` tells Automatic from Built-in where none does.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from .webui import PATIENCE, Picture, WebUI

MODULES = "forge_additional_modules"
SAME = {"hr_additional_modules": ["Use same choices"]}
"""Without it a request with hires fix is a 500 of Forge's own (processing.py:1405)."""

NOT_IN_NEO = ("sd_vae_overrides_per_model_preferences", "sd_checkpoints_limit")
"""Options that Forge Neo has not. With one of them a request for others is a 500 of Neo's own."""
LACKS = {
    "card": "Forge's card editor changes no loaded model",
    "switch, near name": "Forge takes no VAE by its name",
    "setting": "Forge has its VAE in the row at the top; see test_forge_row",
    "quick settings": "Forge has its VAE in the row at the top; see test_forge_row",
}
LACKS_OF_NEO = {
    "switch, both in memory": "Neo has no option sd_checkpoints_limit: one checkpoint is in memory",
    "refiner, both in memory": "Neo has no option sd_checkpoints_limit: one checkpoint is in memory",
    "card first": "Neo has no option sd_vae_overrides_per_model_preferences: a card counts for Automatic alone",
}
ROW_OF_NEO = "setting_sd_modules"
"""The element id of the row, which it has in Neo alone."""


class ForgeWebUI(WebUI):
    loads_with_a_picture = True

    @property
    def lacks(self) -> Mapping[str, str]:  # type: ignore[override]
        return {**LACKS, **(LACKS_OF_NEO if self.is_neo else {})}

    @functools.cached_property
    def is_neo(self) -> bool:
        components = self.get("/config")["components"]
        return any(one["props"].get("elem_id") == ROW_OF_NEO for one in components)

    def modules(self) -> dict[str, str]:
        """Base name and path of each file that Forge lists."""
        return {Path(one["filename"]).name: one["filename"] for one in self.get("/sdapi/v1/sd-modules")}

    def upscalers(self) -> builtins.set[str]:
        if not self.is_neo:
            return super().upscalers()
        return {one["name"] for kind in ("upscalers", "latent-upscale-modes") for one in self.get(f"/sdapi/v1/{kind}")}

    def no_hashing(self) -> bool:
        """The route of the flags is a 500 of Forge's own."""
        try:
            return super().no_hashing()
        except requests.HTTPError:
            self._session.close()  # with a 500 Forge closes it too
            return False

    def listed(self) -> set[str]:
        return {name for name, path in self.modules().items() if "VAE" in Path(path).parts}

    def refresh(self) -> None:
        """By the page's button: Forge has no route for it."""
        self.fire("vae_manager_txt2img_refresh", answers=True)

    def options(self) -> dict[str, Any]:
        options = super().options()
        vaes = [Path(path).name for path in options[MODULES] if "VAE" in Path(path).parts]
        word = "None" if options.get("sd_vae") == "None" else "Automatic"
        return {**options, "sd_vae": vaes[-1] if vaes else word}

    def set(self, **options: Any) -> None:
        super().set(**self.translated(options))

    def ask(self, path: str, data: Any = None) -> tuple[int, Any]:
        if path == "/sdapi/v1/options":
            data = self.translated(data)
        if path.startswith("/sdapi/v1/txt2img"):
            data = self.completed(data)
        try:
            status, answer = super().ask(path, data)
        except requests.ConnectionError:  # Forge closes it together with a 500, at times before that has been read
            status, answer = super().ask(path, data)
        if status == 500:
            self._session.close()
        if isinstance(answer, dict) and "message" in answer:  # an extension of Forge's answers in this form
            answer.setdefault("errors", answer["message"])
        return status, answer

    def as_config(self, options: dict[str, Any]) -> dict[str, Any]:
        word = options["sd_vae"]
        if word is None:
            return {**options, MODULES: None}
        assert self.folder is not None
        return {MODULES: [str(self.folder / "models" / "VAE" / word)]}

    def translated(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.is_neo:
            options = {key: value for key, value in options.items() if key not in NOT_IN_NEO}
        if "sd_vae" not in options:
            return options
        word, others = options["sd_vae"], self._others()
        if word in ("None", "Automatic"):
            return {**options, MODULES: others}
        return {**{key: options[key] for key in options if key != "sd_vae"}, MODULES: [*others, word]}

    def completed(self, asked: dict[str, Any]) -> dict[str, Any]:
        """With what a request of hires fix has to say here: Neo has no default for its upscaler."""
        upscaler = {"hr_upscaler": "None"} if asked.get("enable_hr") and self.is_neo else {}
        return {**SAME, **upscaler, **asked}

    def _others(self) -> list[str]:
        return [path for path in super().options()[MODULES] if "VAE" not in Path(path).parts]

    def _picture(self, kind: str, **asked: Any) -> Picture:
        picture = super()._picture(kind, **(self.completed(asked) if kind == "txt2img" else asked))
        return replace(picture, names=self._stems())

    def named(self, infotext: str) -> str | None:
        return Picture((0, 0), b"", infotext, names=self._stems()).vae

    def _stems(self) -> dict[str, str]:
        """Of two files of one stem, the one that is chosen."""
        chosen = self.option("sd_vae")
        return {Path(name).stem: name for name in sorted(self.listed(), key=lambda name: name == chosen)}


def is_forge(url: str) -> bool:
    return requests.get(f"{url}/sdapi/v1/sd-modules", timeout=PATIENCE).ok
