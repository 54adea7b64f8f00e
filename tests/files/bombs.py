"""Files made to cost much time or memory, each with as many instructions as there may be."""

from __future__ import annotations

import struct

from vae_manager.files.headers import MAX_HEADER
from vae_manager.files.pickle_vm import MAX_STEPS
from vae_manager.files.torch_reader import MAX_TENSORS

from .samples import encode
from .torch_files import Made, as_legacy, as_zip, mapping, name, number, storage, tensor

N = MAX_STEPS + 10
ORDERED = name("collections", "OrderedDict")
SET = name("builtins", "set")
_CODES = {
    "lists": b"]" * N,
    "dicts": b"}" * N,
    "a tuple in a tuple in a tuple": b")" + b"\x85" * N,
    "lists in lists, put together": b"]" * (N // 2) + b"a" * (N // 2),
    "marks": b"(" * N,
    "the same value again": b"N" + b"2" * N,
    "a list in itself": b"]" + b"2a" * (N // 2),
    "the memo": b"]" + b"".join(b"r" + struct.pack("<I", key) for key in range(N)),
    "the memo, keys far apart": b"]" + b"".join(b"r" + struct.pack("<I", key << 12 & 2**32 - 1) for key in range(N)),
    "names": name("torch", "FloatStorage") * (N // 4),
    "names, all different": b"".join(name("pytorch_lightning.callbacks", f"a{key}") for key in range(N // 8)),
    "long numbers": (b"\x8a\xff" + b"\x7f" * 255) * 30_000,
    "a number of 2 GB": b"\x8b\xff\xff\xff\x7f",
    "copies of a long list": b"]q\0(" + b"NN\x86" * 100_000 + b"e" + ORDERED + b"q\1" + b"h\1h\0\x85R" * 100_000,
    "sets of a long list": b"]q\0(" + b"N" * 100_000 + b"e" + SET + b"q\1" + b"h\1h\0\x85R" * 90_000,
    "numbers that would collide": b"}(" + b"".join(number(key * (2**61 - 1)) + b"N" for key in range(N // 4)) + b"u",
    "a tensor a thousand times a thousand": (
        tensor(storage("Float", "0", 4), (1,) * 16) + b"q\0" + b"0}("
        + b"".join(b"U\3%03x" % (key % 4096) + b"h\0" for key in range(N // 3)) + b"u"
    ),
    "tensors without number": (
        tensor(storage("Float", "0", 4), (1,) * 16) + b"q\0" + b"0}("
        + b"".join(b"U\6%06x" % key + b"h\0" for key in range(MAX_TENSORS)) + b"u"
    ),
    "storages without number": mapping({str(key): tensor(storage("Float", str(key), 0), ()) for key in range(9000)}),
}  # fmt: skip


def _long(start: bytes, repeated: bytes, end: bytes) -> bytes:
    """A header as long as one may be."""
    return start + repeated * ((MAX_HEADER - len(start) - len(end)) // len(repeated)) + end


_TENSOR = b'"%06x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
_HEADERS = {
    "a header of dicts": _long(b'{"a":[', b"{},", b"{}]}"),
    "a header of small dicts": _long(b'{"a":[', b'{"":0},', b"{}]}"),
    "a header of lists": _long(b'{"a":[', b"[],", b"0]}"),
    "a header of numbers": _long(b'{"a":[', b"-1,", b"0]}"),
    "a header of one number": _long(b'{"a":', b"9", b"}"),
    "a header of lists in lists": _long(b'{"a":', b"[", b""),
    "a header of tensors": b"{" + b",".join(_TENSOR % number for number in range(MAX_HEADER // 64)) + b"}",
}

BOMBS = {
    **{label: as_zip(Made(b"\x80\x02" + code + b".", {"0": bytes(16)})) for label, code in _CODES.items()},
    "storages without number, legacy": as_legacy(
        Made(
            b"\x80\x02" + _CODES["storages without number"] + b".",
            {str(key): b"" for key in range(9000)},
        )
    ),
    "lists, legacy": as_legacy(Made(b"\x80\x02" + _CODES["lists"] + b".", {})),
    **{label: encode(raw) for label, raw in _HEADERS.items()},
    "many entries": as_zip(Made(b"\x80\x02}.", {str(key): b"" for key in range(30_000)})),
}
