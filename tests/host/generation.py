"""What a generation is asked for and what became of it: the classes that `modules.processing` re-exports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import sd_samplers_common, shared

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

    def __post_init__(self) -> None:
        self.comments = {}
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args or {}

    @property
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

    def sample(self) -> torch.Tensor:
        raise NotImplementedError

    def save_samples(self) -> bool:
        return bool(shared.opts.samples_save and not self.do_not_save_samples)

    def close(self) -> None:
        pass


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    """Denoising starts at noise."""

    def sample(self) -> torch.Tensor:
        return sampling.denoise(self, start=None, strength=1.0)


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    """Denoising starts at the given picture, encoded by the VAE in use."""

    init_images: list[Any] | None = None
    denoising_strength: float = 0.75
    init_latent: Any = field(default=None, init=False)

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        if not self.init_images:
            raise ValueError("no picture to start from")
        rows = [np.asarray(image.convert("RGB").resize((self.width, self.height))) for image in self.init_images]
        pixels = torch.from_numpy(np.stack(rows)).float().permute(0, 3, 1, 2) / 255.0
        self.init_latent = sd_samplers_common.images_tensor_to_samples(pixels)

    def sample(self) -> torch.Tensor:
        return sampling.denoise(self, start=self.init_latent, strength=self.denoising_strength)
