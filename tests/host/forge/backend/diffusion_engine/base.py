"""Imitates backend/diffusion_engine/base.py: what `shared.sd_model` is once there is one; no torch module itself."""

from __future__ import annotations

from typing import Any


class ForgeObjects:
    """The parts of a model. Copies share them."""

    def __init__(self, unet: Any, clip: Any, vae: Any, clipvision: Any) -> None:
        self.unet = unet
        self.clip = clip
        self.vae = vae
        self.clipvision = clipvision

    def shallow_copy(self) -> ForgeObjects:
        return ForgeObjects(self.unet, self.clip, self.vae, self.clipvision)


class ForgeDiffusionEngine:
    def __init__(self, estimated_config: Any, huggingface_components: dict[str, Any]) -> None:
        self.model_config = estimated_config
        self.is_inpaint = False
        self.forge_objects: Any = None
        self.forge_objects_original: Any = None
        self.forge_objects_after_applying_lora: Any = None
        self.current_lora_hash = str([])
        self.fix_for_webui_backward_compatibility()

    def get_first_stage_encoding(self, x: Any) -> Any:
        return x

    def get_prompt_lengths_on_ui(self, prompt: str) -> tuple[int, int]:
        return 0, 75

    def is_webui_legacy_model(self) -> bool:
        return bool(self.is_sd1 or self.is_sd2 or self.is_sdxl or self.is_sd3)

    def fix_for_webui_backward_compatibility(self) -> None:
        self.tiling_enabled = False
        self.first_stage_model = None
        self.cond_stage_model = None
        self.use_distilled_cfg_scale = False
        self.is_sd1 = self.is_sd2 = self.is_sdxl = self.is_sd3 = False
