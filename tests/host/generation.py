"""What a generation is asked for and what became of it: the classes that `modules.processing` re-exports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import devices, images, sd_models, sd_samplers, shared
from PIL import Image

from tests.host import sampling


@dataclass(repr=False)
class StableDiffusionProcessing:
    """What is to be generated, and what became of it."""

    sd_model: object = None
    outpath_samples: str | None = None
    outpath_grids: str | None = None
    prompt: Any = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: Any = None
    denoising_strength: float | None = None
    override_settings: Any = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    restore_faces: bool | None = None
    """Given to scripts, and not done."""
    overlay_images: list[Any] | None = None

    color_corrections: Any = field(default=None, init=False)
    """Never made here."""
    scripts_value: Any = field(default=None, init=False)
    script_args_value: Any = field(default=None, init=False)
    scripts_setup_complete: bool = field(default=False, init=False)
    comments: Any = None
    all_prompts: Any = field(default=None, init=False)
    all_negative_prompts: Any = field(default=None, init=False)
    all_seeds: Any = field(default=None, init=False)
    iteration: int = field(default=0, init=False)
    prompts: Any = field(default=None, init=False)
    negative_prompts: Any = field(default=None, init=False)
    seeds: Any = field(default=None, init=False)
    user: str | None = field(default=None, init=False)
    sd_model_name: str | None = field(default=None, init=False)
    sd_model_hash: str | None = field(default=None, init=False)
    sd_vae_name: str | None = field(default=None, init=False)
    sd_vae_hash: str | None = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)
    is_hr_pass: bool = field(default=False, init=False)
    c: Any = field(default=None, init=False)
    uc: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.comments = {}
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args or {}
        self.refiner_checkpoint_info: Any = None

    @property  # type: ignore[no-redef]
    def sd_model(self) -> Any:  # noqa: F811  # taken by the constructor and ignored, as in the WebUI
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value: object) -> None:
        pass

    @property
    def scripts(self) -> Any:
        return self.scripts_value

    @scripts.setter
    def scripts(self, value: Any) -> None:
        self.scripts_value = value
        self._setup_scripts_once()

    @property
    def script_args(self) -> Any:
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        self._setup_scripts_once()

    def _setup_scripts_once(self) -> None:
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self) -> None:
        self.scripts_setup_complete = True
        self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    def setup_prompts(self) -> None:
        given = self.prompt if isinstance(self.prompt, list) else [self.prompt] * (self.batch_size * self.n_iter)
        self.all_prompts = list(given)
        self.all_negative_prompts = [self.negative_prompt] * len(self.all_prompts)

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        pass

    def setup_conds(self) -> None:
        """By the text model that is loaded now; the refiner has it done again."""
        self.c = shared.sd_model.get_learned_conditioning(self.prompts)
        self.uc = shared.sd_model.get_learned_conditioning(self.negative_prompts)

    def get_conds(self) -> tuple[Any, Any]:
        return self.c, self.uc

    def sample(
        self,
        conditioning: Any,
        unconditional_conditioning: Any,
        seeds: list[int],
        subseeds: list[int],
        subseed_strength: float,
        prompts: list[str],
    ) -> Any:
        raise NotImplementedError

    def save_samples(self) -> bool:
        stopped = shared.state.interrupted or shared.state.skipped
        wanted = shared.opts.samples_save and not self.do_not_save_samples
        return bool(wanted and (shared.opts.save_incomplete_images or not stopped))

    def close(self) -> None:
        self.c = self.uc = None

    def _before_sampling(self, x: Any, noise: Any, c: Any, uc: Any) -> None:
        if self.scripts is not None:
            self.scripts.process_before_every_sampling(p=self, x=x, noise=noise, c=c, uc=uc)


def _overlay(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture where it stays, and nothing where the mask is white."""
    overlay = picture.convert("RGBA")
    overlay.putalpha(mask.convert("L").resize(picture.size).point(lambda value: 255 - value))
    return overlay


def pixels_of(pictures: list[Image.Image]) -> torch.Tensor:
    """`[n, 3, height, width]` in 0 … 1, of the VAE's type."""
    array = np.stack([np.asarray(picture).astype(np.float32) / 255.0 for picture in pictures])
    return torch.from_numpy(array).permute(0, 3, 1, 2).to(shared.device, dtype=devices.dtype_vae)


def pictures_of(decoded: torch.Tensor) -> list[Image.Image]:
    """From -1 … 1."""
    tensors = torch.clamp((decoded.float() + 1.0) / 2.0, min=0.0, max=1.0).permute(0, 2, 3, 1)
    return [Image.fromarray((255.0 * tensor.cpu().numpy()).astype(np.uint8)) for tensor in tensors]


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    """Denoising starts at noise; with `enable_hr` it goes on in a larger picture, perhaps by another checkpoint.

    An upscaler of latents needs no VAE in between; one of pictures has it decode and, with the second pass's model
    already loaded, encode. What comes out of the second pass is decoded already.
    """

    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: Any = ""
    hr_negative_prompt: Any = ""

    hr_checkpoint_info: Any = field(default=None, init=False)
    hr_upscale_to_x: int = field(default=0, init=False)
    hr_upscale_to_y: int = field(default=0, init=False)
    truncate_x: int = field(default=0, init=False)
    truncate_y: int = field(default=0, init=False)
    latent_scale_mode: Any = field(default=None, init=False)
    hr_c: Any = field(default=None, init=False)
    hr_uc: Any = field(default=None, init=False)
    all_hr_prompts: Any = field(default=None, init=False)
    all_hr_negative_prompts: Any = field(default=None, init=False)

    def calculate_target_resolution(self) -> None:
        """The size of the second pass: by the scale, by one side, or by both, where what is too much is cut off."""
        wide, high = self.hr_resize_x, self.hr_resize_y
        if wide == 0 and high == 0:
            self.extra_generation_params["Hires upscale"] = self.hr_scale
            self.hr_upscale_to_x = int(self.width * self.hr_scale)
            self.hr_upscale_to_y = int(self.height * self.hr_scale)
            return
        self.extra_generation_params["Hires resize"] = f"{wide}x{high}"
        if high == 0 or (wide != 0 and self.width / self.height < wide / high):
            self.hr_upscale_to_x, self.hr_upscale_to_y = wide, wide * self.height // self.width
        else:
            self.hr_upscale_to_x, self.hr_upscale_to_y = high * self.width // self.height, high
        if wide != 0 and high != 0:
            self.truncate_x = (self.hr_upscale_to_x - wide) // sampling.FACTOR
            self.truncate_y = (self.hr_upscale_to_y - high) // sampling.FACTOR

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        if not self.enable_hr:
            return
        told = self.extra_generation_params
        told["Denoising strength"] = self.denoising_strength
        if self.hr_checkpoint_name and self.hr_checkpoint_name != "Use same checkpoint":
            self.hr_checkpoint_info = sd_models.get_closet_checkpoint_match(self.hr_checkpoint_name)
            if self.hr_checkpoint_info is None:
                raise Exception(f"Could not find checkpoint with name {self.hr_checkpoint_name}")
            told["Hires checkpoint"] = self.hr_checkpoint_info.short_title
        if self.hr_sampler_name not in (None, self.sampler_name):
            told["Hires sampler"] = self.hr_sampler_name
        told["Hires prompt"] = _unless_same("all_hr_prompts", "prompt_text")
        told["Hires negative prompt"] = _unless_same("all_hr_negative_prompts", "negative_prompt")
        mode = shared.latent_upscale_default_mode if self.hr_upscaler is None else self.hr_upscaler
        self.latent_scale_mode = shared.latent_upscale_modes.get(mode)
        if self.latent_scale_mode is None and not any(one.name == self.hr_upscaler for one in shared.sd_upscalers):
            raise Exception(f"could not find upscaler named {self.hr_upscaler}")
        self.calculate_target_resolution()
        state = shared.state
        if not state.processing_has_refined_job_count:
            state.job_count = (self.n_iter if state.job_count == -1 else state.job_count) * 2
            state.processing_has_refined_job_count = True
        if self.hr_second_pass_steps:
            told["Hires steps"] = self.hr_second_pass_steps
        if self.hr_upscaler is not None:
            told["Hires upscaler"] = self.hr_upscaler

    def setup_prompts(self) -> None:
        super().setup_prompts()
        if self.enable_hr:
            count = self.batch_size * self.n_iter
            self.hr_prompt = self.prompt if self.hr_prompt == "" else self.hr_prompt
            self.hr_negative_prompt = self.hr_negative_prompt or self.negative_prompt
            self.all_hr_prompts = self.hr_prompt if isinstance(self.hr_prompt, list) else [self.hr_prompt] * count
            self.all_hr_negative_prompts = [self.hr_negative_prompt] * count

    def calculate_hr_conds(self) -> None:
        if self.hr_c is None:
            here = slice(self.iteration * self.batch_size, (self.iteration + 1) * self.batch_size)
            self.hr_uc = shared.sd_model.get_learned_conditioning(self.all_hr_negative_prompts[here])
            self.hr_c = shared.sd_model.get_learned_conditioning(self.all_hr_prompts[here])

    def setup_conds(self) -> None:
        """In the second pass it is the refiner that asks."""
        self.hr_c = self.hr_uc = None
        if self.is_hr_pass:
            self.calculate_hr_conds()
        else:
            super().setup_conds()

    def get_conds(self) -> tuple[Any, Any]:
        return (self.hr_c, self.hr_uc) if self.is_hr_pass else super().get_conds()

    def sample(
        self,
        conditioning: Any,
        unconditional_conditioning: Any,
        seeds: list[int],
        subseeds: list[int],
        subseed_strength: float,
        prompts: list[str],
    ) -> Any:
        from modules import processing

        x = sampling.noise_for(self, self.height, self.width)
        self._before_sampling(x, x, conditioning, unconditional_conditioning)
        samples = sampling.sample(self, x)
        if not self.enable_hr:
            return samples
        decoded = None
        if self.latent_scale_mode is None:
            batch = processing.decode_latent_batch(
                self.sd_model, samples, target_device=devices.cpu, check_for_nans=True
            )
            decoded = torch.stack(list(batch)).to(dtype=torch.float32)
        with sd_models.SkipWritingToConfig():
            self.load_model_of_hr_pass()
        return self.sample_hr_pass(samples, decoded, seeds, subseeds, subseed_strength, prompts)

    def load_model_of_hr_pass(self) -> None:
        sd_models.reload_model_weights(info=self.hr_checkpoint_info)

    def sample_hr_pass(
        self,
        samples: torch.Tensor,
        decoded_samples: torch.Tensor | None,
        seeds: list[int],
        subseeds: list[int],
        subseed_strength: float,
        prompts: list[str],
    ) -> Any:
        """The second pass. An error in it leaves `is_hr_pass` on, as in the WebUI."""
        from modules import processing

        if shared.state.interrupted:
            return samples
        self.is_hr_pass = True
        if decoded_samples is None:
            samples = self._enlarge_latents(samples, seeds, prompts)
        else:
            samples = self._enlarge_pictures(decoded_samples, seeds, prompts)
        shared.state.nextjob()
        wide, high = self.truncate_x, self.truncate_y
        samples = samples[
            :, :, high // 2 : samples.shape[2] - (high + 1) // 2, wide // 2 : samples.shape[3] - (wide + 1) // 2
        ]
        noise = sampling.noise_for(self, *(side * sampling.FACTOR for side in samples.shape[2:]))
        self.calculate_hr_conds()
        if self.scripts is not None:
            self.scripts.before_hr(self)
        self._before_sampling(samples, noise, self.hr_c, self.hr_uc)
        samples = sampling.sample_img2img(self, samples, noise, steps=self.hr_second_pass_steps or self.steps)
        finished = processing.decode_latent_batch(
            self.sd_model, samples, target_device=devices.cpu, check_for_nans=True
        )
        self.is_hr_pass = False
        return finished

    def _enlarge_latents(self, samples: torch.Tensor, seeds: list[int], prompts: list[str]) -> torch.Tensor:
        for place in range(len(samples)):
            if self._saves_intermediate():
                # By the model of the second pass, which is loaded by now
                self._save(sd_samplers.sample_to_image(samples, place, approximation=0), place, seeds, prompts)
        size = (self.hr_upscale_to_y // sampling.FACTOR, self.hr_upscale_to_x // sampling.FACTOR)
        return torch.nn.functional.interpolate(samples, size=size, **self.latent_scale_mode)

    def _enlarge_pictures(self, decoded: torch.Tensor, seeds: list[int], prompts: list[str]) -> torch.Tensor:
        from modules import processing

        pictures = pictures_of(decoded)
        for place, picture in enumerate(pictures):
            if self._saves_intermediate():
                self._save(picture, place, seeds, prompts)
        size = (self.hr_upscale_to_x, self.hr_upscale_to_y)
        larger = pixels_of([images.resize_image(0, one, *size, upscaler_name=self.hr_upscaler) for one in pictures])
        way = shared.opts.sd_vae_encode_method
        if way != "Full":
            self.extra_generation_params["VAE Encoder"] = way
        return processing.images_tensor_to_samples(larger, processing.approximation_indexes.get(way))

    def _saves_intermediate(self) -> bool:
        return bool(self.save_samples() and shared.opts.save_images_before_highres_fix)

    def _save(self, image: Image.Image, place: int, seeds: list[int], prompts: list[str]) -> None:
        from modules import processing

        info = processing.create_infotext(
            self, self.all_prompts, self.all_seeds, self.all_seeds, [], self.iteration, place
        )
        suffix = "-before-highres-fix"
        images.save_image(
            image, self.outpath_samples, "", seeds[place], prompts[place], info=info, p=self, suffix=suffix
        )

    def close(self) -> None:
        super().close()
        self.hr_c = self.hr_uc = None


def _unless_same(field_name: str, told_as: str) -> Any:
    """A part of the infotext that is worked out late: one picture's prompt of the second pass, if it has its own."""

    def own(p: Any, index: int, **known: Any) -> Any:
        prompt = getattr(p, field_name)[index]
        return prompt if prompt != known[told_as] else None

    return own


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    """Denoising starts at the given picture, encoded by the VAE in use."""

    init_images: list[Any] | None = None
    denoising_strength: float = 0.75
    mask: Any = None
    """What is white in it is made anew; all of the picture is denoised, and the original laid over the rest."""
    init_latent: Any = field(default=None, init=False)

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        from modules import processing

        if not self.init_images:
            raise ValueError("no picture to start from")
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        flat = [image.convert("RGB") for image in self.init_images]
        given = [images.resize_image(0, image, self.width, self.height) for image in flat]
        if len(given) == 1:
            given *= self.batch_size
        elif len(given) > self.batch_size:
            raise RuntimeError(f"bad number of images passed: {len(given)}; expecting {self.batch_size} or less")
        self.batch_size = len(given)
        if self.mask is not None:
            self.overlay_images = [_overlay(picture, self.mask) for picture in given]
        way = shared.opts.sd_vae_encode_method
        if way != "Full":
            self.extra_generation_params["VAE Encoder"] = way
        pixels = pixels_of(given)
        approximation = processing.approximation_indexes.get(way)
        self.init_latent = processing.images_tensor_to_samples(pixels, approximation, self.sd_model)

    def sample(
        self,
        conditioning: Any,
        unconditional_conditioning: Any,
        seeds: list[int],
        subseeds: list[int],
        subseed_strength: float,
        prompts: list[str],
    ) -> Any:
        noise = sampling.noise_for(self, self.height, self.width)
        self._before_sampling(self.init_latent, noise, conditioning, unconditional_conditioning)
        return sampling.sample_img2img(self, self.init_latent, noise)
