"""The latent spaces. A VAE of one family turns another's latents into noise, even where all shapes agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from .entry import Family

__all__ = ["FAMILIES", "UNKNOWN_FAMILY", "FamilyEvidence", "FamilyFacts", "FamilyGuess"]

FamilyEvidence = Literal["yours", "hash", "weights", "yours by weights", "yours by encoder", "shapes", "latent test"]
"""How a family is known: by the person's word on this file, by the catalogue's entry with its bytes, or with its
weights or encoder, by the person's word on another file with the same weights or encoder, by shapes, by a test."""


@dataclass(frozen=True)
class FamilyFacts:
    """One latent space, and the models that paint in it."""

    id: Family
    label: str
    """A proper name, the same in every language."""
    members: tuple[str, ...]
    latent_channels: int
    spatial: int
    """Pixels a latent's side stands for."""
    scaling_factor: float | None = None
    """What a decoder divides latents by first; None where there is no single number."""
    shift_factor: float | None = None


@dataclass(frozen=True)
class FamilyGuess:
    """The family of a file, with its evidence."""

    family: str | None = None
    """A key of `FAMILIES`; None if it cannot be told."""
    why: FamilyEvidence | None = None
    """The evidence; None if there is none."""
    sure: bool = False
    """Bytes or weights show it, or the person has said so of these weights."""
    candidates: tuple[str, ...] = ()
    """Families that the shapes leave, if they leave more than one."""
    figure: float | None = None
    """The result of the latent test."""


UNKNOWN_FAMILY: Final = FamilyGuess()


def _by_id(*facts: FamilyFacts) -> Mapping[str, FamilyFacts]:
    return MappingProxyType({family.id: family for family in facts})


# Factors: the `scaling_factor` and `shift_factor` in the published config.json of each VAE. That of SD 1.x has none:
# 0.18215 is what its denoiser was trained with.
FAMILIES: Final = _by_id(
    FamilyFacts("sd1", "SD 1.x / 2.x", ("SD 1.x", "SD 2.x"), 4, 8, 0.18215),
    FamilyFacts(
        "sdxl", "SDXL", ("SDXL", "Pony", "Illustrious", "NoobAI", "Kolors", "AuraFlow", "Pony v7"), 4, 8, 0.13025
    ),
    FamilyFacts("sd3", "SD 3.x", ("SD3", "SD3.5"), 16, 8, 1.5305, 0.0609),
    FamilyFacts("flux1", "FLUX.1", ("FLUX.1", "Chroma", "Z-Image", "Lumina 2", "HiDream"), 16, 8, 0.3611, 0.1159),
    # Normalised by running statistics inside the file (bn.*); packed to 128 channels of 16 pixels.
    FamilyFacts("flux2", "FLUX.2", ("FLUX.2 dev", "FLUX.2 klein", "ERNIE-Image", "Ideogram 4", "Lens"), 32, 8),
    # Normalised by one mean and one deviation a channel.
    FamilyFacts("wan21", "Wan 2.1", ("Wan 2.1", "Wan 2.2 14B"), 16, 8),
    FamilyFacts("wan22", "Wan 2.2 5B", ("Wan 2.2 TI2V-5B",), 48, 16),
    FamilyFacts("qwen", "Qwen-Image", ("Qwen-Image", "Krea 2", "Anima"), 16, 8),
)
"""Family id -> facts, in the order in which a page shows them."""
