"""One batch of files, read here and by torch, and what came of each."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from vae_manager.errors import BrokenFileError
from vae_manager.files import chunks
from vae_manager.files.headers import TORCH_DTYPES, Header
from vae_manager.files.torch_reader import is_torch_file, read_torch
from vae_manager.swap.weight_reader import OTHER_DTYPES

from ..fuzzing.checks import ALARM

ROOT = Path(__file__).parents[3]
UNWRITTEN = re.compile(r"AttributeError: type object 'torch.storage.UntypedStorage' has no attribute 'dtype'")
"""Torch's error for legacy files that it writes itself, with dtypes that have no storage class."""
FAULTS = (
    "executed here",
    "different",
    "accepted here, refused by torch",
    "torch ran something, accepted here",
    "crashed here",
)
SHOWN = 400
"""Bytes of a faulty file that are kept."""

Tensors = dict[str, list[Any]]


@dataclass
class Tally:
    """Counts of results, and the files with a faulty one."""

    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """Codes of this reader's."""
    ran: int = 0
    """Files that would have run something in torch."""
    faults: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.refusals += other.refusals
        self.ran += other.ran
        self.faults += other.faults


class TorchProcess:
    """`torch_reader`, for files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.files.differential.torch_reader", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        self.version: str = json.loads(self._line())["torch"]

    def read(self, count: int) -> list[dict[str, Any] | None]:
        """Return torch's reading of the first `count` files; None for a file that ended the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return [json.loads(self._line()) for _ in range(count)]

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "torch's process has ended"
        return line

    def __enter__(self) -> TorchProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def compare(torch: TorchProcess, files: Sequence[bytes]) -> Tally:
    """Read `files` by both."""
    for number, data in enumerate(files):
        (torch.folder / str(number)).write_bytes(data)
    tally = Tally()
    for number, (data, theirs) in enumerate(zip(files, torch.read(len(files)), strict=True)):
        outcome, detail = _compared(torch.folder / str(number), data, theirs, tally)
        tally.outcomes[outcome] += 1
        if outcome in FAULTS:
            tally.faults.append({"outcome": outcome, "detail": detail, "file": data.hex() if len(data) < 4000 else ""})
    return tally


def _compared(path: Path, data: bytes, theirs: dict[str, Any] | None, tally: Tally) -> tuple[str, str]:
    off: dict[str, Any] = theirs["off"] if theirs is not None else {"error": "the process ended", "ran": []}
    tally.ran += bool(off["ran"])
    try:
        ours = _ours(path, data)
    except AssertionError as error:
        return "executed here", str(error)
    except BrokenFileError as error:
        tally.refusals[error.code] += 1
        return ("refused here, read by torch" if "tensors" in off else "refused by both"), ""
    except Exception as error:  # a fault of the reader's
        return "crashed here", repr(error)
    if ours is None:
        return ("no file of torch for this reader, read by torch" if "tensors" in off else "refused by both"), ""
    if off["ran"]:
        return "torch ran something, accepted here", str(off["ran"])
    if "tensors" not in off:
        if UNWRITTEN.search(off["error"]):
            return "accepted here, written by torch and not read by it", ""
        return "accepted here, refused by torch", off["error"]
    if off["tensors"] != ours:
        return "different", f"{ours} {off['tensors']}"
    on = theirs["on"] if theirs is not None else {}
    if "tensors" in on and on["tensors"] != ours:
        return "different", f"weights only: {ours} {on['tensors']}"
    return ("equal, with weights_only too" if "tensors" in on else "equal"), ""


def _ours(path: Path, data: bytes) -> Tensors | None:
    """Read a file; None if it is not recognised as a torch file."""
    if not is_torch_file(data[:512]):
        return None
    with ALARM:
        header = read_torch(path)
        return _tensors(path, header)


def _tensors(path: Path, header: Header) -> Tensors:
    found = {}
    with path.open("rb") as file:
        for name, info in header.tensors.items():
            digest = hashlib.blake2b(digest_size=16)
            for chunk in chunks(file, path, header, info):
                digest.update(chunk)
            dtype = {**TORCH_DTYPES, **OTHER_DTYPES}[info.dtype]
            found[ascii(name)] = [dtype, list(info.shape), digest.hexdigest()]
    return found
