"""torch.load in a separate process, under an audit hook: its results for files, and the code they would have run.

    python -m tests.files.differential.torch_reader FOLDER

Reads a number of files per line; the files are FOLDER/0, FOLDER/1, … Writes a line of JSON for each, in order. An
action that a file requests (a command, a write, a compilation) is recorded and stopped. A fork reads each batch, so a
file that ends the process ends that fork alone: the line is then null.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STOPPED = (
    *("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "webbrowser.", "urllib.", "ftplib.", "smtplib."),
    *("exec", "compile", "open", "builtins.input", "signal.", "code.", "cpython.run", "marshal.", "tempfile."),
)
HARMLESS = ("os.listdir", "os.scandir", "os.fspath", "ctypes.dlsym")
MEMORY = 12 << 30
"""Bytes of addresses: a file may ask for any number."""
SECONDS = 20
"""Time limit of a batch, plus a second for each file."""
OWN_NAMES = ("pytorch_lightning", "lightning")
"""Packages that A1111 has, and whose classes real files name."""


class Watch:
    """Recorder of the actions of a file, which it stops while it is set."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None or event in HARMLESS or not event.startswith(STOPPED):
            return
        if event == "open" and not _writes(arguments):
            return
        if event in ("exec", "compile") and _is_of_a_module(arguments):
            return
        self.seen.append(event)
        raise PermissionError(event)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    return (isinstance(mode, str) and any(letter in mode for letter in "wax+")) or bool(
        flags & (os.O_WRONLY | os.O_RDWR)
    )


def _is_of_a_module(arguments: tuple[Any, ...]) -> bool:
    """Return True for the code of an imported module, which is from a Python file; torch imports while it loads."""
    name = getattr(arguments[0], "co_filename", arguments[1] if len(arguments) > 1 else "")
    return isinstance(name, str) and (name.endswith(".py") or name.startswith("<frozen"))


class Lightning:
    """Finds any module of Lightning's, with any class in it."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in OWN_NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = _class  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _class(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


def _loaded(torch: Any, path: str, watch: Watch, weights_only: bool) -> dict[str, Any]:
    watch.seen = []
    try:
        root = torch.load(path, map_location="cpu", weights_only=weights_only)
    except BaseException as error:  # a file can raise any of them
        return {"error": f"{type(error).__name__}: {error}"[:160], "ran": watch.seen}
    finally:
        seen, watch.seen = watch.seen, None
    try:
        return {"tensors": _tensors(torch, root), "ran": seen}
    except BaseException as error:  # what it has loaded need not be what it seems
        return {"error": f"afterwards, {type(error).__name__}: {error}"[:160], "ran": seen}


def _tensors(torch: Any, root: Any) -> dict[str, Any]:
    root = unwrapped(torch, root)
    found = {}
    for name, value in root.items():
        if isinstance(name, str) and torch.is_tensor(value):
            data = _bytes_of(torch, value)
            digest = hashlib.blake2b(data, digest_size=16).hexdigest()
            found[ascii(name)] = [str(value.dtype).removeprefix("torch."), list(value.shape), digest]
    return found


def unwrapped(torch: Any, root: Any) -> Any:
    """Return the dict of the weights: that of a `state_dict`, or of another wrapper without tensors beside it."""
    for _ in range(3):
        if "state_dict" in root:
            root = root["state_dict"]
        elif any(isinstance(name, str) and torch.is_tensor(value) for name, value in root.items()):
            return root
        else:
            names = ("model_state_dict", "params_ema", "params", "ema", "model", "module", "weights", "vae")
            inner = next((root[name] for name in names if root.get(name) is not None), None)
            if not isinstance(inner, dict):
                return root
            root = inner
    return {}


def _bytes_of(torch: Any, value: Any) -> bytes:
    """Return the numbers of a tensor row after row, as they are in memory.

    Torch writes 0 and 1 when it copies a bool with another value, so one-byte dtypes are viewed as bytes first. A copy
    has its own strides: a tensor of one element keeps any, and some of them prevent a view as bytes. An empty tensor
    can have sizes whose strides overflow.
    """
    if not value.numel():
        return b""
    plain = value.detach().resolve_neg().resolve_conj()
    if plain.element_size() == 1:
        plain = plain.view(torch.uint8)
    row_after_row = plain.clone(memory_format=torch.contiguous_format).reshape(-1)
    data: bytes = row_after_row.view(torch.uint8).numpy().tobytes()
    return data


def _batch(torch: Any, folder: Path, count: Sequence[int], watch: Watch, to: int) -> None:
    for number in count:
        signal.alarm(5)
        answer = {"off": _loaded(torch, str(folder / str(number)), watch, False)}
        if "tensors" in answer["off"]:
            answer["on"] = _loaded(torch, str(folder / str(number)), watch, True)
        os.write(to, (json.dumps(answer) + "\n").encode())


def _forked(torch: Any, folder: Path, numbers: Sequence[int], watch: Watch) -> list[str]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            _batch(torch, folder, numbers, watch, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        answers = [line.strip() for line in lines]
    os.waitpid(child, 0)
    return answers


def _warm_up(torch: Any) -> None:
    """Have imported what torch imports in the middle of a load."""
    import numpy

    folder = Path(tempfile.mkdtemp())
    value = {"a": torch.ones(2), "b": numpy.float64(1), "c": numpy.arange(2), "d": torch.nn.ParameterDict(), "e": {1}}
    for is_zip in (True, False):
        torch.save(value, folder / "x", _use_new_zipfile_serialization=is_zip)
        for weights_only in (False, True):
            with contextlib.suppress(Exception):
                _tensors(torch, torch.load(folder / "x", weights_only=weights_only))
    with contextlib.suppress(Exception), (folder / "x").open("wb") as file:
        file.write(b"\0" * 1024)
        file.flush()
        torch.load(folder / "x", weights_only=False)
    shutil.rmtree(folder)


def main() -> None:
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    _warm_up(torch)
    folder, watch = Path(sys.argv[1]), Watch()
    sys.meta_path.append(Lightning())
    sys.addaudithook(watch)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        left = list(range(int(line)))
        while left:
            answers = _forked(torch, folder, left, watch)[: len(left)]
            for answer in answers:
                print(answer)
            left = left[len(answers) :]
            if left:
                print("null")
                del left[0]
        sys.stdout.flush()


if __name__ == "__main__":
    main()
