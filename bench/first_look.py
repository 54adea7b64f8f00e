"""Time and error of first looks, on the processor.

    python tasks.py prove first_look [--side PIXELS] [--rounds N] [--pictures N]

Time: four VAEs of SD 1.x's size with random weights, the first of them in the model, decode one latent. In each round,
the seconds until the last first look, until the last whole picture, and their ratio; the wanted one is a tenth at
1024 × 1024. Files are read from the page's cache, as after their first use.

Error: drawn pictures, encoded and decoded by the tiny trained VAEs of the tests. For each of them the largest and the
mean difference of a first look from the same part of the whole picture, in levels of 255; and how many of the looks by
the other VAEs are no further off than the one by the VAE in use, which is what a card states.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bench.results import write
from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import load
from tests.vaes.pictures import pictures
from vae_manager.compare import Candidate, FirstLook, Model
from vae_manager.compare.comparison import decode_all
from vae_manager.compare.first_look import error_of
from vae_manager.compare.network import SD1, AutoencoderKL

VAES = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tasks.py prove first_look")
    parser.add_argument("--side", type=int, default=1024, help="of the picture, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=20, help="of the second part")
    options = parser.parse_args()
    result = {
        "side": options.side,
        "threads": torch.get_num_threads(),
        "time": times(options.side, options.rounds),
        "error": errors(options.side, options.pictures),
    }
    write("first_look", result)


def times(side: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.safetensors" for number in range(VAES)]
        for number, path in enumerate(paths):
            torch.manual_seed(number)
            save_file(AutoencoderKL(SD1).state_dict(), path)
        vae = AutoencoderKL(SD1).requires_grad_(False)
        vae.load_state_dict(load_file(paths[0]))
        model = Model(vae, vae.decode_raw, vae.encode, torch.device("cpu"))
        others = [Candidate(path.name, lambda path=path: load_file(path)) for path in paths[1:]]  # type: ignore[misc]
        candidates = [Candidate("in use", lambda: None), *others]
        latent = torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(1))
        return summary([timed(model, latent, candidates) for _ in range(rounds)])


def timed(model: Model, latent: torch.Tensor, candidates: Sequence[Candidate]) -> tuple[float, float]:
    """Return the seconds until the last first look, and until the last whole picture."""
    started, looks = time.perf_counter(), list[float]()
    for _ in decode_all(model, latent, candidates, look=lambda _: looks.append(time.perf_counter() - started)):
        pass
    whole = time.perf_counter() - started
    assert len(looks) == len(candidates), "whole decodes of this size take too little time for first looks"
    return looks[-1], whole


def _note(looks: dict[str, FirstLook], look: FirstLook) -> None:
    looks[look.vae] = look


def summary(rounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ratios = [look / whole for look, whole in rounds]
    return {
        "looks_s": [round(look, 2) for look, _ in rounds],
        "whole_s": [round(whole, 2) for _, whole in rounds],
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
    }


@torch.no_grad()
def errors(side: int, count: int) -> dict[str, Any]:
    found: dict[str, list[tuple[int, float]]] = {}
    held = 0
    for number in range(count):
        base = load(BASE)
        model = Model(base, base.decode_raw, base.encode, torch.device("cpu"))
        files = {"tuned": TUNED, "other": OTHER}
        candidates = [Candidate("base", lambda: None)]
        candidates += [Candidate(name, lambda path=path: load(path).state_dict()) for name, path in files.items()]  # type: ignore[misc]
        latent = base.encode(pictures(1, side, seed=number))
        looks: dict[str, FirstLook] = {}
        with patch("vae_manager.compare.comparison.WORTH_S", 0.0):  # these VAEs are quick
            wholes = list(decode_all(model, latent, candidates, look=partial(_note, looks)))
        for whole in wholes:
            look, pixels = looks.get(whole.vae), whole.pixels
            if look is None or pixels is None:
                continue
            height, width = look.pixels.shape[:2]
            part = pixels[look.top : look.top + height, look.left : look.left + width].astype(int)
            mean = float(np.abs(part - look.pixels).mean())
            found.setdefault(whole.vae, []).append((error_of(look, pixels), mean))
        held += sum(found[name][-1][0] <= found["base"][-1][0] for name in files)
    by_vae = {
        name: {
            "largest": max(most for most, _ in each),
            "median largest": statistics.median(most for most, _ in each),
            "mean": round(statistics.mean(mean for _, mean in each), 2),
        }
        for name, each in found.items()
    }
    return {"pictures": count, "by VAE": by_vae, "no further off than the VAE in use": f"{held} of {2 * count}"}


if __name__ == "__main__":
    main()
