"""Time and memory of looking at a file, hashing it and converting it, beside the disk's own speed and openssl.

    python tasks.py prove files [--rounds N] [--big GB] [--folder FOLDER]

Two files of real bytes: a VAE of SD's size in diffusers' layout (335 MB) and a whole checkpoint (7 GB). In each round
every way has its turn on the same file, in a new order; "cold" after the file's pages were dropped from memory. Each
way runs in a process of its own; its imports are not counted, as `openssl` has none, but the start of openssl is. The
memory is what the process takes at most, above what it took before.

The result goes to bench/results/files.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.results import write
from tests.files.samples import encode, header_of
from tests.files.whole_vaes import Config, names

SD1 = Config((128, 256, 512, 512))
SPARE = 64_000_000
BLOCK = 4 << 20
OPENSSL = "openssl dgst -sha256"
SEED = 20261125

Shapes = Mapping[str, tuple[int, ...]]


# -- what is measured, in a process of its own -------------------------------------------------------------------------
def plain_read(path: Path) -> None:
    buffer = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def plain_write(path: Path) -> None:
    """As many bytes as the VAE of SD has, and have the disk hold them."""
    block = random.Random(SEED).randbytes(BLOCK)
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        for _ in range(335_000_000 // BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def openssl(path: Path) -> None:
    subprocess.run(["openssl", "dgst", "-sha256", path], check=True, stdout=subprocess.DEVNULL)


def inspecting(path: Path) -> None:
    from vae_manager.files import inspect

    assert inspect(path).tensors


def hashing(path: Path) -> None:
    from vae_manager.files import sha256_of

    sha256_of(path)


def fingerprinting(path: Path) -> None:
    from vae_manager.files.tensor_data import fingerprints

    fingerprints(path)


def converting(path: Path, dtype: str | None = None) -> None:
    from vae_manager.files.conversion import convert

    target = path.with_name("result.safetensors")
    convert(path, target, dtype=dtype)
    target.unlink()


def converting_to_fp16(path: Path) -> None:
    converting(path, "fp16")


WAYS: dict[str, Callable[[Path], None]] = {
    "plain read": plain_read,
    "plain write and fsync of 335 MB": plain_write,
    OPENSSL: openssl,
    "inspect": inspecting,
    "SHA-256": hashing,
    "fingerprints": fingerprinting,
    "convert": converting,
    "convert to fp16": converting_to_fp16,
}


def one_way(name: str, path: Path) -> None:
    """Run one way here; print its seconds and bytes."""
    import numpy

    from vae_manager.files import conversion, tensor_data

    assert numpy and conversion and tensor_data
    before, began = peak(), time.perf_counter()
    WAYS[name](path)
    print(json.dumps({"seconds": time.perf_counter() - began, "bytes": peak() - before}))


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this needs Linux")


# -- the files ---------------------------------------------------------------------------------------------------------
def make_vae(path: Path) -> Path:
    """SD's VAE as diffusers names it, of small random numbers."""
    import numpy

    shapes = {theirs: shape for _, theirs, shape in names(SD1)}
    header, size = header_of(shapes)
    chance = numpy.random.default_rng(SEED)
    with path.open("wb") as file:
        file.write(encode(header))
        for start in range(0, size, BLOCK):
            count = min(BLOCK, size - start) // 4
            file.write(chance.standard_normal(count, "float32").tobytes())
    return path


def make_checkpoint(path: Path, size: int, vae: Path) -> Path:
    """A checkpoint: 2000 tensors of random bytes, and that VAE's numbers under the WebUI's names, at the end."""
    ours = {f"first_stage_model.{name}": shape for name, _, shape in names(SD1)}
    each = (size - 4 * sum(math.prod(shape) for shape in ours.values())) // 2000 // 2
    unet = header_of({f"model.diffusion_model.blocks.{number}.weight": (each,) for number in range(2000)}, "F16")
    inner = header_of(ours)
    for tensor in inner[0].values():
        tensor["data_offsets"] = [unet[1] + at for at in tensor["data_offsets"]]
    chance = random.Random(SEED)
    with path.open("wb") as file, vae.open("rb") as numbers:
        file.write(encode({**unet[0], **inner[0]}))
        for start in range(0, unet[1], BLOCK):
            file.write(chance.randbytes(min(BLOCK, unet[1] - start)))
        numbers.seek(-inner[1], os.SEEK_END)
        shutil.copyfileobj(numbers, file, BLOCK)
    return path


def make_hole(path: Path) -> Path:
    """That VAE's names with tensors a hundred times as large, all of it a hole: only a header can be read quickly."""
    header, size = header_of({theirs: (*shape[:-1], shape[-1] * 100) for _, theirs, shape in names(SD1)})
    raw = encode(header)
    path.write_bytes(raw)
    os.truncate(path, len(raw) + size)
    return path


def largest(path: Path) -> int:
    """Bytes of its largest tensor that is the VAE's."""
    from vae_manager.files import read_header
    from vae_manager.files.layouts import canonical

    specs = read_header(path).tensors
    found = canonical(specs)
    assert found is not None
    return max(specs[source.name].end - specs[source.name].start for source in found.tensors.values())


# -- rounds ------------------------------------------------------------------------------------------------------------
def rounds(path: Path, count: int, *, cold: bool) -> list[dict[str, Any]]:
    chance = random.Random(SEED)
    found = []
    for number in range(count):
        order = list(WAYS)
        chance.shuffle(order)
        found.append({name: measured(name, path, cold=cold) for name in order})
        print(f"{path.name}, {'cold' if cold else 'warm'}: {number + 1} of {count}", flush=True)
    return found


def measured(name: str, path: Path, *, cold: bool) -> dict[str, float]:
    drop(path) if cold else plain_read(path)
    command = [sys.executable, "-m", "bench.files", "--way", name, "--folder", str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(answer)
    return result


def drop(path: Path) -> None:
    """Have no byte of it in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def spread(values: list[float], digits: int = 4) -> dict[str, float]:
    named = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in named.items()}


def ratio(rounds: list[dict[str, Any]], above: str, below: str) -> dict[str, float]:
    """Of each round; the spread of those."""
    return spread([one[above]["seconds"] / one[below]["seconds"] for one in rounds], 3)


# -- figures -----------------------------------------------------------------------------------------------------------
def figures(runs: dict[str, dict[str, list[dict[str, Any]]]], files: dict[str, Path], hole: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    goals: list[dict[str, Any]] = []
    for label, kinds in runs.items():
        told[label] = {
            kind: {
                name: {
                    "seconds": spread([one[name]["seconds"] for one in found]),
                    "peak_bytes": round(max(one[name]["bytes"] for one in found)),
                }
                for name in WAYS
            }
            for kind, found in kinds.items()
        }
        for kind, found in kinds.items():
            apart = ratio(found, "SHA-256", OPENSSL)
            goals.append(goal(f"SHA-256 / openssl, {label}, {kind}", apart, 1.2))
        limit = 1.3 * largest(files[label]) + SPARE
        for name in ("convert", "convert to fp16"):
            most = max(one[name]["bytes"] for found in kinds.values() for one in found)
            goals.append(goal(f"{name}, {label}: peak / bound", {"median": round(most / limit, 3)}, 1.0))
    vae = next(iter(runs))
    for kind, found in runs[vae].items():
        goals.append(goal(f"fingerprints / openssl, {vae}, {kind}", ratio(found, "fingerprints", OPENSSL), 1.2))
    pairs = [[measured("inspect", path, cold=True)["seconds"] for path in (hole, files[vae])] for _ in range(15)]
    apart = spread([large / small for large, small in pairs], 3)
    goals.append(goal("inspect, the same names with 33 GB / with 335 MB", apart, 1.2))
    return {"files": told, "wanted": goals}


def goal(what: str, found: dict[str, float], limit: float) -> dict[str, Any]:
    return {"what": what, **found, "wanted": f"<= {limit:g}", "met": found["median"] <= limit}


def as_text(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "# Looking at files, hashing and converting them",
        "",
        f"{result['rounds']['335 MB VAE']} and {result['rounds']['checkpoint']} rounds; every way on the same file, "
        f"in a new order each round. Load of the machine (1 min) at the start {result['load']['start']}, "
        f"at the end {result['load']['end']}, of {os.cpu_count()} processors; this run uses one of them.",
    ]
    for label, kinds in result["files"].items():
        for kind, ways in kinds.items():
            lines += ["", f"## {label} ({result['bytes'][label]:,} bytes), {kind}", ""]
            lines += ["| | seconds, median | min – max | peak memory above idle, MB |", "|---|---:|---:|---:|"]
            for name, one in ways.items():
                time = one["seconds"]
                lines.append(
                    f"| {name} | {time['median']:.4f} | {time['min']:.4f} – {time['max']:.4f} "
                    f"| {one['peak_bytes'] / 1e6:.1f} |"
                )
    lines += ["", "## What is wanted", "", "| | median | min – max | wanted | met |", "|---|---:|---:|---|---|"]
    for one in result["wanted"]:
        ends = f"{one['min']:.2f} – {one['max']:.2f}" if "min" in one else ""
        met = "yes" if one["met"] else "no"
        lines.append(f"| {one['what']} | {one['median']:.2f} | {ends} | {one['wanted']} | {met} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove files")
    options.add_argument("--rounds", type=int, default=11, help="for the VAE; a third of it for the checkpoint")
    options.add_argument("--big", type=float, default=7.0, metavar="GB", help="the checkpoint's size")
    options.add_argument("--folder", type=Path, help="on the disk that is measured")
    options.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.way is not None:
        one_way(given.way, given.folder)
        return
    began = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        vae = make_vae(Path(folder) / "vae.safetensors")
        whole = make_checkpoint(Path(folder) / "checkpoint.safetensors", int(given.big * 1e9), vae)
        files = {"335 MB VAE": vae, "checkpoint": whole}
        counts = {"335 MB VAE": given.rounds, "checkpoint": max(3, given.rounds // 3)}
        runs = {
            label: {kind: rounds(path, counts[label], cold=kind == "cold") for kind in ("warm", "cold")}
            for label, path in files.items()
        }
        result = {
            "rounds": counts,
            "bytes": {label: path.stat().st_size for label, path in files.items()},
            **figures(runs, files, make_hole(Path(folder) / "hole.safetensors")),
        }
    result["load"] = {"start": round(began, 2), "end": round(os.getloadavg()[0], 2)}
    text = as_text(result)
    print(text)
    write("files", result).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
