"""What a checkpoint's VAE is: the tensors that a file has to bring, and the family of its latents."""

from __future__ import annotations

from dataclasses import dataclass

from ..files.tensor_table import TensorTable

__all__ = ["VaeSignature"]


@dataclass(frozen=True)
class VaeSignature:
    """The VAE of the checkpoint that a WebUI has loaded, or will load."""

    tensors: TensorTable | None
    """By the WebUI's names; None if they are not known. Their dtypes do not matter."""
    family: str | None = None
    """Key of `FAMILIES`; None if it cannot be told."""
