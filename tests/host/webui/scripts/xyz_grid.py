"""Imitates scripts/xyz_grid.py: pictures in a grid, each with other values, without legends.

The axes are all there, in the WebUI's order, since a request names them by number; the stand-in knows the ones of
`APPLIED`. What is wrong there and here: all cells share one dict of `override_settings`, a cell that fails is an empty
picture, and where the first one of a grid fails before it has prompts, all of it does.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import gradio as gr
from modules import errors, images, processing, scripts, sd_models, sd_vae
from modules.processing import Processed, process_images
from modules.shared import state
from PIL import Image

_BOTH, _TXT2IMG, _IMG2IMG = "both", "txt2img", "img2img"

LABELS = (
    ("Nothing", _BOTH),
    ("Seed", _BOTH),
    ("Var. seed", _BOTH),
    ("Var. strength", _BOTH),
    ("Steps", _BOTH),
    ("Hires steps", _TXT2IMG),
    ("CFG Scale", _BOTH),
    ("Image CFG Scale", _IMG2IMG),
    ("Prompt S/R", _BOTH),
    ("Prompt order", _BOTH),
    ("Sampler", _TXT2IMG),
    ("Hires sampler", _TXT2IMG),
    ("Sampler", _IMG2IMG),
    ("Checkpoint name", _BOTH),
    ("Negative Guidance minimum sigma", _BOTH),
    ("Sigma Churn", _BOTH),
    ("Sigma min", _BOTH),
    ("Sigma max", _BOTH),
    ("Sigma noise", _BOTH),
    ("Schedule type", _BOTH),
    ("Schedule min sigma", _BOTH),
    ("Schedule max sigma", _BOTH),
    ("Schedule rho", _BOTH),
    ("Beta schedule alpha", _BOTH),
    ("Beta schedule beta", _BOTH),
    ("Eta", _BOTH),
    ("Clip skip", _BOTH),
    ("Denoising", _BOTH),
    ("Initial noise multiplier", _BOTH),
    ("Extra noise", _BOTH),
    ("Hires upscaler", _TXT2IMG),
    ("Cond. Image Mask Weight", _IMG2IMG),
    ("VAE", _BOTH),
    ("Styles", _BOTH),
    ("UniPC Order", _BOTH),
    ("Face restore", _BOTH),
    ("Token merging ratio", _BOTH),
    ("Token merging ratio high-res", _BOTH),
    ("Always discard next-to-last sigma", _BOTH),
    ("SGM noise multiplier", _BOTH),
    ("Refiner checkpoint", _BOTH),
    ("Refiner switch at", _BOTH),
    ("RNG source", _BOTH),
    ("FP8 mode", _BOTH),
    ("Size", _BOTH),
)


def find_vae(name: str) -> str:
    """The file of that name, in whatever case; Automatic for one that is not there. The line comes in any case."""
    name = name.strip().lower()
    if name in ("auto", "automatic"):
        return "Automatic"
    if name == "none":
        return "None"
    print(f"No VAE found for {name}; using Automatic")
    return next((known for known in sd_vae.vae_dict if known.lower() == name), "Automatic")


def apply_field(field: str) -> Callable[[Any, Any, Any], None]:
    return lambda p, x, xs: setattr(p, field, x)


def apply_vae(p: Any, x: str, xs: Any) -> None:
    p.override_settings["sd_vae"] = find_vae(x)


def apply_checkpoint(p: Any, x: str, xs: Any) -> None:
    info = sd_models.get_closet_checkpoint_match(x)
    if info is None:
        raise RuntimeError(f"Unknown checkpoint: {x}")
    p.override_settings["sd_model_checkpoint"] = info.name


class AxisOption(NamedTuple):
    """Without a way to apply it, it is one that the stand-in refuses."""

    label: str
    type: Callable[[Any], Any] = str
    apply: Callable[[Any, Any, Any], None] | None = None
    cost: float = 0.0
    choices: Callable[[], list[str]] | None = None


APPLIED = {
    option.label: option
    for option in (
        AxisOption("Nothing", str, lambda p, x, xs: None),
        AxisOption("Seed", int, apply_field("seed")),
        AxisOption("Steps", int, apply_field("steps")),
        AxisOption("Denoising", float, apply_field("denoising_strength")),
        AxisOption(
            "Checkpoint name",
            str,
            apply_checkpoint,
            1.0,
            lambda: sorted(sd_models.checkpoints_list, key=str.casefold),
        ),
        AxisOption("VAE", str, apply_vae, 0.7, lambda: ["Automatic", "None", *sd_vae.vae_dict]),
        AxisOption(
            "Refiner checkpoint",
            str,
            apply_field("refiner_checkpoint"),
            1.0,
            lambda: ["None", *sorted(sd_models.checkpoints_list, key=str.casefold)],
        ),
        AxisOption("Refiner switch at", float, apply_field("refiner_switch_at")),
    )
}


class SharedSettingsStackHelper:
    """Whatever the cells have loaded, in the end it is what the options say."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, tb: Any) -> None:
        sd_models.reload_model_weights()
        sd_vae.reload_vae_weights()


class Axis(NamedTuple):
    option: AxisOption
    values: list[Any]
    vary_seeds: bool


class Script(scripts.Script):
    def title(self) -> str:
        return "X/Y/Z plot"

    def ui(self, is_img2img: bool) -> list[Any]:
        tab = _IMG2IMG if is_img2img else _TXT2IMG
        self.current_axis_options = [
            APPLIED.get(label, AxisOption(label)) for label, where in LABELS if where in (_BOTH, tab)
        ]
        labels = [option.label for option in self.current_axis_options]
        made: list[Any] = []
        for name, first in (("X", 1), ("Y", 0), ("Z", 0)):
            kind, values = f"{name.lower()}_type", f"{name.lower()}_values"
            made += [
                gr.Dropdown(
                    label=f"{name} type", choices=labels, value=labels[first], type="index", elem_id=self.elem_id(kind)
                ),
                gr.Textbox(label=f"{name} values", lines=1, elem_id=self.elem_id(values)),
                gr.Dropdown(label=f"{name} values", visible=False, multiselect=True, interactive=True),
            ]
        boxes = {
            "draw_legend": gr.Checkbox(label="Draw legend", value=True, elem_id=self.elem_id("draw_legend")),
            **{
                name: gr.Checkbox(label=label, value=False, elem_id=self.elem_id(name))
                for name, label in (
                    ("include_lone_images", "Include Sub Images"),
                    ("include_sub_grids", "Include Sub Grids"),
                    ("no_fixed_seeds", "Keep -1 for seeds"),
                    ("vary_seeds_x", "Vary seeds for X"),
                    ("vary_seeds_y", "Vary seeds for Y"),
                    ("vary_seeds_z", "Vary seeds for Z"),
                )
            },
        }
        margin = gr.Slider(
            label="Grid margins (px)", minimum=0, maximum=500, value=0, step=2, elem_id=self.elem_id("margin_size")
        )
        csv_mode = gr.Checkbox(
            label="Use text inputs instead of dropdowns", value=False, elem_id=self.elem_id("csv_mode")
        )
        return [*made, *boxes.values(), margin, csv_mode]

    def run(
        self,
        p: Any,
        x_type: int | None,
        x_values: str,
        x_values_dropdown: list[str],
        y_type: int | None,
        y_values: str,
        y_values_dropdown: list[str],
        z_type: int | None,
        z_values: str,
        z_values_dropdown: list[str],
        draw_legend: bool,
        include_lone_images: bool,
        include_sub_grids: bool,
        no_fixed_seeds: bool,
        vary_seeds_x: bool,
        vary_seeds_y: bool,
        vary_seeds_z: bool,
        margin_size: int,
        csv_mode: bool,
    ) -> Processed:
        """The grid, then, if wanted, each z's own and the pictures alone."""
        if not no_fixed_seeds:
            processing.fix_seed(p)
        x_axis = self._axis(x_type, x_values, x_values_dropdown, csv_mode, vary_seeds_x)
        y_axis = self._axis(y_type, y_values, y_values_dropdown, csv_mode, vary_seeds_y)
        z_axis = self._axis(z_type, z_values, z_values_dropdown, csv_mode, vary_seeds_z)
        with SharedSettingsStackHelper():
            processed = draw_xyz_grid(self.title(), p, x_axis, y_axis, z_axis)
        grids = 1 + len(z_axis.values)
        if not processed.images:
            return processed
        if not include_lone_images:
            processed.images = processed.images[:grids]
        if not include_sub_grids:
            for listed in (processed.images, processed.all_prompts, processed.all_seeds, processed.infotexts):
                del listed[1:grids]
        return processed

    def _axis(self, kind: int | None, text: str, chosen: list[str], csv_mode: bool, vary_seeds: bool) -> Axis:
        option = self.current_axis_options[kind or 0]
        if option.apply is None:
            raise NotImplementedError(f"the stand-in has no axis {option.label!r}")
        if option.label == "Nothing":
            return Axis(option, [0], vary_seeds)
        if option.choices is None or csv_mode:
            chosen = [value.strip() for row in csv.reader(io.StringIO(text), skipinitialspace=True) for value in row]
        return Axis(option, [option.type(value) for value in chosen], vary_seeds)


def draw_xyz_grid(title: str, p: Any, x_axis: Axis, y_axis: Axis, z_axis: Axis) -> Processed:
    """All cells, with the axis that costs most in the outer loop, and their grids in front of them."""
    xs, ys, zs = x_axis.values, y_axis.values, z_axis.values
    size = len(xs) * len(ys) * len(zs)
    state.job_count = size * p.n_iter
    result: Any = None
    told: dict[int, str] = {}
    named_tensors = [(x, y, z) for z in range(len(zs)) for y in range(len(ys)) for x in range(len(xs))]
    outer, middle = _loops(x_axis.option.cost, y_axis.option.cost, z_axis.option.cost)
    for done, (x, y, z) in enumerate(sorted(named_tensors, key=lambda place: (place[outer], place[middle]))):
        state.job = f"{done + 1} out of {size}"
        processed, infotext = _cell(title, p, ((x_axis, x), (y_axis, y), (z_axis, z)))
        if infotext:
            told[z] = infotext
        if result is None:
            result = copy(processed)
            result.images, result.infotexts = [None] * size, [""] * size
            result.all_prompts, result.all_seeds = [None] * size, [None] * size
            result.index_of_first_image = 1
        index = x + y * len(xs) + z * len(xs) * len(ys)
        if processed.images:
            result.images[index], result.infotexts[index] = processed.images[0], processed.infotexts[0]
            result.all_prompts[index], result.all_seeds[index] = processed.prompt, processed.seed
        else:
            first = result.images[0]
            result.images[index] = Image.new(first.mode, first.size) if first else Image.new("P", (p.width, p.height))
    if result is None or not any(result.images):
        return Processed(p, [])
    layer = len(xs) * len(ys)
    grids = [images.image_grid(result.images[z * layer : (z + 1) * layer], rows=len(ys)) for z in range(len(zs))]
    result.images = [images.image_grid(grids, rows=1), *grids, *result.images]
    result.infotexts = [told.get(0, ""), *(told.get(z, "") for z in range(len(zs))), *result.infotexts]
    result.all_prompts = [p.prompt] * len(zs) + result.all_prompts
    result.all_seeds = [p.seed] * len(zs) + result.all_seeds
    return result


def _loops(*costs: float) -> tuple[int, int]:
    """The axes of the two outer loops: the one that costs most, if one does, and of the others the dearer one."""
    dearest = [axis for axis in range(3) if all(costs[axis] > costs[other] for other in range(3) if other != axis)]
    if not dearest:
        return 2, 1
    earlier, later = (axis for axis in range(3) if axis != dearest[0])
    return dearest[0], earlier if costs[earlier] > costs[later] else later


def _cell(title: str, p: Any, named_tensors: tuple[tuple[Axis, int], ...]) -> tuple[Processed, str]:
    """One picture, of a shallow copy of `p`; an error gives none. With a grid's first comes the grid's infotext."""
    if state.interrupted or state.stopping_generation:
        return Processed(p, [], p.seed, ""), ""
    own = copy(p)
    for axis, place in named_tensors:
        assert axis.option.apply is not None
        axis.option.apply(own, axis.values[place], axis.values)
    stride = 1
    for axis, place in named_tensors:
        if axis.vary_seeds:
            own.seed += place * stride
            stride *= len(axis.values)
    try:
        done = process_images(own)
    except Exception as error:
        errors.display(error, "generating image for xyz plot")
        done = Processed(p, [], p.seed, "")
    if any(place for _, place in named_tensors[:2]):
        return done, ""
    own.extra_generation_params = {**own.extra_generation_params, "Script": title}
    for name, (axis, _) in zip("XYZ", named_tensors, strict=True):
        if axis.option.label != "Nothing":
            values = ", ".join(str(value) for value in axis.values)
            own.extra_generation_params |= {f"{name} Type": axis.option.label, f"{name} Values": values}
    return done, processing.create_infotext(own, own.all_prompts, own.all_seeds, own.all_seeds)
