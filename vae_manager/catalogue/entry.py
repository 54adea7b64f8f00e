"""What the project knows about a published VAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .sources import Source

Family = Literal["sd1", "sdxl", "sd3", "flux1", "flux2", "wan21", "wan22", "qwen"]
Layout = Literal["ldm", "prefixed", "diffusers", "checkpoint", "tiny", "wan", "video", "lora", "other", "unknown"]
"""How the tensors are named. `ldm` is what the WebUI loads; `prefixed` is ldm with a prefix such as
`first_stage_model.`; `tiny` is TAESD and its kin; `video` is for films, with convolutions over time; `unknown` means
that nobody has looked."""


@dataclass(frozen=True)
class Licence:
    """The terms that a VAE was published under."""

    name: str
    """SPDX identifier where there is one, else the publisher's own name."""
    link: str | None = None
    permissive: bool = False
    """MIT or Apache: nothing to read before the first download."""


@dataclass(frozen=True)
class Evaluation:
    """Figures that the publisher measured: reconstruction of a data set's pictures at 256 px."""

    dataset: str
    """`COCO 2017 (256 × 256, 5000 images)`, `LAION-Aesthetics 5+ (256 × 256, 10000 images)`."""
    rfid: float
    """Reconstruction FID; lower is better."""
    psnr: str
    """dB, mean ± deviation as published; higher is better."""
    ssim: str
    psim: str
    """Perceptual similarity; lower is better."""
    steps: int | None = None
    """Training steps of the evaluated weights."""


@dataclass(frozen=True)
class Entry:
    """One published VAE file. *Offered* entries can be fetched from the page; others are only named when met."""

    id: str
    name: str
    family: Family
    file_name: str
    """The name it gets in a VAE folder."""
    sha256: str
    purpose: str
    """One line of advice, in words: what a person would pick it for. English; the page translates it."""
    licence: Licence | None
    sources: tuple[Source, ...] = ()
    """In the order in which they are tried; all give the same bytes, since the hash decides."""
    size: int | None = None
    """Bytes, where known."""
    layout: Layout = "ldm"
    dtype: str | None = None
    """Of most weights: `fp32`, `fp16`, `bf16`; None where unknown."""
    offered: bool = False
    not_offered_because: str | None = None
    """A sentence in English, as it stands in the catalogue; None for what is offered."""
    gated: bool = False
    evidence: Literal["A", "B", "user"] = "user"
    """A: two or more independent sources bind this hash to this file. B: one. user: from the user's own catalogue."""
    aliases: tuple[str, ...] = ()
    """Names under which the very same bytes are in circulation."""
    evaluations: tuple[Evaluation, ...] = ()
