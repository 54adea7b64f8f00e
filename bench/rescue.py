"""What the look at each decoded picture costs, beside the decode, and how far a rescue is from a decode in 32 bits.

    python tasks.py prove rescue [--sides 512 1024]

`check_ms`: the least time that `compare.rescue.faults` takes for one picture, where the WebUI hands it over (the CPU).
`decode_ms`: that of a decode by a network of SD 1.x's shape, on the GPU in 16 bits if there is one.
`levels`: how far a tiny trained VAE in a dtype of the rescue is from itself in 32 bits, in levels of 255.

The result goes to bench/results/rescue.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch

from bench.results import write
from tests.vaes import BASE
from tests.vaes.autoencoder import SD1, AutoencoderKL, load
from tests.vaes.pictures import pictures
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.rescue import faults

REPEATS = 15


def least_ms(work: Callable[[], object], repeats: int) -> float:
    """The least time of several, which other work on the machine disturbs least."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - started))
    return round(min(times), 3)


def check(side: int) -> dict[str, float]:
    made = torch.rand(3, side, side, generator=torch.Generator().manual_seed(1)) * 1.9 - 0.95
    found = {}
    for dtype in (torch.float32, torch.float16):
        picture = made.to(dtype)
        found[str(dtype).removeprefix("torch.")] = least_ms(lambda picture=picture: faults([picture]), REPEATS)  # type: ignore[misc]
    return found


@torch.inference_mode()
def decode(side: int) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae = AutoencoderKL(SD1).to(device, torch.float16 if device.type == "cuda" else torch.float32).eval()
    latent = torch.randn(1, 4, side // 8, side // 8).to(device, next(vae.parameters()).dtype)
    return least_ms(lambda: vae.decode_raw(latent), 5 if device.type == "cuda" else 2)


@torch.inference_mode()
def levels(dtype: torch.dtype) -> dict[str, float]:
    exact, other = load(BASE), load(BASE).to(dtype)
    latents = exact.encode(pictures(8, 256, seed=5))
    pairs = [(to_pixels(exact.decode_raw(z)[0]), to_pixels(other.decode_raw(z.to(dtype))[0])) for z in latents.split(1)]
    away = [abs(one.astype(int) - two.astype(int)) for one, two in pairs]
    return {
        "mean": round(float(sum(one.mean() for one in away) / len(away)), 3),
        "max": int(max(one.max() for one in away)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove rescue")
    options.add_argument("--sides", type=int, nargs="+", default=[512, 1024], help="pixels")
    sides = options.parse_args(arguments).sides
    rows = {}
    for side in sides:
        checked, decoded = check(side), decode(side)
        rows[str(side)] = {
            "check_ms": checked,
            "decode_ms": decoded,
            "percent": round(100 * max(checked.values()) / decoded, 3),
        }
    path = write(
        "rescue",
        {
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
            "threads": torch.get_num_threads(),
            "sides": rows,
            "levels": {"bf16": levels(torch.bfloat16), "fp32": levels(torch.float32)},
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
