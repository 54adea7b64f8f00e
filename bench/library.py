"""How long it takes to say what a thousand VAE files are.

    python tasks.py prove library [FILES]

Files of the true SD 1.x layout (248 tensors; fp32 and fp16, with different metadata), as large as real ones but with
holes in place of most of their bytes, in one folder. Listed by the WebUI's own rule for what counts (`scan`), and by
what each file is (`Index.inspect_all`). Cold: nothing is remembered; with the headers in the system's memory, and after
it was asked to forget them. Warm: all is remembered, by this process or by an earlier one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.results import write
from tests.files.samples import encode, header_of
from vae_manager.files.tensor_data import SAMPLE_BYTES
from vae_manager.library import Folder, scan
from vae_manager.library.index import Index
from vae_manager.records import DATABASE, RecordStore

TIMES = 7
WANTED = {"cold": 1000.0, "warm": 50.0}
"""Milliseconds for 1,000 files."""


def main() -> None:
    if sys.argv[1:2] == ["--look"]:  # a process that knows only what an earlier one has written
        print(milliseconds(lambda: look(Path(sys.argv[2]), Index(RecordStore(Path(sys.argv[3]))))))
        return
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as place:
        folder, data = Path(place) / "VAE", Path(place) / "data"
        folder.mkdir()
        make(folder, count)
        began = time.process_time()
        cold = [milliseconds(lambda: look(folder, Index())) for _ in range(TIMES)]
        processor = (time.process_time() - began) * 1000 / TIMES
        forgotten = [after_forgetting(folder) for _ in range(3)]
        index = Index(RecordStore(data))
        look(folder, index)
        warm = [milliseconds(lambda: look(folder, index)) for _ in range(TIMES)]
        later = [in_another_process(folder, data) for _ in range(TIMES)]
        listing = [milliseconds(lambda: scan([Folder(folder)])) for _ in range(TIMES)]
        remembered = (data / DATABASE).stat().st_size
    path = write(
        "library",
        {
            "files": count,
            "load_of_the_machine_before": busy,
            "tensors_in_each": 248,
            "bytes_of_header": 25_000,
            "milliseconds_to_list_them": {
                "cold": {**figures(cold), "of_a_processor": round(processor, 1)},
                "cold_and_headers_read_from_disk": figures(forgotten),
                "warm": figures(warm),
                "warm_in_a_new_process": figures(later),
                "of_which_finding_the_files": figures(listing),
            },
            "wanted_milliseconds_for_1000": WANTED,
            "bytes_of_the_database": remembered,
        },
    )
    print(path.read_text(encoding="utf-8"))


def make(folder: Path, count: int) -> None:
    """Make VAE files that differ in their headers, with holes in place of their weights but where a listing samples
    them: there, a hole is what an unfinished download has."""
    import torch

    from tests.vaes.autoencoder import SD1, AutoencoderKL

    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in AutoencoderKL(SD1).state_dict().items()}
    for number in range(count):
        header, size = header_of(shapes, ("F32", "F16")[number % 2])
        raw = encode({"__metadata__": {"number": str(number)}, **header})
        path = folder / f"vae {number}.safetensors"
        path.write_bytes(raw)
        os.truncate(path, len(raw) + size)
        with path.open("r+b") as file:
            for start, end in (header[name]["data_offsets"] for name, shape in shapes.items() if len(shape) == 4):
                for place in (start, (start + end) // 2, end - min(SAMPLE_BYTES, end - start)):
                    file.seek(len(raw) + place)
                    file.write(b"\x11" * min(SAMPLE_BYTES, end - place))


def look(folder: Path, index: Index) -> None:
    found = index.inspect_all(scan([Folder(folder)]))
    assert not any(record.problems for record in found)


def after_forgetting(folder: Path) -> float:
    """As after a start of the machine, as far as the system forgets what it is asked to."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            with suppress(AttributeError, OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return milliseconds(lambda: look(folder, Index()))


def in_another_process(folder: Path, data: Path) -> float:
    command = [sys.executable, "-m", "bench.library", "--look", str(folder), str(data)]
    return float(json.loads(subprocess.check_output(command, text=True)))


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def figures(times: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(times), 1),
        "fastest": round(min(times), 1),
        "slowest": round(max(times), 1),
    }


if __name__ == "__main__":
    main()
