"""Files of torch.save since PyTorch 1.6: a zip archive of

NAME/data.pkl    what holds the tensors
NAME/data/KEY    a storage's bytes, stored as they are
NAME/byteorder   "little", since PyTorch 2.1
NAME/version     and other small things of torch's own
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO, Final

from ...sentences import say
from ..headers import Header
from .allowlist import ZIP_ID
from .archive import BAD_ZIP, Entry, data_start, read_entries
from .pickle_values import DAMAGED, Ended, Refused, Storage
from .pickle_vm import Machine
from .state_dict import Place, header_of

__all__ = ["LARGEST_PICKLE", "read_zip"]

LARGEST_PICKLE: Final = 64 << 20
"""Bytes. That of a checkpoint of 7 GB has some 300,000."""

_KNOWN: Final = re.compile(
    r"([^/\x00-\x1f]+)/(?:data\.pkl|data/[0-9]+|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment)"
)
SMALL: Final[Mapping[str, int]] = MappingProxyType(
    {"version": 16, "byteorder": 16, ".format_version": 16, ".storage_alignment": 16, ".data/serialization_id": 64}
)
"""torch's own small things that it goes by, and their bytes at most."""
_SOUND: Final[Mapping[str, re.Pattern[bytes]]] = MappingProxyType(
    {
        "version": re.compile(rb"(?:[1-9]|10)\n?"),
        "byteorder": re.compile(rb"little"),
        ".format_version": re.compile(rb"[0-9]+"),
        ".storage_alignment": re.compile(rb"[1-9][0-9]{0,8}"),
        ".data/serialization_id": re.compile(rb"[ -~]*"),
    }
)
"""The known entries besides the weights, with their allowed contents."""


def read_zip(file: BinaryIO, size: int) -> Header:
    """The weights of a file that begins like a zip archive. Raises Refused."""
    entries = read_entries(file, size)
    folder = _folder(entries)
    _check_small_things(file, entries, folder)
    machine = Machine(_content(file, entries[f"{folder}/data.pkl"], LARGEST_PICKLE))
    try:
        root = machine.run(ZIP_ID)
    except Ended:
        raise Refused(DAMAGED, say("its data.pkl ends too early.")) from None
    # All of them: torch reads each as soon as it is named, be it a weight's or not.
    places = {key: _place(file, size, entries, folder, storage) for key, storage in machine.storages.items()}
    return header_of(root, lambda storage: places[storage.key], size)


def _check_small_things(file: BinaryIO, entries: Mapping[str, Entry], folder: str) -> None:
    found = {
        name: _content(file, entries[f"{folder}/{name}"], most)
        for name, most in SMALL.items()
        if f"{folder}/{name}" in entries
    }
    if found.get("byteorder", b"little") != b"little":
        raise Refused(DAMAGED, say("its numbers are of a big-endian machine."))
    if not all(_SOUND[name].fullmatch(content) for name, content in found.items()) or "version" not in found:
        raise Refused(BAD_ZIP, say("it is of a newer form than is known, or damaged."))


def _folder(entries: Mapping[str, Entry]) -> str:
    """The one folder in which all is. Anything that torch.save does not write is refused, as the WebUI does: an
    archive of TorchScript has code in it, which torch.load would run."""
    if not any(name.rpartition("/")[2].lower() == "data.pkl" for name in entries):  # torch finds it in any case
        raise Refused("zip-without-model", say("it is a zip archive without a model in it."))
    folders = set()
    for name in entries:
        found = _KNOWN.fullmatch(name)
        if found is None:
            raise Refused(BAD_ZIP, say("it has {name} in it, which no file of weights has.", name=name[:100]))
        folders.add(found[1])
    if len(folders) != 1:
        raise Refused(BAD_ZIP, say("it holds several files of PyTorch's."))
    return folders.pop()


def _content(file: BinaryIO, entry: Entry, most: int) -> bytes:
    if entry.size > most:
        raise Refused(BAD_ZIP, say("a small part of it is said to be far too large."))
    start = data_start(file, entry)
    file.seek(start)
    content = file.read(entry.size)
    if len(content) < entry.size:
        raise Refused(BAD_ZIP, say("parts of it lie outside the file."))
    return content


def _place(file: BinaryIO, size: int, entries: Mapping[str, Entry], folder: str, storage: Storage) -> Place:
    entry = entries.get(f"{folder}/data/{storage.key}")
    if entry is None:
        raise Refused(DAMAGED, say("the numbers of one of its tensors are missing."))
    length = storage.count * storage.width
    if entry.size != length:  # old versions of torch read the bytes that exist, newer ones refuse
        raise Refused("bad-offsets", say("the numbers of one of its tensors are cut off."))
    start = data_start(file, entry)
    if start + length > size:
        raise Refused(BAD_ZIP, say("parts of it lie outside the file."))
    return Place(start, start + length)
