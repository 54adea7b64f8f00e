"""VAE files for the checks, good and bad."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

TAESD_BLOCKS = (3, 4, 5, 8, 9, 10, 13, 14, 15, 18)
"""Places of blocks in TAESD's decoder (sd_vae_taesd.py)."""
TAESD_BARE = (7, 12, 17)
"""Places of its convolutions without a bias."""


def write_sd1_vae(path: Path, *, seed: int) -> Path:
    """Write a VAE of the true SD 1.x layout, 248 tensors and 335 MB of fp32, with random weights.

    Its last layer is scaled so that pictures have contrast: what two of them decode differs in nearly every pixel.
    """
    import torch
    from safetensors.torch import save_file

    from ..vaes.autoencoder import SD1, AutoencoderKL

    torch.manual_seed(seed)
    model = AutoencoderKL(SD1)
    with torch.no_grad():
        model.decoder.conv_out.weight.mul_(8.0)
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def write_taesd(path: Path) -> Path:
    """Write TAESD's decoder for SD 1.x with random weights, in the form that each WebUI's loader reads."""
    import torch

    torch.manual_seed(1)
    layers = {f"{place}.conv.{part}": (64, 64) for place in TAESD_BLOCKS for part in (0, 2, 4)}
    layers |= {"1": (64, 4), "19": (3, 64)}
    weights = {f"{name}.weight": torch.randn(*shape, 3, 3) * 0.05 for name, shape in layers.items()}
    weights |= {f"{place}.weight": torch.randn(64, 64, 3, 3) * 0.05 for place in TAESD_BARE}
    weights |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in layers.items()}
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's header, and where its data begins."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def write_renamed(source: Path, target: Path) -> Path:
    """A copy of `source` with the names that the diffusers layout gives to a VAE's tensors, as far as they differ."""
    header, begin = read_header(source)
    renamed = {diffusers_name(name): value for name, value in header.items()}
    text = json.dumps(renamed).encode()
    text += b" " * (-len(text) % 8)
    with source.open("rb") as old, target.open("wb") as new:
        old.seek(begin)
        new.write(struct.pack("<Q", len(text)) + text)
        while block := old.read(1 << 22):
            new.write(block)
    return target


def diffusers_name(name: str) -> str:
    """The name that the diffusers layout gives to a VAE's tensor."""
    pairs = (
        ("encoder.down.", "encoder.down_blocks."),
        ("decoder.up.", "decoder.up_blocks."),
        (".block.", ".resnets."),
        (".downsample.", ".downsamplers.0."),
        (".upsample.", ".upsamplers.0."),
        (".mid.block_1.", ".mid_block.resnets.0."),
        (".mid.block_2.", ".mid_block.resnets.1."),
        (".mid.attn_1.", ".mid_block.attentions.0."),
        (".norm_out.", ".conv_norm_out."),
        (".nin_shortcut.", ".conv_shortcut."),
    )
    for old, new in pairs:
        name = name.replace(old, new)
    return name


def write_truncated(source: Path, target: Path, size: int = 40_000_000) -> Path:
    """The first `size` bytes of `source`: a download that was cut off."""
    with source.open("rb") as file:
        target.write_bytes(file.read(size))
    return target


def write_web_page(target: Path) -> Path:
    """What a login wall gives in place of a file."""
    target.write_text("<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>" * 50)
    return target
