"""What must hold for every input, good or bad."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.files.differential.torch_reader import unwrapped
from vae_manager.errors import BrokenFileError
from vae_manager.files import chunks, read_header
from vae_manager.files.torch_reader import is_torch_file, read_torch

NEWER_DTYPES = {"F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "C64", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}
"""The library knows them since 0.6; no VAE has any."""
DEEP = 100
"""Levels from which on the library gives up (at 125, of the whole text), and this reader does not."""


class Alarm:
    """Between entering and leaving, Python itself tells of each import, command and connection: none may be."""

    EVENTS = ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect", "pickle.find_class")

    def __init__(self) -> None:
        self._is_set = False
        self._is_watching = False
        self.rung: list[str] = []

    def __enter__(self) -> None:
        if not self._is_set:  # it cannot be taken off again
            sys.addaudithook(self._hear)
            self._is_set = True
        self.rung = []  # each input answers for itself
        self._is_watching = True

    def __exit__(self, *_: object) -> None:
        self._is_watching = False
        assert self.rung == [], self.rung

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._is_watching and event in self.EVENTS:
            self.rung.append(event)


ALARM = Alarm()


class Outcome(NamedTuple):
    """How one input was taken."""

    kind: str
    """`accepted`, the code of the refusal, or `differs: …` where the library does otherwise as it is documented."""
    seconds: float
    """Of the processor, for the reader alone."""


def check_header(path: Path, data: bytes) -> Outcome:
    """The header reader takes `data` as the safetensors library does. Raises AssertionError where it does not."""
    import safetensors

    path.write_bytes(data)
    began = time.process_time()
    try:
        tensors, refusal = read_header(path).tensors, None
    except BrokenFileError as error:
        tensors, refusal = {}, error.code
    seconds = time.process_time() - began
    found = {name: (info.dtype, info.shape, info.end - info.start) for name, info in tensors.items()}
    try:
        deserialized = safetensors.deserialize(data)
    except safetensors.SafetensorError:  # type: ignore[attr-defined]  # its stub leaves it out
        if refusal is not None:
            return Outcome(refusal, seconds)
        assert _depth(data) > DEEP, data
        return Outcome("differs: nested deeply", seconds)
    library = {name: (one["dtype"], tuple(one["shape"]), len(one["data"])) for name, one in deserialized}
    if refusal is None:
        assert found == library, data
        return Outcome("accepted", seconds)
    return Outcome(f"differs: {_why(refusal, data)}", seconds)


def _depth(data: bytes) -> int:
    """Of the brackets in a header, be they in texts or not."""
    level = deepest = 0
    for byte in data[8:]:
        level += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, level)
    return deepest


def _why(code: str, data: bytes) -> str:
    """Which of the documented reasons there is to refuse what the library takes."""
    if code in ("duplicate-key", "header-too-long"):
        return code
    root = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    infos = [value for name, value in root.items() if name != "__metadata__"]
    if any(isinstance(info, list) for info in infos):
        return "a tensor as a list"
    if any(isinstance(info["dtype"], dict) for info in infos):
        return "a dtype as an object"
    assert any(info["dtype"] in NEWER_DTYPES for info in infos), data
    return "a newer dtype"


def check_torch(path: Path, data: bytes) -> Outcome:
    """The reader of torch's files reads or refuses `data`; nothing runs; what it has read lies in the file."""
    path.write_bytes(data)
    if not is_torch_file(data[:512]):
        return Outcome("neither", 0.0)
    began = time.process_time()
    with ALARM:
        try:
            header, kind = read_torch(path), "accepted"
        except BrokenFileError as error:
            header, kind = None, error.code
    seconds = time.process_time() - began
    if header is not None:
        with path.open("rb") as file:
            for info in header.tensors.values():
                assert 0 <= info.start <= info.end <= len(data), data
                assert sum(map(len, chunks(file, path, header, info))) <= 8 * len(data), data
    return Outcome(kind, seconds)


def compare_with_torch(path: Path, data: bytes) -> Outcome:
    """What the reader accepts, torch gives too, byte for byte, or refuses. Raises AssertionError where it gives
    something else."""
    import torch

    outcome = check_torch(path, data)
    return outcome._replace(kind=_compared(torch, path)) if outcome.kind == "accepted" else outcome


def _compared(torch: Any, path: Path) -> str:
    try:
        root = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # it has many ways to refuse
        return "accepted, torch refuses"
    root = unwrapped(torch, root)
    expected = {name: value for name, value in root.items() if isinstance(name, str) and torch.is_tensor(value)}
    header = read_torch(path)
    assert header.tensors.keys() == expected.keys()
    with path.open("rb") as file:
        for name, value in expected.items():
            info = header.tensors[name]
            data = b"".join(bytes(chunk) for chunk in chunks(file, path, header, info))
            assert info.shape == tuple(value.shape)
            assert data == value.detach().numpy().tobytes()
    return "accepted, as torch reads it"
