"""What can be wrong with a file, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass

from ..sentences import Sentence

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """One thing that keeps the WebUI from loading a file as a VAE."""

    code: str
    """No bytes of a model: `empty`, `web-page`, `lfs-pointer`, `not-a-model`, `zip-without-model`.
    Broken: `truncated`, `bad-header`, `header-too-long`, `duplicate-key`, `overlapping`, `bad-offsets`, `bad-zip`,
    `bad-pickle`, `nan`. Dangerous: `unsafe-pickle`. A VAE in another form: `diffusers`, `prefixed`, `checkpoint`,
    `leftovers`, `old-torch`, `wrong-suffix`. Something else: `tiny`, `video`, `lora`, `no-vae`,
    `no-encoder`, `no-decoder`."""
    sentence: Sentence
