"""Files that are damaged, cut off or hostile."""

from __future__ import annotations

import io
import json
import struct
import zipfile

from .. import torch_files as torch
from ..samples import encode, ldm
from ..torch_files import as_legacy, as_zip, mapping, name, state_dict, storage, text
from .case import Case, legacy, nested, patched, pickled, tensors, with_entry, zipped

U8 = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
WHOLE = tensors(ldm())
ZIP = zipped(ldm())
LEGACY = legacy(ldm())
TWO_WAYS = {"a": torch.tensor(storage("Float", "0", 4), (4,)), "b": torch.tensor(storage("Half", "0", 4), (4,))}


def two_folders() -> bytes:
    """A zip that is two files of torch at once."""
    target = io.BytesIO(ZIP)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("other/data.pkl", state_dict(ldm()).code)
    return target.getvalue()


def pushed_out() -> bytes:
    """A zip whose last storage begins behind the file, by the length of what stands before it."""
    data = pickled(mapping({"a": torch.tensor(storage("Byte", "0", 1), (1,))}), **{"0": b"x"})
    at = data.index(b"archive/data/0") - 2
    return data[:at] + b"\xff\xff" + data[at + 2 :]


ERROR: list[Case] = [
    Case("cut in the data", WHOLE[:-5000], "safetensors", code="truncated"),
    Case("cut by one byte", WHOLE[:-1], "safetensors", code="truncated"),
    Case("cut in the header", WHOLE[:60], "safetensors", code="truncated"),
    Case("a byte too many", WHOLE + b"\0", "safetensors", code="bad-offsets"),
    Case("overlapping", encode({"a": U8, "b": U8}, b"x"), "safetensors", code="overlapping"),
    Case("a gap", encode({"a": U8, "b": {**U8, "data_offsets": [2, 3]}}, b"xyz"), "safetensors", code="bad-offsets"),
    Case(
        "beyond its end",
        encode({"a": {**U8, "shape": [99], "data_offsets": [0, 99]}}, b"x"),
        "safetensors",
        code="truncated",
    ),
    Case(
        "longer than its shape",
        encode({"a": {**U8, "data_offsets": [0, 2]}}, b"xy"),
        "safetensors",
        code="bad-offsets",
    ),
    Case("a header of 2**63 bytes", struct.pack("<Q", 2**63) + b'{"a":1}', "safetensors", code="header-too-long"),
    Case("a header of 4 GB", struct.pack("<Q", 2**32) + b'{"a":1}', "safetensors", code="header-too-long"),
    Case(
        "a name twice",
        encode(b'{"a":%b,"a":%b}' % ((json.dumps(U8).encode(),) * 2), b"x"),
        "safetensors",
        code="duplicate-key",
    ),
    Case("not JSON", encode(b'{"a":nonsense}'), "safetensors", code="bad-header"),
    Case("an unknown dtype", encode({"a": {**U8, "dtype": "X9"}}, b"x"), "safetensors", code="bad-header"),
    Case("zip, cut", ZIP[:-30], "pickle", code="truncated"),
    Case("zip, half", ZIP[: len(ZIP) // 2], "pickle", code="truncated"),
    Case("zip, compressed", as_zip(state_dict(ldm()), compression=zipfile.ZIP_DEFLATED), "pickle", code="bad-zip"),
    Case("zip, something before it", b"PK\3\4" + ZIP, "pickle", code="bad-zip"),
    Case("zip, a name twice", patched(ZIP, b"archive/data/1", b"archive/data/0", 1), "pickle", code="bad-zip"),
    Case("zip, one entry inside another", nested(), "pickle", code="bad-zip"),
    Case("zip, an entry as a folder", with_entry(ZIP, b"data/1", 38, b"\x10"), "pickle", code="bad-zip"),
    Case("zip, two folders", two_folders(), "pickle", code="bad-zip"),
    Case("zip, a byteorder of many bytes", zipped(ldm(), byteorder=b"little" * 3), "pickle", code="bad-zip"),
    Case("zip, an entry pushed out of the file", pushed_out(), "pickle", code="bad-zip"),
    Case("zip, a storage in two ways", pickled(mapping(TWO_WAYS), **{"0": bytes(16)}), "pickle", code="bad-pickle"),
    Case(
        "zip, a long number",
        pickled(mapping({"a": b"\x8b\x2c\1\0\0" + bytes(300)})),
        "pickle",
        code="bad-pickle",
    ),
    Case("legacy, another count", LEGACY[: -8 - 16 * 4] + b"\7" + LEGACY[-7 - 16 * 4 :], "pickle", code="bad-offsets"),
    Case("zip of TorchScript", zipped(ldm(), constants__pkl=b"x", code__x=b"x"), "pickle", code="bad-zip"),
    Case("zip, big endian", zipped(ldm(), byteorder=b"big"), "pickle", code="bad-pickle"),
    Case(
        "zip, a storage missing",
        pickled(mapping({"a": torch.tensor(storage("Float", "7", 4), (4,))})),
        "pickle",
        code="bad-pickle",
    ),
    Case(
        "zip, a storage too short",
        pickled(mapping({"a": torch.tensor(storage("Float", "0", 4), (4,))}), **{"0": bytes(15)}),
        "pickle",
        code="bad-offsets",
    ),
    Case(
        "zip, beyond its storage",
        pickled(mapping({"a": torch.tensor(storage("Float", "0", 4), (4,), offset=1)}), **{"0": bytes(16)}),
        "pickle",
        code="bad-offsets",
    ),
    Case(
        "zip, one number a billion times",
        pickled(mapping({"a": torch.tensor(storage("Float", "0", 1), (10**9,), (0,))}), **{"0": bytes(4)}),
        "pickle",
        code="bad-pickle",
    ),
    Case(
        "zip, complex numbers",
        pickled(mapping({"a": torch.tensor(storage("ComplexFloat", "0", 1), (1,))}), **{"0": bytes(8)}),
        "pickle",
        code="bad-pickle",
    ),
    Case("zip, data.pkl cut", as_zip(torch.Made(state_dict(ldm()).code[:-10], {})), "pickle", code="bad-pickle"),
    Case(
        "zip, a pickle of text instructions",
        as_zip(torch.Made(b"\x80\x02(dS'a'\nI1\ns.", {})),
        "pickle",
        code="bad-pickle",
    ),
    Case("legacy, cut in the data", LEGACY[:-5000], "pickle", code="truncated"),
    Case("legacy, cut in a pickle", LEGACY[:300], "pickle", code="truncated"),
    Case(
        "legacy, big endian",
        as_legacy(state_dict(ldm()), mapping({"little_endian": b"\x89"})),
        "pickle",
        code="bad-pickle",
    ),
    Case("legacy, keys missing", as_legacy(state_dict(ldm()), keys=b"]"), "pickle", code="bad-pickle"),
    Case("pickle, damaged", b"\x80\x02" + bytes(range(40, 250)), "pickle", code="bad-pickle"),
    Case("runs a command", pickled(torch.call(name("os", "system"), text("touch x"))), "pickle", code="unsafe-pickle"),
    Case("names a module alone", pickled(mapping({"a": name("antigravity", "fly")})), "pickle", code="unsafe-pickle"),
]
