"""How often the latent test is wrong: over tiny trained VAEs, and variants of them that are tuned with noise.

    python tasks.py prove latent [--trials N]

`same`: the candidate is a variant of the VAE that encodes, or of its fine-tune. To call it another space is a false
alarm.
`other`: it is a variant of a VAE of another latent space. To take it for the same one is a miss.
A variant has noise on every tensor, a share of that tensor's own deviation, drawn anew for each trial; what the noise
does to the picture is told by the PSNR.

This says nothing yet about real VAEs of SD 1.x and SDXL: none can be had where it is run.

The result goes to bench/results/latent.json.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bench.results import write
from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import load
from vae_manager.swap import named_tensors
from vae_manager.swap.weights import SAME, LatentTest, latent_test, sample_picture

NOISES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
"""Of each tensor's own deviation. With 0.2 a picture is visibly worse than any fine-tune would leave it."""
SIDE = 128
"""Pixels: the tiny VAEs were trained on 64, and take a quarter of a second for 256."""
PAIRS = {
    "same": (("base", "base"), ("base", "tuned"), ("tuned", "base"), ("other", "other")),
    "other": (("base", "other"), ("other", "base"), ("tuned", "other"), ("other", "tuned")),
}

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Trial:
    noise: float
    result: LatentTest


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove latent")
    options.add_argument("--trials", type=int, default=240, help="of each kind")
    count = options.parse_args().trials
    vaes = {"base": load(BASE), "tuned": load(TUNED), "other": load(OTHER)}
    weights = {name: {key: place.data for key, place in named_tensors(vae).items()} for name, vae in vaes.items()}
    module, draw = load(BASE), torch.Generator().manual_seed(1)
    trials = {
        kind: list(itertools.islice(_trials(module, weights, pairs, draw), count)) for kind, pairs in PAIRS.items()
    }
    result = {
        "side": SIDE,
        "limit": SAME,
        "false_alarms": sum(not trial.result.is_same_space for trial in trials["same"]),
        "misses": sum(trial.result.is_same_space for trial in trials["other"]),
        **{kind: _figures(made) for kind, made in trials.items()},
        "note": "Tiny VAEs trained here; nothing is said yet about real files of SD 1.x and SDXL.",
    }
    write("latent", result)
    print(f"{count} trials each: {result['false_alarms']} false alarms, {result['misses']} misses.")


def _trials(
    module: torch.nn.Module, weights: dict[str, Weights], pairs: tuple[tuple[str, str], ...], draw: torch.Generator
) -> Iterator[Trial]:
    picture = sample_picture(SIDE)
    for noise, (own, candidate) in itertools.cycle(itertools.product(NOISES, pairs)):
        yield Trial(noise, latent_test(module, weights[own], _tuned(weights[candidate], noise, draw), picture))


def _tuned(weights: Weights, noise: float, draw: torch.Generator) -> Weights:
    return {
        name: tensor + noise * tensor.std(correction=0) * torch.randn(tensor.shape, generator=draw)
        for name, tensor in weights.items()
    }


def _figures(trials: list[Trial]) -> dict[str, Any]:
    by_noise = {
        noise: [trial.result.found_db / trial.result.own_db for trial in trials if trial.noise == noise]
        for noise in NOISES
    }
    return {
        "trials": len(trials),
        "part_of_the_decibels": {
            str(noise): {
                "trials": len(parts),
                "least": round(min(parts), 3),
                "median": round(statistics.median(parts), 3),
                "most": round(max(parts), 3),
            }
            for noise, parts in by_noise.items()
            if parts
        },
    }


if __name__ == "__main__":
    main()
