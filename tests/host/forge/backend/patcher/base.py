"""Imitates backend/patcher/base.py: a model, and where it is and shall be."""

from __future__ import annotations

import copy
from typing import Any

import torch


class ModelPatcher:
    """Of patches it only has the options that name functions."""

    def __init__(
        self,
        model: torch.nn.Module,
        load_device: torch.device,
        offload_device: torch.device,
        size: int = 0,
        current_device: torch.device | None = None,
        **kwargs: Any,
    ) -> None:
        self.size = size
        self.model = model
        self.lora_patches: dict[str, Any] = {}
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        self.model_size()
        self.load_device = load_device
        self.offload_device = offload_device
        self.current_device = offload_device if current_device is None else current_device

    def model_size(self) -> int:
        if self.size <= 0:
            tensors = self.model.state_dict().values()
            self.size = sum(tensor.nelement() * tensor.element_size() for tensor in tensors)
        return self.size

    def clone(self) -> ModelPatcher:
        n = ModelPatcher(self.model, self.load_device, self.offload_device, self.size, self.current_device)
        n.lora_patches = self.lora_patches.copy()
        n.model_options = copy.deepcopy(self.model_options)
        return n

    def is_clone(self, other: Any) -> bool:
        return hasattr(other, "model") and self.model is other.model

    def set_model_vae_encode_wrapper(self, wrapper_function: Any) -> None:
        self.model_options["model_vae_encode_wrapper"] = wrapper_function

    def set_model_vae_decode_wrapper(self, wrapper_function: Any) -> None:
        self.model_options["model_vae_decode_wrapper"] = wrapper_function

    def set_model_vae_regulation(self, vae_regulation: Any) -> None:
        self.model_options["model_vae_regulation"] = vae_regulation

    def model_state_dict(self, filter_prefix: str | None = None) -> dict[str, torch.Tensor]:
        tensors = self.model.state_dict()
        return {name: tensors[name] for name in tensors if filter_prefix is None or name.startswith(filter_prefix)}

    def forge_patch_model(self, target_device: torch.device | None = None) -> torch.nn.Module:
        if target_device is not None:
            self.model.to(target_device)
            self.current_device = target_device
        return self.model

    def forge_unpatch_model(self, target_device: torch.device | None = None) -> None:
        if target_device is not None:
            self.model.to(target_device)
            self.current_device = target_device
