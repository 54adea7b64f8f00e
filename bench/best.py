"""How often `best` is right about planted faults, how long it takes beside bare encodes and decodes, and its memory.

    python tasks.py prove best [--trials N] [--pictures N] [--side N] [--large N]

`planted`: in each trial, ten pictures of 64 x 64 that no other trial has. Each of six faults, planted alone, has to be
named; a chain of VAEs, each with one fault more, has to be ranked in its order; a VAE has to be equal to itself, also
if its weights were rounded to 16 bits. The faults are planted in a VAE that keeps fine detail, and, but for the blur, in
the tiny trained one, whose pictures have no detail that a blur could take.

`tiny`: pictures of 512 x 512 by four tiny VAEs, against the same encodes and decodes alone, on the same threads; cut
and resumed; the memory of the process beside that after a tenth of the pictures.

`large`: a few pictures by four VAEs of SD 1.x's size (random weights: the time does not depend on them), against bare
encodes and decodes of the same pictures.

The result goes to bench/results/best.json.
"""

from __future__ import annotations

import argparse
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

from bench.results import write
from tests.compare.planted import CHAIN, SINGLE, chain, samples, singles, subject, tiny
from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import load
from vae_manager.compare import Model
from vae_manager.compare.comparison import to_tensor
from vae_manager.compare.defects import Kind
from vae_manager.compare.network import SD1, AutoencoderKL
from vae_manager.compare.picture_folder import Sample
from vae_manager.compare.ranking import Standing
from vae_manager.compare.trial import Finding, Subject, Trial, run
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
        right["order, each confidently"] += {row.standing for row in rows[1:]} == {Standing.WORSE}
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


# -- time and memory -----------------------------------------------------------------------------------------------
def tiny_subjects(count: int) -> list[Subject]:
    def loader(path: Path) -> Any:
        vae = load(path)
        return lambda: Model(vae, vae.decode_raw, vae.encode, torch.device("cpu"))

    files = {"base": BASE, "tuned": TUNED, "other": OTHER, "base again": BASE}
    return [Subject(name, name, loader(path)) for name, path in list(files.items())[:count]]


def large_subjects(count: int) -> list[Subject]:
    def made(seed: int) -> Model:
        torch.manual_seed(seed)
        vae = AutoencoderKL(SD1).eval().requires_grad_(False)
        return Model(vae, vae.decode_raw, vae.encode, torch.device("cpu"))

    return [Subject(f"sd1 {seed}", f"sd1 {seed}", lambda seed=seed: made(seed)) for seed in range(count)]  # type: ignore[misc]


def bare(subjects: Sequence[Subject], pictures: Sequence[Sample], side: int) -> float:
    """Seconds of the encodes and decodes alone, of pictures that are in memory, after the models are loaded."""
    tensors = [to_tensor(sample.opened(side)[1], 8) for sample in pictures]
    seconds = 0.0
    for one in subjects:
        model = one.load()
        started = time.perf_counter()
        with torch.no_grad():
            for tensor in tensors:
                model.decode(model.encode(tensor))
        seconds += time.perf_counter() - started
    return seconds


def on_disk(folder: Path, count: int, side: int) -> list[Sample]:
    from vae_manager.compare.picture_folder import files_below

    for start in range(0, count, 20):
        for number, sample in enumerate(samples(min(20, count - start), side, seed=20_000 + start)):
            (folder / f"{start + number:05}.png").write_bytes(sample.read())
    return files_below(folder)


def timed(subjects: Sequence[Subject], pictures: Sequence[Sample], side: int, folder: Path) -> dict[str, Any]:
    stop, journal = threading.Event(), folder / "cut.jsonl"
    total = len(subjects) * len(pictures)
    peaks: dict[str, float] = {}

    def report(step: Any) -> None:
        if step.done >= total // 10:
            peaks.setdefault("after a tenth", memory())

    started = time.perf_counter()
    whole = tried(subjects, pictures, TrialJournal(folder / "whole.jsonl"), report=report)
    took = time.perf_counter() - started
    peaks["at the end"] = memory()
    part = pictures[:: max(1, len(pictures) // 100)]
    bare_seconds = bare(subjects, part, side) * len(pictures) / len(part)

    def cut(step: Any) -> None:
        if step.done >= 30:
            stop.set()

    with suppress(Cancelled):
        tried(subjects, pictures[:20], TrialJournal(journal), report=cut, stop=stop)
    kept = journal.read_bytes().count(b"\n") if journal.exists() else 0
    resumed = tried(subjects, pictures[:20], TrialJournal(journal))
    again = tried(subjects, pictures[:20])
    return {
        "vaes": len(subjects),
        "pictures": len(pictures),
        "counted": whole.ranking.pictures,
        "side": side,
        "seconds": round(took, 1),
        "bare_seconds": round(bare_seconds, 1),
        "bare_pictures": len(part),
        "ratio": round(took / bare_seconds, 3),
        "wanted_at_most": 1.1,
        "peak_mb": peaks,
        "cut": {
            "kept": kept,
            "of": len(subjects) * min(20, len(pictures)),
            "same_ranking": resumed.ranking == again.ranking,
        },
    }


def memory() -> float:
    """The most megabytes that the process has had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python tasks.py prove best")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=500, help="of 512 x 512, by the tiny VAEs")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--large", type=int, default=3, help="pictures by VAEs of SD 1.x's size")
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"threads": torch.get_num_threads(), "device": "CPU", "planted": planted(options.trials)}
    print(result["planted"], flush=True)
    write("best", result)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        pictures = on_disk(folder / "pictures", options.pictures, options.side)
        result["tiny"] = timed(tiny_subjects(4), pictures, options.side, folder)
        print(result["tiny"], flush=True)
        write("best", result)
        if options.large:
            (folder / "whole.jsonl").unlink()
            (folder / "cut.jsonl").unlink(missing_ok=True)
            few = pictures[: options.large]
            started = time.perf_counter()
            subjects = large_subjects(4)
            tried(subjects, few)
            took = time.perf_counter() - started
            alone = bare(subjects, few, options.side)
            loads = sum(_seconds(one.load) for one in subjects)
            result["large"] = {
                "vaes": 4,
                "pictures": len(few),
                "side": options.side,
                "seconds": round(took, 1),
                "of_these_to_make_the_models": round(loads, 1),
                "bare_seconds": round(alone, 1),
                "ratio_without_making_them": round((took - loads) / alone, 3),
                "wanted_at_most": 1.1,
            }
    path = write("best", result)
    print(path.read_text(encoding="utf-8"))


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
