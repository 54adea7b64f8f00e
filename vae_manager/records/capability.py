"""What a WebUI can load: its layouts and families, and the VAE of its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..catalogue.entry import Layout
from ..files.tensor_table import TensorTable

__all__ = ["A1111", "FORGE", "HOSTS", "NEO", "REFORGE", "HostCapability", "VaeSignature"]


@dataclass(frozen=True)
class HostCapability:
    """One WebUI."""

    name: str
    """As people write it."""
    layouts: frozenset[Layout]
    """Layouts of VAE files that it takes as they are."""
    families: tuple[str, ...]
    """Families of the checkpoints that it runs, keys of `FAMILIES`."""
    takes_matrices: bool
    """Attention weights may be matrices instead of convolutions of one pixel."""
    reads_by_extension: bool
    """The reader is chosen by the extension, so a pickle named `.safetensors` has to be converted."""
    own_layouts: frozenset[Layout] = frozenset()
    """Layouts that it loads with its own reader."""


_ANY: Final = frozenset[Layout]({"ldm", "diffusers", "prefixed"})

A1111: Final = HostCapability("A1111", frozenset({"ldm"}), ("sd1", "sdxl", "sd3"), False, True)
REFORGE: Final = HostCapability("reForge", _ANY, ("sd1", "sdxl", "sd3", "flux1"), True, False)
FORGE: Final = HostCapability("Forge", _ANY, ("sd1", "sdxl", "sd3", "flux1"), True, False)
NEO: Final = HostCapability(
    "Forge Neo", _ANY, ("sd1", "sdxl", "flux1", "flux2", "wan21", "wan22", "qwen"), True, False, frozenset({"wan"})
)

HOSTS: Final = MappingProxyType({"a1111": A1111, "reforge": REFORGE, "forge": FORGE, "neo": NEO})
"""By the names that the command line takes."""


@dataclass(frozen=True)
class VaeSignature:
    """The VAE of the checkpoint that a WebUI has loaded, or will load."""

    tensors: TensorTable | None
    """By the WebUI's names; None if they are not known. Their dtypes do not matter."""
    family: str | None = None
    """Key of `FAMILIES`; None if it cannot be told."""
