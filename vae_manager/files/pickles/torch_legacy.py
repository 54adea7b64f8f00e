"""Files of torch.save before PyTorch 1.6, or with its zip format off: five pickles, then the storages.

a magic number, the protocol (1001), facts about the machine, what holds the tensors, the storages' keys in order;
for each key: the count of its numbers (8 bytes, little endian), and those
"""

from __future__ import annotations

from typing import BinaryIO, Final

from ...sentences import megabytes, say
from ..headers import Header
from .allowlist import LEGACY_ID
from .pickle_values import DAMAGED, Ended, Pairs, Refused
from .pickle_vm import Machine
from .state_dict import Place, header_of
from .torch_zip import LARGEST_PICKLE

__all__ = ["read_legacy"]

MAGIC: Final = 0x1950A86A20F9469CFC6C
PROTOCOL: Final = 1001
COUNT: Final = 8
"""Bytes of a storage's count of numbers."""
FIRST_LOOK: Final = 1 << 17
"""Bytes in which the pickles of a VAE end."""


def read_legacy(file: BinaryIO, size: int) -> Header:
    """As `read_zip`, of a file that begins like a pickle. Raises Refused."""
    machine = Machine(b"", lambda: _next(file, machine.data))
    try:
        root, keys = _pickles(machine)
    except Ended:
        if len(machine.data) == size:
            cut = say("it ends too early. The download was probably cut off; get it again.")
            raise Refused("truncated", cut) from None
        raise Refused(DAMAGED, say("what holds its tensors is far too large.")) from None
    places = _places(file, machine, keys, size)
    return header_of(root, lambda storage: places[storage.key], size)


def _next(file: BinaryIO, data: bytes) -> bytes:
    """What follows on `data`, twice as much at a time: the pickles' end is not known before it is met."""
    file.seek(len(data))
    return file.read(min(max(FIRST_LOOK, len(data)), LARGEST_PICKLE - len(data)))


def _pickles(machine: Machine) -> tuple[object, list[str]]:
    """What holds the tensors, and the keys of the storages. Each pickle is looked at before the next one is."""
    if machine.run() != MAGIC:
        raise Refused("not-a-model", say("it is a pickle that PyTorch did not write."))
    if machine.run() != PROTOCOL:
        raise Refused("not-a-model", say("it is a pickle that PyTorch did not write."))
    facts = machine.run()
    if not isinstance(facts, Pairs):
        raise Refused("not-a-model", say("it is a pickle that PyTorch did not write."))
    if any(isinstance(key, str) and key == "little_endian" and value is False for key, value in facts):
        raise Refused(DAMAGED, say("its numbers are of a big-endian machine."))
    root, keys = machine.run(LEGACY_ID), machine.run()
    if type(keys) is not list or not all(isinstance(key, str) for key in keys):
        raise Refused(DAMAGED, say("its instructions make no sense."))
    return root, keys


def _places(file: BinaryIO, machine: Machine, keys: list[str], size: int) -> dict[str, Place]:
    """Where each storage lies: in the order of `keys`, each after its count, from where the pickles end."""
    if len(set(keys)) != len(keys) or set(keys) != machine.storages.keys():
        raise Refused(DAMAGED, say("the numbers of one of its tensors are missing."))
    places: dict[str, Place] = {}
    at = machine.at
    for key in keys:
        storage = machine.storages[key]
        places[key] = Place(at + COUNT, at + COUNT + storage.count * storage.width)
        at = places[key].end
    if at > size:
        raise Refused(
            "truncated",
            say(
                "{missing} of {total} are missing at its end. The download was probably cut off; get it again.",
                missing=megabytes(at - size),
                total=megabytes(at),
            ),
        )
    for key, place in places.items():
        file.seek(place.start - COUNT)
        if int.from_bytes(file.read(COUNT), "little") != machine.storages[key].count:
            raise Refused("bad-offsets", say("the numbers of one of its tensors are cut off."))
    return places
