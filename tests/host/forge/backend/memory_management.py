"""Imitates backend/memory_management.py on the CPU: everything is in float32, and what is loaded is remembered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

cpu = torch.device("cpu")
total_vram = 8192.0
"""MB."""
VAE_ALWAYS_TILED = False
OOM_EXCEPTION = MemoryError
current_inference_memory = 1024 * 1024 * 1024
current_loaded_models: list[LoadedModel] = []


class LoadedModel:
    """A patcher whose model is where it computes."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = model.load_device

    def model_load(self, model_gpu_memory_when_using_cpu_swap: int = -1) -> Any:
        self.real_model = self.model.forge_patch_model(self.device)
        self.model.current_device = self.model.load_device
        print("All loaded to GPU.")
        return self.real_model

    def model_unload(self, avoid_model_moving: bool = False) -> None:
        self.model.forge_unpatch_model(None if avoid_model_moving else self.model.offload_device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.model is other.model

    __hash__ = None  # type: ignore[assignment]


def get_torch_device() -> torch.device:
    return cpu


vae_device = vae_offload_device = intermediate_device = text_encoder_device = text_encoder_offload_device = (
    get_torch_device
)


def vae_dtype(device: torch.device | None = None, allowed_dtypes: Sequence[torch.dtype] = ()) -> torch.dtype:
    return torch.float32


def unet_dtype(
    device: torch.device | None = None, model_params: int = 0, supported_dtypes: Sequence[torch.dtype] = ()
) -> torch.dtype:
    return torch.float32


def dtype_size(dtype: torch.dtype) -> int:
    return dtype.itemsize


def is_device_cpu(device: torch.device) -> bool:
    return device.type == "cpu"


def minimum_inference_memory() -> int:
    return current_inference_memory


def get_free_memory(dev: torch.device | None = None, torch_free_too: bool = False) -> int:
    """Bytes; always as much as a small machine has."""
    return 4 << 30


def load_models_gpu(models: Sequence[Any], memory_required: float = 0, hard_memory_preservation: float = 0) -> None:
    start = time.perf_counter()
    for model in models:
        loaded = LoadedModel(model)
        if loaded in current_loaded_models:
            current_loaded_models.insert(0, current_loaded_models.pop(current_loaded_models.index(loaded)))
        else:
            unload_model_clones(model)
            loaded.model_load()
            current_loaded_models.insert(0, loaded)
            print(f"Moving model(s) has taken {time.perf_counter() - start:.2f} seconds")


def load_model_gpu(model: Any) -> None:
    load_models_gpu([model])


def unload_model_clones(model: Any) -> None:
    for loaded in [loaded for loaded in current_loaded_models if model.is_clone(loaded.model)]:
        current_loaded_models.remove(loaded)
        loaded.model_unload(avoid_model_moving=True)


def free_memory(
    memory_required: float, device: torch.device, keep_loaded: Sequence[LoadedModel] = (), free_all: bool = False
) -> None:
    if not free_all:
        return
    print(f"[Unload] Trying to free all memory for {device} with {len(keep_loaded)} models keep loaded ... ", end="")
    for loaded in [loaded for loaded in current_loaded_models if loaded not in keep_loaded]:
        current_loaded_models.remove(loaded)
        loaded.model_unload()
    print("Done.")


def soft_empty_cache(force: bool = False) -> None:
    """Would free cached memory of a GPU."""


def unload_all_models() -> None:
    free_memory(1e30, get_torch_device(), free_all=True)
