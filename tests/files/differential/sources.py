"""Files of torch.save that are right, of many kinds: what mutations begin with."""

from __future__ import annotations

import functools
import io
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from ..torch_files import (
    Made,
    as_legacy,
    as_zip,
    call,
    mapping,
    name,
    number,
    ordered,
    several,
    state_dict,
    storage,
    tensor,
    text,
    weights,
)
from .parts import Parts, taken_apart

SHAPES = {"encoder.conv_in.weight": (2, 1, 1, 1), "decoder.conv_in.weight": (2, 2), "loss": (), "none": (0, 3)}
DTYPES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
)


@functools.cache
def sources() -> tuple[Parts, ...]:
    """All of them. Needs torch."""
    return tuple(taken_apart(data) for data in (*_by_torch(), *_by_hand()))


def _by_torch() -> Iterator[bytes]:
    import torch

    for value in _values(torch):
        for is_zip in (True, False):
            for protocol in (2, 4):
                file = io.BytesIO()
                torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
                yield file.getvalue()


def _values(torch: Any) -> Iterator[object]:
    import numpy

    whole = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    layer = torch.nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        layer.weight.fill_(0.5)
        layer.bias.fill_(-2)
    yield {name: whole.to(getattr(torch, name)) for name in DTYPES}
    yield layer.state_dict()
    yield {
        "a": whole,
        "b": whole[1:],
        "c": whole.transpose(0, 2),
        "d": whole[:, ::2, 1],
        "e": whole[:0],
        "f": whole[0, 0, 0],
    }
    yield {
        "state_dict": layer.state_dict(),
        "epoch": 3,
        "loss": 0.5,
        "name": "x",
        "more": [1, (2, None), {3, "4"}, b"5"],
    }
    yield OrderedDict(parameter=torch.nn.Parameter(whole), twice=whole, expanded=torch.ones(1).expand(5))
    yield {
        "a": whole,
        "scalar": numpy.float64(1.5),
        "array": numpy.arange(6).reshape(2, 3),
        "texts": numpy.array(["a", "bc"]),
    }
    yield {
        "a": whole.to(torch.complex64),
        "state_dict": {"b": whole, "device": torch.device("cpu"), "size": torch.Size([2])},
    }
    yield {
        "a": whole,
        3: whole,
        "state": {0: {"step": torch.tensor(4.0), "avg": whole}},
        "groups": [{"lr": 0.1}],
        "big": 2**70,
    }


def _by_hand() -> Iterator[bytes]:
    codes, storages = weights(SHAPES)
    items = b"](" + b"".join(several(text(key), code) for key, code in codes.items()) + b"e"
    callback = name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    module = name("torch.nn.modules.container", "ParameterDict") + b")\x81" + mapping({"training": b"\x88"}) + b"b"
    old = call(
        name("torch._utils", "_rebuild_tensor"), storage("Float", "0", 2), number(0), several(b"K\2"), several(b"K\1")
    )
    untyped = call(
        name("torch._utils", "_rebuild_tensor_v3"), storage("Untyped", "0", 8), number(0), several(b"K\2", b"K\2"),
        several(b"K\2", b"K\1"), b"\x89", ordered(), name("torch", "float16"),
    )  # fmt: skip
    metadata = ordered() + mapping({"_metadata": mapping({"": mapping({"version": number(1)})}, ordered())}) + b"b"
    for made in (
        state_dict(SHAPES),
        state_dict(SHAPES, "Half", wrapped=True),
        Made(b"\x80\x02" + call(name("collections", "OrderedDict"), items) + b".", storages),
        Made(b"\x80\x02" + mapping({"a": old, "module": module}) + callback + b"}s.", {"0": bytes(range(8))}),
        Made(b"\x80\x02" + mapping({"a": old, "same": b"2"}, metadata) + b".", {"0": bytes(range(8))}),
        Made(b"\x80\x02" + mapping({"b": b"C\x02ab", "old": b"U\x02ab"}) + b".", {}),
    ):
        yield as_zip(made)
        yield as_legacy(made)
    yield as_zip(Made(b"\x80\x02" + mapping({"a": untyped}) + b".", {"0": bytes(range(8))}))
    view = several(text("v"), number(1), number(2))
    viewed = mapping(
        {"a": tensor(storage("Float", "0", 4, view), (2,)), "b": tensor(storage("Float", "0", 4, b"N"), (4,))}
    )
    yield as_legacy(Made(b"\x80\x02" + viewed + b".", {"0": bytes(range(16))}))
