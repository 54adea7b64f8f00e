"""Imitates modules/processing.py: a generation from its overrides to its infotext.

The order matters to extensions: before_process, then override_settings, then the VAE's name and hash are noted, then
process. An override of `sd_vae` swaps there and back on every request, and one on an option that config.json lacks
sticks, because only options that have a value are put back.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from modules import (
    devices,
    errors,
    images,
    infotext_utils,
    launch_utils,
    lowvram,
    paths,
    scripts,
    sd_hijack,
    sd_models,
    sd_vae,
    shared,
)
from modules.sd_samplers_common import (  # noqa: F401
    approximation_indexes,
    decode_first_stage,
    images_tensor_to_samples,
)
from tests.host.generation import (  # noqa: F401
    StableDiffusionProcessing,
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
)

opt_C = 4
opt_f = 8


class Processed:
    """Pictures and what is said of them."""

    def __init__(
        self,
        p: StableDiffusionProcessing,
        images_list: list[Image.Image],
        seed: int = -1,
        info: str = "",
        infotexts: list[str] | None = None,
    ) -> None:
        self.images = images_list
        self.prompt = p.prompt
        self.negative_prompt = p.negative_prompt
        self.seed = seed
        self.info = info
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        for name in _COPIED:
            setattr(self, name, getattr(p, name))
        self.job_timestamp = shared.state.job_timestamp
        self.index_of_first_image = 0
        self.infotexts = infotexts or [info] * len(images_list)
        self.version = program_version()

    def js(self) -> str:
        return json.dumps({key: value for key, value in vars(self).items() if key != "images"}, default=lambda o: None)


_COPIED = (
    "all_prompts",
    "all_negative_prompts",
    "all_seeds",
    "width",
    "height",
    "sampler_name",
    "cfg_scale",
    "steps",
    "batch_size",
    "sd_model_name",
    "sd_model_hash",
    "sd_vae_name",
    "sd_vae_hash",
    "denoising_strength",
    "extra_generation_params",
    "styles",
)


class DecodedSamples(list[torch.Tensor]):
    already_decoded = True


def decode_latent_batch(
    model: Any, batch: torch.Tensor, target_device: torch.device | None = None, check_for_nans: bool = False
) -> DecodedSamples:
    """Where every final decode passes. A NaN changes the VAE's type for the rest of the process, if the options say so.

    Not only this VAE's: `devices.dtype_vae` is what every later one is converted to.
    """
    samples = DecodedSamples()
    if check_for_nans:
        devices.test_for_nans(batch, "unet")
    for place in range(len(batch)):
        sample = decode_first_stage(model, batch[place : place + 1])[0]
        if check_for_nans:
            try:
                devices.test_for_nans(sample, "vae")
            except devices.NansException:
                better = torch.bfloat16 if shared.opts.auto_vae_precision_bfloat16 else torch.float32
                wanted = shared.opts.auto_vae_precision_bfloat16 or shared.opts.auto_vae_precision
                if not wanted or devices.dtype_vae == better:
                    raise
                errors.print_error_explanation(
                    f"A tensor with all NaNs was produced in VAE.\nWeb UI will now convert VAE into {better} and retry."
                )
                devices.dtype_vae = better
                model.first_stage_model.to(better)
                batch = batch.to(better)
                sample = decode_first_stage(model, batch[place : place + 1])[0]
        samples.append(sample if target_device is None else sample.to(target_device))
    return samples


def get_fixed_seed(seed: Any) -> int:
    """A random one for -1 and for nothing."""
    number = -1 if seed in ("", None) else int(seed)
    return random.randrange(1 << 32) if number == -1 else number


def fix_seed(p: StableDiffusionProcessing) -> None:
    p.seed = get_fixed_seed(p.seed)
    p.subseed = get_fixed_seed(p.subseed)


def program_version() -> str | None:
    return launch_utils.git_tag()


def create_infotext(
    p: StableDiffusionProcessing,
    all_prompts: list[str],
    all_seeds: list[int],
    all_subseeds: list[int],
    comments: list[str] | None = None,
    iteration: int = 0,
    position_in_batch: int = 0,
    use_main_prompt: bool = False,
    index: int | None = None,
    all_negative_prompts: list[str] | None = None,
) -> str:
    """Prompt, negative prompt and one line of fields; None leaves a field out, a function is asked for it now."""
    if index is None:
        index = position_in_batch + iteration * p.batch_size
    fields = infotext_fields(p, all_seeds[index])
    negative = (all_negative_prompts or p.all_negative_prompts)[index]
    known = {"prompt_text": all_prompts[index], "negative_prompt": negative, "all_prompts": all_prompts}
    values: dict[str, Any] = {}
    for key, value in fields.items():
        try:
            given = value(p=p, index=index, all_seeds=all_seeds, **known) if callable(value) else value
            values[key] = given[index] if isinstance(given, list) else given
        except Exception:
            errors.report(f'Error creating infotext for key "{key}"', exc_info=True)
    line = ", ".join(
        key if key == value else f"{key}: {infotext_utils.quote(value)}"
        for key, value in values.items()
        if value is not None
    )
    return f"{all_prompts[index]}\n{f'Negative prompt: {negative}' if negative else ''}".strip() + f"\n{line}"


def infotext_fields(p: StableDiffusionProcessing, seed: int) -> dict[str, Any]:
    """In their order; what is a function or a list is made one value later."""
    opts = shared.opts
    return {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "Schedule type": p.scheduler,
        "CFG scale": p.cfg_scale,
        "Seed": seed,
        "Size": f"{p.width}x{p.height}",
        "Model hash": p.sd_model_hash if opts.add_model_hash_to_info else None,
        "Model": p.sd_model_name if opts.add_model_name_to_info else None,
        "VAE hash": p.sd_vae_hash if opts.add_vae_hash_to_info else None,
        "VAE": p.sd_vae_name if opts.add_vae_name_to_info else None,
        "Denoising strength": p.extra_generation_params.get("Denoising strength"),
        "Tiling": "True" if p.tiling else None,
        **p.extra_generation_params,
        "Version": program_version() if opts.add_version_to_infotext else None,
    }


def process_images(p: StableDiffusionProcessing) -> Processed:
    """With its override_settings, which are taken back afterwards."""
    opts = shared.opts
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {key: opts.data[key] for key in p.override_settings if key in opts.data}
    try:
        if p.override_settings.get("sd_model_checkpoint") not in sd_models.checkpoint_aliases:
            p.override_settings.pop("sd_model_checkpoint", None)
            sd_models.reload_model_weights()
        for key, value in p.override_settings.items():
            opts.set(key, value, is_api=True, run_callbacks=False)
            if key == "sd_model_checkpoint":
                sd_models.reload_model_weights()
            if key == "sd_vae":
                sd_vae.reload_vae_weights()
        return process_images_inner(p)
    finally:
        if p.override_settings_restore_afterwards:
            for key, value in stored.items():
                setattr(opts, key, value)
                if key == "sd_vae":
                    sd_vae.reload_vae_weights()


def process_images_inner(p: StableDiffusionProcessing) -> Processed:
    """All batches."""
    seed = get_fixed_seed(p.seed)
    p.tiling = shared.opts.tiling if p.tiling is None else p.tiling
    if p.refiner_checkpoint not in (None, "", "None", "none"):
        p.refiner_checkpoint_info = sd_models.get_closet_checkpoint_match(p.refiner_checkpoint)
        if p.refiner_checkpoint_info is None:
            raise Exception(f"Could not find checkpoint with name {p.refiner_checkpoint}")
    p.sd_model_name = p.sd_model.sd_checkpoint_info.name_for_extra
    p.sd_model_hash = p.sd_model.sd_model_hash
    p.sd_vae_name = sd_vae.get_loaded_vae_name()
    p.sd_vae_hash = sd_vae.get_loaded_vae_hash()
    sd_hijack.model_hijack.apply_circular(p.tiling)
    sd_hijack.model_hijack.clear_comments()
    p.setup_prompts()
    p.all_seeds = [seed + offset for offset in range(len(p.all_prompts))]
    if p.scripts is not None:
        p.scripts.process(p)
    pictures, infotexts = _all_batches(p)
    processed = Processed(p, pictures, p.all_seeds[0], infotexts[0] if infotexts else "", infotexts=infotexts)
    if p.scripts is not None:
        p.scripts.postprocess(p, processed)
    return processed


def _all_batches(p: StableDiffusionProcessing) -> tuple[list[Image.Image], list[str]]:
    """Pictures and their infotexts."""
    with torch.no_grad():
        p.init(p.all_prompts, p.all_seeds, p.all_seeds)
    if shared.state.job_count == -1:
        shared.state.job_count = p.n_iter
    pictures: list[Image.Image] = []
    infotexts: list[str] = []
    for number in range(p.n_iter):
        p.iteration = number
        shared.state.skipped = False
        if shared.state.interrupted or shared.state.stopping_generation:
            break
        _prepare_model(p)
        for image, text in _process_batch(p, number):
            pictures.append(image)
            infotexts.append(text)
    return pictures, infotexts


def _prepare_model(p: StableDiffusionProcessing) -> None:
    """A refiner, or the checkpoint of the second pass, may be loaded from the batch before."""
    sd_models.reload_model_weights()


def _process_batch(p: StableDiffusionProcessing, number: int) -> list[tuple[Image.Image, str]]:
    """One batch: latents, pictures, files."""
    here = slice(number * p.batch_size, (number + 1) * p.batch_size)
    p.prompts, p.negative_prompts, p.seeds = p.all_prompts[here], p.all_negative_prompts[here], p.all_seeds[here]
    told = {"batch_number": number, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.seeds}
    if p.scripts is not None:
        p.scripts.before_process_batch(p, **told)
        p.scripts.process_batch(p, **told)
    p.setup_conds()
    if number == 0 and not shared.cmd_opts.no_prompt_history:
        text = create_infotext(p, p.all_prompts, p.all_seeds, p.all_seeds)
        Path(paths.data_path, "params.txt").write_text(text, encoding="utf-8")
    with torch.no_grad():
        samples = p.sample(
            conditioning=p.c,
            unconditional_conditioning=p.uc,
            seeds=p.seeds,
            subseeds=p.seeds,
            subseed_strength=0,
            prompts=p.prompts,
        )
        if p.scripts is not None:
            holder = scripts.PostSampleArgs(samples)
            p.scripts.post_sample(p, holder)
            samples = holder.samples
        if not getattr(samples, "already_decoded", False):
            devices.test_for_nans(samples, "unet")
            if shared.opts.sd_vae_decode_method != "Full":
                p.extra_generation_params["VAE Decoder"] = shared.opts.sd_vae_decode_method
            samples = decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=True)
    decoded = torch.clamp((torch.stack(list(samples)).float() + 1.0) / 2.0, min=0.0, max=1.0)
    if lowvram.is_enabled(shared.sd_model):
        lowvram.send_everything_to_cpu()
    shared.state.nextjob()
    tensors: Any = decoded
    if p.scripts is not None:
        p.scripts.postprocess_batch(p, decoded, batch_number=number)
        p.prompts, p.negative_prompts = p.all_prompts[here], p.all_negative_prompts[here]
        listed = scripts.PostprocessBatchListArgs(list(decoded))
        p.scripts.postprocess_batch_list(p, listed, batch_number=number)
        tensors = listed.images
    return [_finish(p, tensor, place) for place, tensor in enumerate(tensors)]


def _with_overlay(p: StableDiffusionProcessing, image: Image.Image, place: int) -> Image.Image:
    """What inpainting leaves as it was; never seen by scripts here."""
    if not shared.opts.overlay_inpaint or place >= len(p.overlay_images or []):
        return image
    image = image.convert("RGBA")
    image.alpha_composite(p.overlay_images[place])
    return image.convert("RGB")


def _image_args(p: StableDiffusionProcessing, image: Image.Image, place: int) -> scripts.PostprocessImageArgs:
    return scripts.PostprocessImageArgs(image)


def _finish(p: StableDiffusionProcessing, tensor: torch.Tensor, place: int) -> tuple[Image.Image, str]:
    """One picture: scripts, infotext, file."""
    image = Image.fromarray((255.0 * tensor.permute(1, 2, 0).cpu().numpy()).astype(np.uint8))
    if p.scripts is not None:
        holder = _image_args(p, image, place)
        p.scripts.postprocess_image(p, holder)
        p.scripts.postprocess_maskoverlay(p, scripts.PostProcessMaskOverlayArgs(place, None, None))
        image = _with_overlay(p, holder.image, place)
        holder = _image_args(p, image, place)
        p.scripts.postprocess_image_after_composite(p, holder)
        image = holder.image
    text = create_infotext(p, p.prompts, p.seeds, p.seeds, index=place, all_negative_prompts=p.negative_prompts)
    if p.save_samples():
        images.save_image(image, p.outpath_samples, "", p.seeds[place], p.prompts[place], info=text, p=p)
    if shared.opts.enable_pnginfo:
        image.info["parameters"] = text
    return image, text
