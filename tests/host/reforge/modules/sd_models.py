"""As modules/sd_models.py of reForge: a checkpoint is loaded into a model of its own, or used again as it was left.

What is wrong there and here: a model that is used again keeps the VAE that it had, whatever the setting says by now;
and since that happens before each picture, the base VAE of a model that has none but its own is forgotten.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import torch
from ldm_patched.modules.sd import VAE
from modules import errors, script_callbacks, sd_vae, shared
from modules.timer import Timer

from tests.host.layers import underneath
from tests.host.network import Model

underneath(globals())

PREFIX = "first_stage_model."


class ForgeSD(SimpleNamespace):
    vae: Any

    def shallow_copy(self) -> ForgeSD:
        return ForgeSD(vae=self.vae)


class SdModelData:
    def __init__(self) -> None:
        self.sd_model: Any = None
        self.loaded_sd_models: list[Any] = []
        self.was_loaded_at_least_once = False
        self.lock = threading.Lock()

    def get_sd_model(self) -> Any:
        if self.was_loaded_at_least_once:
            return self.sd_model
        if self.sd_model is None:
            with self.lock:
                if self.sd_model is not None or self.was_loaded_at_least_once:
                    return self.sd_model
                try:
                    load_model()
                except Exception as error:
                    errors.display(error, "loading stable diffusion model", full_traceback=True)
                    self.sd_model = None
        return self.sd_model

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        self.sd_model = v
        if already_loaded:
            sd_vae.base_vae = getattr(v, "base_vae", None)
            sd_vae.loaded_vae_file = getattr(v, "loaded_vae_file", None)
            sd_vae.checkpoint_info = v.sd_checkpoint_info


model_data = SdModelData()


def load_model(checkpoint_info: Any = None, already_loaded_state_dict: Any = None, forced_reload: bool = False) -> Any:
    checkpoint_info = checkpoint_info or select_checkpoint()  # noqa: F821
    loaded = model_data.loaded_sd_models
    for model in list(loaded):
        if model.filename == checkpoint_info.filename:
            loaded.remove(model)
            if not forced_reload:
                loaded.insert(0, model)
                model_data.set_sd_model(model, already_loaded=True)
                return model
            complete_model_teardown(model)
    while len(loaded) >= shared.opts.sd_checkpoints_limit:
        complete_model_teardown(loaded.pop())
    timer = Timer()
    state_dict = already_loaded_state_dict or get_checkpoint_state_dict(checkpoint_info, timer)  # noqa: F821
    model = _new_model(checkpoint_info, state_dict)
    loaded.insert(0, model)
    model_data.set_sd_model(model)
    model_data.was_loaded_at_least_once = True
    shared.opts.data["sd_checkpoint_hash"] = checkpoint_info.sha256
    sd_vae.delete_base_vae()
    sd_vae.clear_loaded_vae()
    vae_file, vae_source = sd_vae.resolve_vae(checkpoint_info.filename).tuple()
    sd_vae.load_vae(model, vae_file, vae_source)
    script_callbacks.model_loaded_callback(model)
    print(f"Model {checkpoint_info.title} loaded in {timer.summary()}.")
    return model


@torch.no_grad()
def _new_model(checkpoint_info: Any, state_dict: dict[str, torch.Tensor]) -> Any:
    model: Any = Model(sdxl=_is_sdxl(state_dict)).requires_grad_(False)  # noqa: F821
    model.load_state_dict(state_dict, strict=False)
    vae = VAE({name[len(PREFIX) :]: tensor for name, tensor in state_dict.items() if name.startswith(PREFIX)})
    model.first_stage_model = vae.first_stage_model
    model.forge_objects = ForgeSD(vae=vae)
    model.forge_objects_original = model.forge_objects.shallow_copy()
    model.forge_objects_after_applying_lora = model.forge_objects.shallow_copy()
    del model.base_vae, model.loaded_vae_file

    @torch.inference_mode()
    def decode_first_stage(x: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = model.forge_objects.vae.decode(x / model.scale_factor).movedim(-1, 1) * 2.0 - 1.0
        return decoded.to(x)

    @torch.inference_mode()
    def encode_first_stage(x: torch.Tensor) -> torch.Tensor:
        encoded: torch.Tensor = model.forge_objects.vae.encode(x.movedim(1, -1) * 0.5 + 0.5) * model.scale_factor
        return encoded.to(x)

    model.decode_first_stage, model.encode_first_stage = decode_first_stage, encode_first_stage
    model.get_first_stage_encoding = lambda x: x
    model.tiling_enabled = False
    model.filename = model.sd_model_checkpoint = checkpoint_info.filename
    model.sd_model_hash = checkpoint_info.calculate_shorthash()
    model.sd_checkpoint_info = checkpoint_info
    return model


def complete_model_teardown(model: Any) -> None:
    """Who still holds it finds nothing in it."""
    model.first_stage_model = model.forge_objects = None
    if getattr(model, "base_vae", None) is not None:
        model.base_vae.clear()
        model.base_vae = None


def reload_model_weights(sd_model: Any = None, info: Any = None, forced_reload: bool = False) -> Any:
    return load_model(info, forced_reload=forced_reload)


def unload_model_weights(model: Any = None) -> None:
    raise NotImplementedError("the stand-in unloads nothing")


def load_model_weights(model: Any, checkpoint_info: Any, state_dict: Any, timer: Any) -> None:
    pass
