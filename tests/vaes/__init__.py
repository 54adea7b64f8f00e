"""Three tiny but real VAEs, the network they run in and the pictures they were trained on.

This module needs no torch, so that tests which only move files about can ask it for their paths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["BASE", "FILES", "OTHER", "TUNED"]

FILES: Final = Path(__file__).with_name("files")

BASE: Final = FILES / "tiny-base.safetensors"
"""The reference: one encoder, one decoder, one latent space."""

TUNED: Final = FILES / "tiny-tuned.safetensors"
"""The encoder of `BASE` bit for bit, with a decoder tuned further: same latent space, more vivid pictures."""

OTHER: Final = FILES / "tiny-other.safetensors"
"""Same keys and shapes as `BASE`, trained apart from it: another latent space."""
