"""The precision that VAEs run in: `devices.dtype_vae`.

Where a decode gives NaN the WebUI changes it, for all VAEs and for the rest of the process (processing.py:661). The
VAE that gave it is remembered here, so that the next one gets back what was there before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from modules import devices, sd_vae

from ....sentences import Sentence, say
from ..common import card


class Precision:
    def __init__(self) -> None:
        self._before: Any = None
        """What it was before the NaN; None while there has been none."""
        self._vae: str | Sentence = ""

    def blame(self) -> Sentence:
        """The VAE in use has just decoded to NaN; gives what is said where the picture is lost."""
        file = sd_vae.loaded_vae_file
        self._vae = Path(file).name if file is not None else say("Built-in")
        if self._before is None:
            self._before = devices.dtype_vae
        return say(
            "{vae} gave no picture in {dtype} (NaN). Choose another VAE, or let the WebUI use 32 bits for it "
            "(--no-half-vae).",
            vae=self._vae,
            dtype=card.dtype_name(devices.dtype_vae),
        )

    @property
    def notice(self) -> Sentence | None:
        """What the NaN has changed, as long as it lasts."""
        if self._before is None or devices.dtype_vae == self._before:
            return None
        return say(
            "{vae} gave no picture in {before} (NaN), so it runs in {now} until another VAE is chosen.",
            vae=self._vae,
            before=card.dtype_name(self._before),
            now=card.dtype_name(devices.dtype_vae),
        )

    def of(self, path: str | None) -> Any:
        """The one for the VAE at `path`: what it was before the NaN, unless that VAE gave it."""
        if self._before is None or sd_vae.loaded_vae_file == path:
            return devices.dtype_vae
        return self._before

    def start_over(self, module: torch.nn.Module) -> None:
        """A checkpoint has brought a VAE that has given no NaN: it runs as VAEs did before.

        After bf16, whose rounding cannot be taken back, it stays in that.
        """
        if self._before is not None and devices.dtype_vae == torch.float32:
            devices.dtype_vae = self._before
            module.to(self._before)
            self._before = None

    def settle(self) -> None:
        """A VAE has been put in: where it runs as before the NaN, that is over."""
        if devices.dtype_vae == self._before:
            self._before = None
