"""The class that the WebUI's scripts derive from. `modules.scripts` re-exports it, as does the WebUI's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

AlwaysVisible = object()

NOT_CALLED = (
    "after_extra_networks_activate",
    "on_mask_blend",
)
"""Hooks of the WebUI that the stand-in never calls; a script that has one is refused."""


class PostSampleArgs:
    def __init__(self, samples: Any) -> None:
        self.samples = samples


class PostprocessImageArgs:
    def __init__(self, image: Any) -> None:
        self.image = image


class PostProcessMaskOverlayArgs:
    def __init__(self, index: int, mask_for_overlay: Any, overlay_image: Any) -> None:
        self.index = index
        self.mask_for_overlay = mask_for_overlay
        self.overlay_image = overlay_image


class PostprocessBatchListArgs:
    def __init__(self, images: Any) -> None:
        self.images = images


@dataclass
class OnComponent:
    component: Any


class Script:
    """A part of the txt2img and img2img tabs. One object is made of each class for each tab."""

    name: str | None = None
    section: str | None = None
    filename: str | None = None
    args_from: int | None = None
    args_to: int | None = None
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname: str | None = None
    group: Any = None
    create_group = True
    infotext_fields: list[Any] | None = None
    paste_field_names: list[str] | None = None
    api_info: Any = None
    on_before_component_elem_id: list[tuple[str, Callable[..., Any]]] | None = None
    on_after_component_elem_id: list[tuple[str, Callable[..., Any]]] | None = None
    setup_for_ui_only = False
    controls: Any = None

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        """Makes components and gives those whose values the other methods want. The API calls it again, twice."""

    def show(self, is_img2img: bool) -> Any:
        return True

    def run(self, p: Any, *args: Any) -> Any:
        """Called instead of process_images, when it was selected."""

    def setup(self, p: Any, *args: Any) -> None:
        """Called once `p` has its scripts and arguments."""

    def before_process(self, p: Any, *args: Any) -> None:
        """Called before override_settings are applied."""

    def process(self, p: Any, *args: Any) -> None:
        """Called after the VAE's name and hash were noted in `p`."""

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """With batch_number, prompts, seeds, subseeds."""

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """With batch_number, prompts, seeds, subseeds."""

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """With x, noise, c, uc; twice with hires fix."""

    def before_hr(self, p: Any, *args: Any) -> None:
        """Before the second pass, whose model is loaded and whose picture, if need be, encoded."""

    def post_sample(self, p: Any, ps: PostSampleArgs, *args: Any) -> None:
        """With the latents, before they are decoded; with hires fix they are decoded already."""

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """With batch_number and images, a tensor in 0 … 1."""

    def postprocess_batch_list(self, p: Any, pp: PostprocessBatchListArgs, *args: Any, **kwargs: Any) -> None:
        """With batch_number; the images may be replaced."""

    def postprocess_image(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        """With each picture."""

    def postprocess_maskoverlay(self, p: Any, ppmo: PostProcessMaskOverlayArgs, *args: Any) -> None:
        """With each picture's mask, which the stand-in never has."""

    def postprocess_image_after_composite(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        """With each picture, about to be saved."""

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """At the end; the overrides are still applied."""

    def before_component(self, component: Any, **kwargs: Any) -> None:
        """With each component of this script's tab and of all that follow, about to be made."""

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """The same, made."""

    def on_before_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        self.on_before_component_elem_id = self.on_before_component_elem_id or []
        self.on_before_component_elem_id.append((elem_id, callback))

    def on_after_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        self.on_after_component_elem_id = self.on_after_component_elem_id or []
        self.on_after_component_elem_id.append((elem_id, callback))

    def describe(self) -> str:
        return ""

    def elem_id(self, item_id: str) -> str:
        """`script_`, the tab if the script is in both, its title in small letters, and the item."""
        tab = f"{_kind(self)}_" if self.show(True) == self.show(False) else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tab}{title}_{item_id}"


class ScriptBuiltinUI(Script):
    """A part of the page that the WebUI itself makes as a script."""

    setup_for_ui_only = True

    def elem_id(self, item_id: str) -> str:
        tab = f"{_kind(self)}_" if self.show(True) == self.show(False) else ""
        return f"{tab}{item_id}"

    def show(self, is_img2img: bool) -> Any:
        return AlwaysVisible


def _kind(script: Script) -> str:
    return "img2img" if script.is_img2img else "txt2img"
