"""Swaps, decodes, comparisons and rescues of VAEs on a GPU, by the product's own code, in less than eight minutes.

    python tasks.py prove gpu [--minutes N] [--rounds N]
    python -m bench.gpu                  the same where torch, numpy and safetensors are all that is installed
    python -m bench.gpu --dry-run        each step in tiny sizes on the CPU; measures nothing and writes no file

On a machine that is lent, in the root of the repository, with a folder for what comes back:

    python3 -u -m bench.gpu && cp bench/results/gpu.json bench/results/gpu.md "$OUT"

The VAEs have the network of SD 1.x, which SDXL's have too, and random weights, in files of 32 bits like the published
ones; they run in fp16. What is timed is `LoadedVae.put`, `decode_all` and `Rescuing.decode`, as in a WebUI;
`bench.gpu_stage` has the model around them. In each round every way takes its turn, in a new order, and after each swap
the weights are compared with the file.

    from the file        the swap from a file whose pages are in memory, to which no cache has the weights
    from RAM             the swap from the set that is kept there
    from the GPU         the swap back to the other one of the two latest, with the option that keeps both on the GPU
    the UNet alone       the UNet to the CPU and back
    the WebUI's steps    what A1111 does for another VAE: the model to the CPU, the file into it, the model back

The UNet is a stand-in: a module with the very shapes of the published one (tests/files/engines/tables.json), in fp16.
`Module.to` moves a model tensor by tensor; it neither computes with a value nor looks at one. So number, sizes and
dtype of the tensors decide about its time, and a true UNet takes as long. A1111 also moves the text encoders, undoes
and redoes its hijack, and hashes. That is left out, so A1111 itself takes longer than `the WebUI's steps`.

`ms` is the clock on the wall until the GPU has done what the way has given it, `gpu_ms` the time between two events of
CUDA around that, `peak_mb` the GPU's memory on top of what was in use before. A round begins only if one as long as the
longest so far ends in time; what is left out is named. Ratios are those of each round. The result goes to
bench/results/gpu.json and .md after each section, and on a GPU alone.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bench.gpu_stage import (
    BARE,
    COMPARED,
    FILE,
    GPU,
    IN_BF16,
    RAM,
    RESCUED,
    UNET,
    WEBUI,
    Bench,
    Section,
    Unusable,
    sections,
)
from bench.results import write
from bench.swap import ms, spread
from vae_manager.errors import VaeManagerError

PATIENCE = 30.0
"""Seconds, beyond the time there is, after which the process ends itself: a hang inside CUDA hears no signal."""
SEED = 20261130
RATIOS = [
    *(("swap", above, below) for above in (WEBUI, UNET) for below in (FILE, RAM, GPU)),
    ("comparison", COMPARED, BARE),
    ("rescue", RESCUED, IN_BF16),
]
"""Ways of the sections whose names begin so."""

Sample = dict[str, float]
Round = dict[str, Sample]
"""Seconds and memory of each way."""


# -- the clock -------------------------------------------------------------------------------------------------------
class Clock:
    """The time there is, and what it did not suffice for."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._seconds, self._begun = now, seconds, now()
        self.left_out: list[str] = []

    def rounds(self, name: str, count: int, until: float) -> Iterator[int]:
        """Yield the number of each round that can end before the part `until` of all time; -1 is the warm-up."""
        longest = 0.0
        for number in range(-1, count):
            begun = self._now()
            if begun + longest > self._begun + until * self._seconds:
                self.left_out.append(f"{name}: {count - max(number, 0)} of {count} rounds, for want of time")
                return
            yield number
            longest = max(longest, self._now() - begun)


@contextmanager
def ends_after(seconds: float, save: Callable[[], object], folder: str) -> Iterator[None]:
    """Save what there is and end the process if the body takes longer."""

    def end() -> None:
        save()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def timed(device: torch.device, work: Callable[[], Any]) -> tuple[Sample, Any]:
    """Return what `work` took, and its result."""
    if device.type == "cpu":
        begun = time.perf_counter()
        result = work()
        return {"ms": 1000 * (time.perf_counter() - begun)}, result
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begun = time.perf_counter()
    first.record()
    result = work()
    last.record()
    last.synchronize()  # not the device: in a WebUI too, the check of displaced weights goes on beside the next picture
    seconds = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated(device) - before
    return {"ms": 1000 * seconds, "gpu_ms": first.elapsed_time(last), "peak_mb": peak / 1e6}, result


def measure(bench: Bench, device: torch.device, section: Section, clock: Clock, count: int, found: list[Round]) -> None:
    """Fill `found` with rounds. What cannot be measured is named, and ends the section alone."""
    chance = random.Random(SEED)
    try:
        section.prepare()
        for number in clock.rounds(section.name, count, section.until):
            ways = section.ways(number)
            samples: Round = {}
            for name in chance.sample(list(ways), len(ways)):
                ways[name].prepare()
                samples[name], result = timed(device, ways[name].work)
                ways[name].check(result)
                del result
            if number >= 0:
                found.append({name: samples[name] for name in ways})
    except (Unusable, VaeManagerError, MemoryError, RuntimeError) as error:  # torch's own are RuntimeErrors
        clock.left_out.append(f"{section.name}: {count - len(found)} of {count} rounds: {error}")


# -- figures ---------------------------------------------------------------------------------------------------------
def figures(device: torch.device, found: Mapping[str, Sequence[Round]], notes: Any, left_out: Any) -> dict[str, Any]:
    """Return what is measured by now."""
    measured = {name: list(rounds) for name, rounds in found.items() if rounds}
    return {
        "device": torch.cuda.get_device_name(device) if device.type != "cpu" else "CPU",
        "torch": torch.__version__,
        **notes,
        "sections": {
            name: {"rounds": len(rounds), "ways": {way: by_unit(rounds, way) for way in rounds[0]}}
            for name, rounds in measured.items()
        },
        "ratios": [
            {"section": name, "what": f"{above} / {below}", **ratio(rounds, above, below)}
            for kind, above, below in RATIOS
            for name, rounds in measured.items()
            if name.startswith(kind)
        ],
        "left_out": list(left_out),
    }


def by_unit(rounds: Sequence[Round], way: str) -> dict[str, Any]:
    """Return the spread of the milliseconds and of the megabytes."""
    return {unit: spread([one[way][unit] for one in rounds], 3) for unit in rounds[0][way]}


def ratio(rounds: Sequence[Round], above: str, below: str) -> dict[str, float]:
    """Return the spread of the ratios of each round."""
    return spread([one[above]["ms"] / one[below]["ms"] for one in rounds], 2)


def as_text(result: Mapping[str, Any]) -> str:
    """Return the figures in Markdown."""
    lines = ["# VAEs on a GPU", ""]
    lines += [f"{result['device']}, torch {result['torch']}; `bench/gpu.py` describes each line."]
    lines += [
        f"{name}: a UNet of {unet['parameters']:,} parameters in {unet['tensors']} tensors, in fp16."
        for name, unet in result.get("unets", {}).items()
    ]
    for name, section in result["sections"].items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", "", f"{section['rounds']} rounds.", ""]
        lines += ["| | ms, median | p10 – p90 | on the GPU, ms | peak, MB |", "|---|---:|---:|---:|---:|"]
        lines += [row(way, units) for way, units in section["ways"].items()]
    lines += ["", "## Ratios, of each round", "", "| | | median | p10 – p90 |", "|---|---|---:|---:|"]
    lines += [
        f"| {one['section']} | {one['what']} | {one['median']:.2f} | {one['p10']:.2f} – {one['p90']:.2f} |"
        for one in result["ratios"]
    ]
    for name, rescued in result.get("rescued", {}).items():
        away = rescued["levels_from_fp32"]
        lines += ["", f"The rescue of {name} was in {rescued['dtype']}: {away['mean']} levels of 255 from fp32 on"]
        lines[-1] += f" average, {away['max']} at most."
    if result["left_out"]:
        lines += ["", "Left out: " + "; ".join(result["left_out"]) + "."]
    return "\n".join(lines) + "\n"


def row(way: str, units: Mapping[str, Any]) -> str:
    """Return a line of the table of a section."""
    wall = units["ms"]
    on_gpu = ms(units["gpu_ms"]["median"] / 1000) if "gpu_ms" in units else ""
    peak = f"{units['peak_mb']['max']:.0f}" if "peak_mb" in units else ""
    spreading = f"{ms(wall['p10'] / 1000)} – {ms(wall['p90'] / 1000)}"
    return f"| {way} | {ms(wall['median'] / 1000)} | {spreading} | {on_gpu} | {peak} |"


# -- the command -----------------------------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    options = argparse.ArgumentParser(prog="python tasks.py prove gpu")
    options.add_argument("--minutes", type=float, default=7, help="no round begins that would end later")
    options.add_argument("--rounds", type=int, default=25, help="of each section, at most")
    options.add_argument("--dry-run", action="store_true", help="one round of each in tiny sizes on the CPU")
    return options


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print and, on a GPU, write; return the figures."""
    options = parser().parse_args(arguments)
    dry = options.dry_run
    if not dry and not torch.cuda.is_available():
        sys.exit("This torch can use no GPU here, so nothing is measured. --dry-run takes all steps on the CPU.")
    device = torch.device("cpu") if dry else torch.device("cuda", torch.cuda.current_device())
    clock = Clock(60 * options.minutes)
    found: dict[str, list[Round]] = {}
    notes: dict[str, Any] = {}

    def save(*left_out: str) -> dict[str, Any]:
        result = figures(device, found, notes, [*clock.left_out, *left_out])
        if not dry:
            write("gpu", result).with_suffix(".md").write_text(as_text(result), encoding="utf-8")
        return result

    with tempfile.TemporaryDirectory() as folder:
        hung = f"all that is missing here: it took longer than {options.minutes:g} minutes"
        with ends_after(60 * options.minutes + PATIENCE, lambda: save(hung), folder):
            bench = Bench(device, Path(folder), tiny=dry)
            notes = bench.notes
            for section in sections(bench):
                print(f"{section.name} …", file=sys.stderr, flush=True)
                measure(bench, device, section, clock, 1 if dry else options.rounds, found.setdefault(section.name, []))
                save()
    result = save()
    print("A dry run on the CPU: each step was taken, nothing was measured." if dry else as_text(result))
    return result


if __name__ == "__main__":
    main()
