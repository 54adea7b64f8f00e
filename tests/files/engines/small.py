"""The smallest files that are what a checkpoint of Chroma needs, for tests that download or load none of its size."""

from __future__ import annotations

from pathlib import Path

from tests.files.samples import encode, header_of, ldm, safetensors
from vae_manager.files.headers import TensorSpec

from .cases import checkpoints, sparse

BLOCKS = 24
"""Of T5-XXL's encoder."""


def t5_tensors() -> dict[str, tuple[int, ...]]:
    """T5-XXL by all that tells it from other encoders; the other sides are 1."""
    return {
        "shared.weight": (32128, 1),
        "encoder.final_layer_norm.weight": (4096,),
        "encoder.block.0.layer.0.SelfAttention.k.weight": (1, 1),
        **{f"encoder.block.{number}.layer.0.layer_norm.weight": (1,) for number in range(BLOCKS)},
    }


def t5(path: Path, fill: bytes = b"\x01") -> Path:
    """A file of T5-XXL; another `fill`, other bytes."""
    header, size = header_of(t5_tensors(), "F16")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(header, fill * size))
    return path


def flux_vae(path: Path) -> Path:
    """A VAE with FLUX.1's number of channels, very narrow: only its hash tells its family."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return safetensors(path, {name: shape for name, shape in ldm(16).items() if "quant_conv" not in name})


def chroma(path: Path) -> Path:
    """A checkpoint of Chroma: the true header, and no data on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    [case] = [case for case in checkpoints() if case.name == "Chroma"]
    tensors: dict[str, TensorSpec] = dict(case.tensors)
    return sparse(path, tensors)
