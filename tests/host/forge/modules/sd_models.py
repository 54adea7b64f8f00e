"""Imitates Forge's modules/sd_models.py: the list of checkpoints as in the WebUI, and one model, loaded for a picture.

What is wrong there and here: the old model is gone before the new one is read; and since `forge_hash` is written at the
end of a load that worked, and is all that is compared, after one that failed the choice before it is believed to be
loaded, and no model is there. Most of the WebUI's functions are there and do nothing.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import math
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from backend import memory_management
from backend.args import dynamic_args
from backend.loader import forge_loader
from backend.utils import load_torch_file
from modules import script_callbacks, shared
from modules.timer import Timer

from tests.host.layers import underneath

webui = underneath(globals())

checkpoints_list: dict[str, CheckpointInfo] = webui.checkpoints_list
checkpoint_aliases: dict[str | None, CheckpointInfo] = webui.checkpoint_aliases
checkpoints_loaded: OrderedDict[CheckpointInfo, Any] = OrderedDict()


class CheckpointInfo(webui.CheckpointInfo):
    """Two of one file look alike when they are printed, which is how models are told apart."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.hash = model_hash(filename)
        self.ids = [self.hash, *self.ids, f"{self.name} [{self.hash}]"]

    def __str__(self) -> str:
        return str({"filename": self.filename, "hash": self.hash})

    __repr__ = __str__


def model_hash(filename: str) -> str:
    """The old one, of a small part of the file."""
    try:
        with Path(filename).open("rb") as file:
            file.seek(0x100000)
            return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
    except FileNotFoundError:
        return "NOFILE"


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    return [info.short_title if use_short else info.name for info in checkpoints_list.values()]


def match_checkpoint_to_name(name: str) -> str:
    name = name.split(" [")[0]
    for info in checkpoints_list.values():
        title = info.title.split(" [")[0]
        if name in title or title in name:
            return info.short_title if shared.opts.sd_checkpoint_dropdown_use_short else info.name.split(" [")[0]
    return name


def select_checkpoint() -> CheckpointInfo | None:
    """The chosen one, else the first, else none."""
    wanted = shared.opts.sd_model_checkpoint
    if wanted in checkpoint_aliases:
        return checkpoint_aliases[wanted]
    if not checkpoints_list:
        print("You do not have any model!")
        return None
    fallback = next(iter(checkpoints_list.values()))
    if wanted is not None:
        print(f"Checkpoint {wanted} not found; loading fallback {fallback.title}", file=sys.stderr)
    return fallback


def get_state_dict_from_checkpoint(pl_sd: Any) -> None:
    pass


def read_state_dict(checkpoint_file: str, print_global_state: bool = False, map_location: str | None = None) -> None:
    pass


def get_checkpoint_state_dict(checkpoint_info: CheckpointInfo, timer: Timer) -> Any:
    sd_model_hash = checkpoint_info.calculate_shorthash()
    timer.record("calculate hash")
    print(f"Loading weights [{sd_model_hash}] from {checkpoint_info.filename}")
    return load_torch_file(checkpoint_info.filename)


def SkipWritingToConfig() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def load_model_weights(model: Any, checkpoint_info: Any, state_dict: Any, timer: Any) -> None:
    pass


class FakeInitialModel:
    """What `shared.sd_model` is until the first picture."""

    def __init__(self) -> None:
        self.cond_stage_model = None
        self.chunk_length = 75

    def get_prompt_lengths_on_ui(self, prompt: str) -> tuple[int, int]:
        count = len(prompt.split())
        return count, math.ceil(max(count, 1) / self.chunk_length) * self.chunk_length


class SdModelData:
    def __init__(self) -> None:
        self.sd_model: Any = FakeInitialModel()
        self.forge_loading_parameters: dict[str, Any] = {}
        self.forge_hash = ""

    def get_sd_model(self) -> Any:
        return self.sd_model

    def set_sd_model(self, v: Any) -> None:
        self.sd_model = v


model_data = SdModelData()


def send_model_to_cpu(m: Any) -> None:
    pass


def model_target_device(m: Any) -> torch.device:
    return memory_management.get_torch_device()


def send_model_to_device(m: Any) -> None:
    pass


def send_model_to_trash(m: Any) -> None:
    pass


def load_model(checkpoint_info: Any = None, already_loaded_state_dict: Any = None) -> None:
    pass


def reuse_model_from_already_loaded(sd_model: Any, checkpoint_info: Any, timer: Any) -> None:
    pass


def reload_model_weights(sd_model: Any = None, info: Any = None, forced_reload: bool = False) -> None:
    pass


def unload_model_weights(sd_model: Any = None, info: Any = None) -> None:
    memory_management.unload_all_models()


@torch.inference_mode()
def forge_model_reload() -> tuple[Any, bool]:
    """The model of the loading parameters, and whether it had to be loaded."""
    current_hash = str(model_data.forge_loading_parameters)
    if model_data.forge_hash == current_hash:
        return model_data.sd_model, False
    print("Loading Model: " + str(model_data.forge_loading_parameters))
    timer = Timer()
    if model_data.sd_model:
        model_data.sd_model = None
        memory_management.unload_all_models()
        memory_management.soft_empty_cache()
        gc.collect()
    timer.record("unload existing model")
    checkpoint_info = model_data.forge_loading_parameters["checkpoint_info"]
    if checkpoint_info is None:
        raise ValueError("You do not have any model! Please download at least one model in [models/Stable-diffusion].")
    additional = model_data.forge_loading_parameters.get("additional_modules", [])
    dynamic_args["forge_unet_storage_dtype"] = model_data.forge_loading_parameters.get("unet_storage_dtype")
    sd_model: Any = forge_loader(checkpoint_info.filename, additional_state_dicts=additional)
    timer.record("forge model load")
    sd_model.extra_generation_params = {}
    sd_model.comments = []
    sd_model.sd_checkpoint_info = checkpoint_info
    sd_model.filename = checkpoint_info.filename
    sd_model.sd_model_hash = checkpoint_info.calculate_shorthash()
    shared.opts.data["sd_checkpoint_hash"] = checkpoint_info.sha256
    model_data.set_sd_model(sd_model)
    script_callbacks.model_loaded_callback(sd_model)
    timer.record("scripts callbacks")
    print(f"Model loaded in {timer.summary()}.")
    model_data.forge_hash = current_hash
    return sd_model, True
