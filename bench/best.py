"""Rate of right findings of `best` on planted faults, its time beside bare encodes and decodes, and its memory.

    python tasks.py prove best [--part planted|many|time]… [--trials N] [--pictures N] [--timed N]

`planted`: in each trial, ten pictures of 64 x 64 that no other trial has. Each of six faults, planted alone, has to be
named; a chain of VAEs, each with one fault more, has to be ranked in its order; a VAE has to be equal to itself, also
if its weights were rounded to 16 bits. The faults are planted in a VAE that keeps fine detail, and, but for the blur,
in the tiny trained one, whose pictures have no detail that a blur could take.

`many`: 500 pictures of 512 x 512 by four VAEs that are quick (a pixel shuffle with a convolution): the memory of the
process beside that after a tenth of them; cut in the middle, resumed, and the same ranking as in one go.

`time`: a trial against the bare encodes and decodes of the same pictures, which are in memory and are neither read nor
scored (the layers of the first nine are looked at, as in each trial): by four tiny trained VAEs at 512 x 512, and by
two VAEs of SD 1.x's size at 256 x 256 (random weights: the time does not depend on them). Both in seconds of the clock
and of the processors; the first depends on what else the machine does.

Each part replaces its own figures in bench/results/best.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from bench.results import FOLDER, write
from tests.compare.planted import CHAIN, SINGLE, chain, samples, singles, subject, tiny
from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import load
from vae_manager.compare import Model
from vae_manager.compare.comparison import to_tensor
from vae_manager.compare.defects import Kind
from vae_manager.compare.network import SD1, AutoencoderKL
from vae_manager.compare.picture_folder import Sample, files_below
from vae_manager.compare.ranking import Standing
from vae_manager.compare.trial import SIDE, Finding, Subject, Trial, run
from vae_manager.compare.trial_journal import TrialJournal
from vae_manager.errors import Cancelled

WANTED = {
    "overflow": Kind.OVERFLOW,
    "nan": Kind.NO_PICTURE,
    "green": Kind.GREEN_RED,
    "pale": Kind.CONTRAST,
    "exchanged": Kind.EXCHANGED,
    "blurred": Kind.BLUR,
}
PICTURES = 10
"""Of one trial of planted faults."""


def tried(
    subjects: Sequence[Subject], pictures: Sequence[Sample], journal: TrialJournal | None = None, **more: Any
) -> Finding:
    trial = Trial({one.vae: one.hash for one in subjects}, journal=journal)
    return run(trial, subjects, pictures, **{"with_chart": False, **more})


# -- planted faults ------------------------------------------------------------------------------------------------
def rounded(model: Model) -> Model:
    """Its weights as a file in 16 bits has them."""
    for parameter in model.module.parameters():
        parameter.data = parameter.data.half().float()
    return model


def planted(trials: int) -> dict[str, Any]:
    named: Counter[str] = Counter()
    named_tiny: Counter[str] = Counter()
    right: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for number in range(trials):
        pictures = samples(PICTURES, 64, seed=10_000 + number)
        for counter, base in ((named, None), (named_tiny, tiny)):
            found = tried(singles(base) if base is not None else singles(), pictures)
            for vae, kind in WANTED.items():
                counter[vae] += kind in {defect.kind for defect in found.defects[vae]}
            false["good"] += bool(found.defects["good"]) if base is None else 0
        rows = tried(chain(), pictures).ranking.rows
        right["order"] += tuple(row.vae for row in rows) == CHAIN
        right["order, each confidently"] += {row.standing for row in rows[1:]} <= {Standing.WORSE, Standing.USELESS}
        for name, base in (("exact", None), ("tiny", tiny)):
            more = {"base": base} if base is not None else {}
            twins = [subject("one", **more), subject("itself", **more), subject("in 16 bits", rounded, **more)]
            found = tried(twins, pictures)
            right[f"itself is equal, {name}"] += found.ranking.rows[1].standing is Standing.EQUAL
            right[f"all three are equal, {name}"] += all(row.place == 1 for row in found.ranking.rows)
    return {
        "trials": trials,
        "pictures": PICTURES,
        "named": {vae: named[vae] for vae in SINGLE},
        "named in the tiny trained VAE": {vae: named_tiny[vae] for vae in SINGLE if vae != "blurred"},
        "a defect named of the good one": false["good"],
        **right,
        "wanted at least": round(0.95 * trials),
    }


# -- many pictures -------------------------------------------------------------------------------------------------
def on_disk(folder: Path, count: int, side: int) -> None:
    for start in range(0, count, 20):
        for number, sample in enumerate(samples(min(20, count - start), side, seed=20_000 + start)):
            (folder / f"{start + number:05}.png").write_bytes(sample.read())


def many(count: int, folder: Path) -> dict[str, Any]:
    subjects = [subject("good"), subject("pale", SINGLE["pale"]), subject("green", SINGLE["green"]), subject("again")]
    # In a process of its own: to draw them takes more memory than the trial
    drawing = multiprocessing.get_context("spawn").Process(target=on_disk, args=(folder, count, SIDE))
    drawing.start()
    drawing.join()
    pictures = files_below(folder)
    total = len(subjects) * count
    peaks: dict[str, float] = {}
    stop, journal = threading.Event(), folder / "journal.jsonl"

    def cut(step: Any) -> None:
        if step.done >= total // 10:
            peaks.setdefault("after a tenth", memory())
        if step.done >= total // 2:
            stop.set()

    started = time.perf_counter()
    with suppress(Cancelled):
        tried(subjects, pictures, TrialJournal(journal), report=cut, stop=stop)
    kept = journal.read_bytes().count(b"\n")
    resumed = tried(subjects, pictures, TrialJournal(journal))
    took = time.perf_counter() - started
    peaks["at the end"] = memory()
    return {
        "vaes": len(subjects),
        "pictures": count,
        "counted": resumed.ranking.pictures,
        "side": SIDE,
        "seconds": round(took, 1),
        "peak_mb": peaks,
        "kept_at_the_cut": kept,
        "scores": total,
        "same_ranking_in_one_go": resumed.ranking == tried(subjects, pictures).ranking,
        "places": {row.vae: row.place for row in resumed.ranking.rows},
    }


def memory() -> float:
    """The most megabytes that the process has had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)


# -- time ----------------------------------------------------------------------------------------------------------
def tiny_subjects() -> list[Subject]:
    files = {"base": BASE, "tuned": TUNED, "other": OTHER, "base again": BASE}
    return [_made(name, load(path)) for name, path in files.items()]


def large_subjects() -> list[Subject]:
    return [_made(f"sd1 {seed}", AutoencoderKL(SD1).eval().requires_grad_(False)) for seed in range(2)]


def _made(name: str, vae: Any) -> Subject:
    """Its model is there already: reading a file is no part of either time."""
    return Subject(name, name, lambda: Model(vae, vae.decode_raw, vae.encode, torch.device("cpu")))


def timed(subjects: Sequence[Subject], pictures: Sequence[Sample], side: int) -> dict[str, Any]:
    tensors = [to_tensor(sample.opened(side)[1], 8) for sample in pictures]

    def bare() -> None:
        with torch.no_grad():
            for one in subjects:
                model = one.load()
                for tensor in tensors:
                    model.decode(model.encode(tensor))

    clocks = {"clock": time.perf_counter, "processors": time.process_time}
    seconds: dict[str, dict[str, float]] = {}
    bare()  # warms the memory up, as the next line loads what scores a picture
    tried(subjects[:1], samples(1, side, seed=7))
    for name, work in (("trial", lambda: tried(subjects, pictures)), ("bare", bare)):
        began = {clock: read() for clock, read in clocks.items()}
        work()
        seconds[name] = {clock: round(read() - began[clock], 2) for clock, read in clocks.items()}
    return {
        "vaes": len(subjects),
        "pictures": len(pictures),
        "side": side,
        "seconds": seconds,
        "ratio": {clock: round(seconds["trial"][clock] / seconds["bare"][clock], 3) for clock in clocks},
        "wanted_at_most": 1.1,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python tasks.py prove best")
    parser.add_argument("--part", action="append", choices=["planted", "many", "time"], help="default: all")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=500, help="of the part `many`")
    parser.add_argument("--timed", type=int, default=8, help="pictures of the part `time`")
    options = parser.parse_args(arguments)
    parts = options.part or ["planted", "many", "time"]
    if "planted" in parts:
        keep("planted", planted(options.trials))
    if "many" in parts:
        with tempfile.TemporaryDirectory() as name:
            keep("many", many(options.pictures, Path(name)))
    if "time" in parts:
        tiny_ones = timed(tiny_subjects(), samples(options.timed, SIDE, seed=5), SIDE)
        keep("time", {"tiny": tiny_ones})
        keep("time", {"tiny": tiny_ones, "sd1": timed(large_subjects(), samples(options.timed, 256, seed=6), 256)})
    print((FOLDER / "best.json").read_text(encoding="utf-8"))


def keep(part: str, figures: dict[str, Any]) -> None:
    """Write the figures of one part beside those of the others."""
    path = FOLDER / "best.json"
    before: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    write("best", {**before, "device": "CPU", "threads": torch.get_num_threads(), part: figures})


if __name__ == "__main__":
    main()
