"""Imitation of modules/safe.py, flaws included: it checks a file with one reader and loads it with another.

The flaw of the original: Python's unpickler checks the file against a list of allowed names, and calls these; then
`torch.load` reads the same file without any list. The two differ: one unpickler reads all pickles of a legacy file
here, while torch makes a new one for each and looks for a tar archive first; and a tensor can get a state. A file that
cannot be read safely is reported, and the result is None instead of an error.
"""

from __future__ import annotations

import _codecs
import collections
import pickle
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy
import torch

Handler = Callable[[str, str], Any]

_NAMES = re.compile(r"^([^/]+)/((data/\d+)|version|byteorder|.data/serialization_id|(data\.pkl))$")
_DATA = re.compile(r"^([^/]+)/data\.pkl$")
_STORAGES = ("Float", "Half", "Int", "Long", "Double", "Byte", "BFloat16")
_REBUILDERS = ("_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_device_tensor_from_numpy")
_PICKLES = 5

unsafe_torch_load = torch.load
global_extra_handler: Handler | None = None


def encode(*args: Any) -> Any:
    return _codecs.encode(*args)


def _allowed() -> dict[tuple[str, str], Any]:
    core = numpy.core.multiarray
    return {
        ("collections", "OrderedDict"): collections.OrderedDict,
        **{("torch._utils", name): getattr(torch._utils, name, None) for name in _REBUILDERS},
        **{("torch", f"{kind}Storage"): getattr(torch, f"{kind}Storage") for kind in _STORAGES},
        ("torch", "float32"): torch.float32,
        ("torch.nn.modules.container", "ParameterDict"): torch.nn.ParameterDict,
        **{("numpy.core.multiarray", name): getattr(core, name) for name in ("scalar", "_reconstruct")},
        **{("numpy", name): getattr(numpy, name) for name in ("dtype", "ndarray")},
        ("_codecs", "encode"): encode,
        ("__builtin__", "set"): set,
    }


class RestrictedUnpickler(pickle.Unpickler):
    extra_handler: Handler | None = None

    def persistent_load(self, saved_id: Any) -> Any:
        assert saved_id[0] == "storage"
        return torch.storage.TypedStorage(_internal=True)

    def find_class(self, module: str, name: str) -> Any:
        if self.extra_handler is not None:
            found = self.extra_handler(module, name)
            if found is not None:
                return found
        if (module, name) not in _allowed():
            raise Exception(f"global '{module}/{name}' is forbidden")
        return _allowed()[module, name]


def check_pt(filename: Any, extra_handler: Handler | None) -> None:
    try:
        with zipfile.ZipFile(filename) as archive:
            names = archive.namelist()
            strange = next((name for name in names if not _NAMES.match(name)), None)
            pickles = [name for name in names if _DATA.match(name)]
            if strange is not None:
                raise Exception(f"bad file inside {filename}: {strange}")
            if len(pickles) != 1:
                raise Exception(f"not one data.pkl in {filename}")
            with archive.open(pickles[0]) as file:
                _looked_at(file, extra_handler, 1)
    except zipfile.BadZipfile:
        with open(filename, "rb") as file:  # noqa: PTH123 - as the WebUI does
            _looked_at(file, extra_handler, _PICKLES)


def _looked_at(file: Any, extra_handler: Handler | None, count: int) -> None:
    unpickler = RestrictedUnpickler(file)
    unpickler.extra_handler = extra_handler
    for _ in range(count):
        unpickler.load()


def load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """What `torch.load` is for everybody in the WebUI's process."""
    return load_with_extra(filename, *args, extra_handler=global_extra_handler, **kwargs)


def load_with_extra(filename: Any, extra_handler: Handler | None = None, *args: Any, **kwargs: Any) -> Any:
    from modules import errors, shared

    try:
        if not shared.cmd_opts.disable_safe_unpickle:
            check_pt(filename, extra_handler)
    except Exception:  # any error, as in the original
        errors.report(f"Error verifying pickled file from {filename}", exc_info=True)
        return None
    # The torch of the WebUI's time has no restrictions of its own unless it is asked for them.
    return unsafe_torch_load(filename, *args, **{"weights_only": False, **kwargs})


class Extra:
    """Names that are let pass inside it."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        global global_extra_handler

        assert global_extra_handler is None, "already inside an Extra() block"
        global_extra_handler = self.handler

    def __exit__(self, *_: object) -> None:
        global global_extra_handler

        global_extra_handler = None


torch.load = load
