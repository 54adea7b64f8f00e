"""Imitates modules/sd_vae.py, flaws included.

What is wrong there and here: equal base names hide each other; an unknown name falls back with a line on the console
only; nothing happens when the path is the one already loaded; and a load that raises leaves the model on the CPU,
without its hijack, with those tensors replaced that fitted.
"""

from __future__ import annotations

import glob
from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modules import devices, extra_networks, hashes, lowvram, paths, script_callbacks, sd_hijack, sd_models, shared

Weights = dict[str, torch.Tensor]

vae_path = str(Path(paths.models_path, "VAE").absolute())
vae_ignore_keys = {"model_ema.decay", "model_ema.num_updates"}
vae_dict: dict[str, str] = {}
base_vae: Weights | None = None
loaded_vae_file: str | None = None
checkpoint_info: Any = None
checkpoints_loaded: OrderedDict[str, Weights] = OrderedDict()

_ENDINGS = (".ckpt", ".pt", ".safetensors")


def get_loaded_vae_name() -> str | None:
    return None if loaded_vae_file is None else Path(loaded_vae_file).name


def get_loaded_vae_hash() -> str | None:
    """Ten digits, kept under one title for all VAEs."""
    if loaded_vae_file is None:
        return None
    sha256 = hashes.sha256(loaded_vae_file, "vae")
    return sha256[:10] if sha256 else None


def get_base_vae(model: Any) -> Weights | None:
    return base_vae if base_vae is not None and model and checkpoint_info == model.sd_checkpoint_info else None


def store_base_vae(model: Any) -> None:
    """Keeps a copy of the checkpoint's own VAE, once for each checkpoint."""
    global base_vae, checkpoint_info

    if checkpoint_info != model.sd_checkpoint_info:
        assert not loaded_vae_file, "Trying to store non-base VAE!"
        base_vae = deepcopy(model.first_stage_model.state_dict())
        checkpoint_info = model.sd_checkpoint_info


def delete_base_vae() -> None:
    global base_vae, checkpoint_info

    base_vae = checkpoint_info = None


def restore_base_vae(model: Any) -> None:
    global loaded_vae_file

    if base_vae is not None and checkpoint_info == model.sd_checkpoint_info:
        print("Restoring base VAE")
        _load_vae_dict(model, base_vae)
        loaded_vae_file = None
    delete_base_vae()


def get_filename(filepath: str) -> str:
    return Path(filepath).name


def refresh_vae_list() -> None:
    """`*.vae.*` beside checkpoints and all files of the VAE folders; a later one hides an earlier one of its name."""
    vae_dict.clear()
    beside = [sd_models.model_path, shared.cmd_opts.ckpt_dir]
    folders = [vae_path, shared.cmd_opts.vae_dir]
    order = ((beside[0], ".vae"), (folders[0], ""), (beside[1], ".vae"), (folders[1], ""))
    for folder, middle in order:
        if folder is None or not Path(folder).is_dir():
            continue
        for ending in _ENDINGS:
            # Not Path.rglob, which sees hidden files and does not follow links
            for path in sorted(glob.iglob(f"{folder}/**/*{middle}{ending}", recursive=True)):  # noqa: PTH207
                vae_dict[get_filename(path)] = path
    sort = sorted(vae_dict.items(), key=lambda item: shared.natural_sort_key(item[0]))
    # As in the WebUI, this changes no order: the keys are there already
    vae_dict.update(dict(sort))


def find_vae_near_checkpoint(checkpoint_file: str) -> str | None:
    """The first whose name starts with the checkpoint's."""
    stem = Path(checkpoint_file).name.rsplit(".", 1)[0]
    return next((path for path in vae_dict.values() if Path(path).name.startswith(stem)), None)


@dataclass
class VaeResolution:
    vae: str | None = None
    source: str | None = None
    resolved: bool = True

    def tuple(self) -> tuple[str | None, str | None]:
        return self.vae, self.source


def is_automatic() -> bool:
    return shared.opts.sd_vae in {"Automatic", "auto"}


def resolve_vae_from_setting() -> VaeResolution:
    if shared.opts.sd_vae == "None":
        return VaeResolution()
    if shared.opts.sd_vae in vae_dict:
        return VaeResolution(vae_dict[shared.opts.sd_vae], "specified in settings")
    if not is_automatic():
        print(f"Couldn't find VAE named {shared.opts.sd_vae}; using None instead")
    return VaeResolution(resolved=False)


def resolve_vae_from_user_metadata(checkpoint_file: str) -> VaeResolution:
    preferred = extra_networks.get_user_metadata(checkpoint_file).get("vae")
    if preferred == "None":
        return VaeResolution()
    if preferred in vae_dict and preferred != "Automatic":
        return VaeResolution(vae_dict[preferred], "from user metadata")
    return VaeResolution(resolved=False)


def resolve_vae_near_checkpoint(checkpoint_file: str) -> VaeResolution:
    near = find_vae_near_checkpoint(checkpoint_file)
    if near is not None and (not shared.opts.sd_vae_overrides_per_model_preferences or is_automatic()):
        return VaeResolution(near, "found near the checkpoint")
    return VaeResolution(resolved=False)


def resolve_vae(checkpoint_file: str) -> VaeResolution:
    if shared.cmd_opts.vae_path is not None:
        return VaeResolution(shared.cmd_opts.vae_path, "from commandline argument")
    if shared.opts.sd_vae_overrides_per_model_preferences and not is_automatic():
        return resolve_vae_from_setting()
    for rule in (resolve_vae_from_user_metadata, resolve_vae_near_checkpoint):
        found = rule(checkpoint_file)
        if found.resolved:
            return found
    return resolve_vae_from_setting()


def load_vae_dict(filename: str, map_location: str | None) -> Weights:
    weights = sd_models.read_state_dict(filename, map_location=map_location)
    return {key: value for key, value in weights.items() if key[:4] != "loss" and key not in vae_ignore_keys}


def load_vae(model: Any, vae_file: str | None = None, vae_source: str | None = "from unknown source") -> None:
    """The load alone, in place, from the file or from the cache; None restores the checkpoint's own."""
    global loaded_vae_file

    if vae_file:
        _load_from_file_or_cache(model, vae_file, vae_source)
        vae_dict.setdefault(get_filename(vae_file), vae_file)
    elif loaded_vae_file:
        restore_base_vae(model)
    loaded_vae_file = vae_file
    model.base_vae = base_vae
    model.loaded_vae_file = loaded_vae_file


def _load_from_file_or_cache(model: Any, vae_file: str, vae_source: str | None) -> None:
    limit = shared.opts.sd_vae_checkpoint_cache
    if limit > 0 and vae_file in checkpoints_loaded:
        print(f"Loading VAE weights {vae_source}: cached {get_filename(vae_file)}")
        store_base_vae(model)
        _load_vae_dict(model, checkpoints_loaded[vae_file])
    else:
        assert Path(vae_file).is_file(), f"VAE {vae_source} doesn't exist: {vae_file}"
        print(f"Loading VAE weights {vae_source}: {vae_file}")
        store_base_vae(model)
        weights = load_vae_dict(vae_file, map_location=shared.weight_load_location)
        _load_vae_dict(model, weights)
        if limit > 0:
            checkpoints_loaded[vae_file] = weights.copy()
    while limit > 0 and len(checkpoints_loaded) > limit + 1:
        checkpoints_loaded.popitem(last=False)


def _load_vae_dict(model: Any, vae_dict_1: Weights) -> None:
    model.first_stage_model.load_state_dict(vae_dict_1)
    model.first_stage_model.to(devices.dtype_vae)


def clear_loaded_vae() -> None:
    global loaded_vae_file

    loaded_vae_file = None


unspecified = object()


def reload_vae_weights(sd_model: Any = None, vae_file: Any = unspecified) -> Any:
    """Makes the model's VAE the one that is resolved, or the given one. Nothing is put back when the load raises."""
    if not sd_model:
        sd_model = shared.sd_model
    if vae_file is unspecified:
        vae_file, vae_source = resolve_vae(sd_model.sd_checkpoint_info.filename).tuple()
    else:
        vae_source = "from function argument"
    if loaded_vae_file == vae_file:
        return None
    if sd_model.lowvram:
        lowvram.send_everything_to_cpu()
    else:
        sd_model.to(devices.cpu)
    sd_hijack.model_hijack.undo_hijack(sd_model)
    load_vae(sd_model, vae_file, vae_source)
    sd_hijack.model_hijack.hijack(sd_model)
    if not sd_model.lowvram:
        sd_model.to(devices.device)
    script_callbacks.model_loaded_callback(sd_model)
    print("VAE weights loaded.")
    return sd_model
