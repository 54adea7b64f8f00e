"""As modules/sd_vae.py of reForge: any layout goes into the wrapper, and what does not fit makes another one."""

from __future__ import annotations

from typing import Any

import torch

from tests.host.layers import underneath

underneath(globals())

_load_vae_dict_of_a1111 = load_vae_dict  # noqa: F821
PREFIXES = ("first_stage_model.", "vae.", "model.first_stage_model.", "model.vae.")


def _normalize_vae_state_dict(sd: dict[str, torch.Tensor], source: str = "unknown") -> dict[str, torch.Tensor]:
    """Prefixes only; diffusers' names are changed there too."""
    for prefix in PREFIXES:
        if not any(name.startswith(("decoder.", "encoder.")) for name in sd):
            sd = {name.removeprefix(prefix): tensor for name, tensor in sd.items()}
    if "decoder.up_blocks.0.resnets.0.norm1.weight" in sd:
        raise NotImplementedError("the stand-in changes no names of diffusers by itself")
    return sd


def load_vae_dict(filename: str, map_location: Any) -> dict[str, torch.Tensor]:
    return _normalize_vae_state_dict(_load_vae_dict_of_a1111(filename, map_location), filename)


def _load_vae_dict(model: Any, vae_dict_1: dict[str, torch.Tensor]) -> None:
    wrapper = model.forge_objects.vae
    try:
        wrapper.first_stage_model.load_state_dict(vae_dict_1, strict=True)
        model.first_stage_model = wrapper.first_stage_model
    except RuntimeError as error:
        from ldm_patched.modules.sd import VAE

        print(f"VAE load: state_dict mismatch, rebuilding VAE wrapper ({error})")
        rebuilt = VAE(sd=vae_dict_1, device=wrapper.device)
        for objects in (model.forge_objects, model.forge_objects_original, model.forge_objects_after_applying_lora):
            objects.vae = rebuilt
        model.first_stage_model = rebuilt.first_stage_model


def reload_vae_weights(sd_model: Any = None, vae_file: Any = unspecified) -> Any:  # noqa: F821
    if not sd_model:
        sd_model = shared.sd_model  # noqa: F821
    if vae_file is unspecified:  # noqa: F821
        vae_file, vae_source = resolve_vae(sd_model.sd_checkpoint_info.filename).tuple()  # noqa: F821
    else:
        vae_source = "from function argument"
    if loaded_vae_file == vae_file:  # noqa: F821
        return None
    load_vae(sd_model, vae_file, vae_source)  # noqa: F821
    script_callbacks.model_loaded_callback(sd_model)  # noqa: F821
    return sd_model
