"""A model with a tiny VAE in it, candidates, and memory that does not suffice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import AutoencoderKL, load
from tests.vaes.pictures import pictures
from vae_manager.compare import Candidate, Model
from vae_manager.compare.comparison import to_pixels
from vae_manager.errors import IntegrityError
from vae_manager.messages import msg
from vae_manager.swap import named_tensors

FILES = {"base": BASE, "tuned": TUNED, "other": OTHER}


def model_of(path: Path = BASE, **changes: Any) -> Model:
    vae = load(path)
    model = Model(vae, vae.decode_raw, vae.encode, torch.device("cpu"))
    return replace(model, **changes)


def weights(name: str) -> dict[str, torch.Tensor]:
    return {key: place.data for key, place in named_tensors(load(FILES[name])).items()}


def candidate(name: str) -> Candidate:
    return Candidate(name, lambda: weights(name))


def in_use() -> Candidate:
    return Candidate("in use", lambda: None)


PROBLEM = msg("{file}: no numbers", file="bad")


def bad() -> Candidate:
    def raises() -> Any:
        raise IntegrityError(PROBLEM)

    return Candidate("bad", raises)


@torch.no_grad()
def latent(side: int = 64, number: int = 1) -> torch.Tensor:
    return load(BASE).encode(pictures(1, side, seed=number))


@torch.no_grad()
def plain(name: str, z: torch.Tensor) -> Any:
    """The picture, decoded by a network of its own."""
    return to_pixels(load(FILES[name]).decode_raw(z)[0])


class Small:
    """A GPU, as it were, on which nothing larger than `side` of the latent fits."""

    def __init__(self, vae: AutoencoderKL, side: int) -> None:
        self._vae, self._side = vae, side
        self.asked: list[tuple[int, int]] = []

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        self.asked.append((z.shape[2], z.shape[3]))
        if max(z.shape[2:]) > self._side:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return self._vae.decode_raw(z)
