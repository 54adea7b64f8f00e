"""Files of torch that are nearly right: one or a few instructions, frames, identities, headers are others."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random

from ..fuzzing.mutations import mutated
from ..gadgets import GADGETS
from ..torch_files import call, mapping, name, number, ordered, several, storage, tensor, text
from .parts import Member, Parts, put_together
from .sources import sources

SHELL = call(name("os", "system"), text("true"))
STATES = (
    *(b"}", b"N", b"}}\x86", mapping({"_metadata": b"}"}), mapping({"data": b"N"}), mapping({"items": b"N"})),
    mapping({"__class__": name("torch", "Size")}),
    several(b"K\0", b"(K\1t", b"(K\1t", b"\x89", ordered()),
    several(tensor(storage("Float", "0", 2), (2,)), b"K\0", b"(K\2t", b"(K\1t", b"\x89", ordered()),
)
NAMES = (
    *(("torch", f"{kind}Storage") for kind in ("Float", "Half", "Double", "Long", "Byte", "Bool", "ComplexFloat")),
    *(("torch._utils", f"_rebuild_{what}") for what in ("tensor", "tensor_v2", "tensor_v3", "parameter")),
    *(("torch._utils", f"_rebuild_{what}") for what in ("parameter_with_state", "device_tensor_from_numpy")),
    *(("torch", what) for what in ("Size", "device", "float32", "float16", "int8", "UntypedStorage", "Tensor")),
    *(("collections", "OrderedDict"), ("collections", "Counter"), ("builtins", "set"), ("__builtin__", "set")),
    *(("builtins", "bytes"), ("builtins", "bytearray"), ("builtins", "getattr"), ("builtins", "dict")),
    *(("_codecs", "encode"), ("numpy", "dtype"), ("numpy", "ndarray"), ("torch.serialization", "_get_layout")),
    *(("numpy.core.multiarray", "scalar"), ("numpy.core.multiarray", "_reconstruct")),
    *(("torch.nn.modules.container", "ParameterDict"), ("torch.nn.parameter", "Parameter")),
    *(("torch.storage", "UntypedStorage"), ("torch.storage", "_load_from_bytes"), ("os", "system")),
)
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 24, 255, 65535, 2**31 - 1, 2**40, 2**63 - 1, 2**64, -1)
KEYS = ("0", "1", "2", "v", "00", " 0", "../0", "0/", "é", "")
MORE_MEMBERS = (
    *("data/0", "DATA.PKL", "data.pkl", "constants.pkl", "version", ".format_version", ".data/version", "data/"),
    *("byteorder", "x", ".storage_alignment"),
)
SINGLE = (
    *(b"(", b"0", b"1", b"2", b"N", b"}", b"]", b")", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u"),
    *(b"R", b"\x81", b"b", b"Q", b"\x93", b"\x90", b"\x8f", b"\x94", b"h\0", b"h\1", b"q\0", b"q\1", b"j\0\0\0\0"),
    *(b"\x88", b"\x89", b"\x80\x02", b"\x80\x04", b"\x80\x06", b".", b"F1.5\n", b"I01\n", b"g0\n", b"p0\n", b"l", b"d"),
    *(b"\x92", b"\x82\x01", b"P0\n", b"o", b"\x91", b"\x97", b"\x98", b"r\xff\xff\xff\x7f", b"G" + bytes(8)),
)

Instructions = list[bytes]


def a_file(chance: Random) -> bytes:
    """One file."""
    parts = chance.choice(sources())
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
        parts = chance.choice(_KINDS)(chance, parts)
    data = put_together(parts)
    if chance.random() < 0.04:
        data = mutated(chance, data, _PIECES)
    return _as_tar(chance, data) if chance.random() < 0.02 else data


# -- instructions ------------------------------------------------------------------------------------------------------
def instructions(code: bytes) -> Instructions:
    """Split code into instructions as far as possible; the rest counts as one more."""
    starts = _before_the_flaw(code)
    starts = starts or [0]
    return [code[start:end] for start, end in zip(starts, [*starts[1:], len(code)], strict=True)]


def _before_the_flaw(code: bytes) -> list[int]:
    starts = []
    try:
        for _, _, at in pickletools.genops(code):
            starts.append(at or 0)
    except Exception:  # of a pickle that is damaged already
        return starts
    return starts


def _instructions(chance: Random, parts: Parts) -> Parts:
    which = 0 if parts.is_zip else chance.choice((0, 1, 2, 3, 3, 3, 3, 3, 4))
    code = instructions(parts.pickles[which])
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_OF_INSTRUCTIONS)(chance, code)
    return parts.with_pickle(which, b"".join(code))


def _at(chance: Random, code: Instructions) -> int:
    return chance.randrange(len(code)) if code else 0


def _delete(chance: Random, code: Instructions) -> None:
    at = _at(chance, code)
    del code[at : at + chance.choice((1, 1, 1, 2, 4))]


def _repeat(chance: Random, code: Instructions) -> None:
    at = _at(chance, code)
    code[at:at] = code[at : at + chance.choice((1, 1, 2, 8))]


def _swap(chance: Random, code: Instructions) -> None:
    if len(code) > 1:
        at = chance.randrange(len(code) - 1)
        code[at], code[at + 1] = code[at + 1], code[at]


def _move(chance: Random, code: Instructions) -> None:
    at, count = _at(chance, code), chance.choice((1, 2, 5))
    moved = code[at : at + count]
    del code[at : at + count]
    to = _at(chance, code)
    code[to:to] = moved


def _insert(chance: Random, code: Instructions) -> None:
    code.insert(_at(chance, code), _piece(chance))


def _exchange(chance: Random, code: Instructions) -> None:
    if code:
        code[_at(chance, code)] = _piece(chance)


def _piece(chance: Random) -> bytes:
    kind = chance.randrange(9)
    if kind < 4:
        return chance.choice(SINGLE)
    if kind == 4:
        return name(*chance.choice(NAMES))
    if kind == 5:
        return number(chance.choice(NUMBERS))
    if kind == 6:
        return chance.choice(GADGETS).code
    if kind == 7:
        return text(chance.choice((*KEYS, "state_dict", "a", "storage", "cpu", "data", "latin1")))
    return chance.choice((*STATES, ordered(), tensor(storage("Float", "0", 2), (2,)), SHELL))


def _frame(chance: Random, code: Instructions) -> None:
    """Round some instructions, or reaching too far or not far enough."""
    at = _at(chance, code)
    end = chance.randrange(at, len(code) + 1)
    length = sum(map(len, code[at:end])) + chance.choice((0, 0, 0, 0, -1, 1, 2, 8, 100, 1000, 2**31, 2**63))
    code.insert(at, b"\x95" + struct.pack("<Q", max(0, length)))


def _behind_the_end(chance: Random, code: Instructions) -> None:
    """A frame up to what stands behind STOP: other unpicklers go on behind it."""
    behind = chance.choice((SHELL + b".", b"}.", b"\x80\x02N.", name("os", "system"), bytes(3)))
    at = _at(chance, code)
    code.insert(at, b"\x95" + struct.pack("<Q", sum(map(len, code[at:])) + len(behind)))
    code.append(behind)


def _state(chance: Random, code: Instructions) -> None:
    """Insert BUILD after any instruction, on the top of the stack."""
    code.insert(_at(chance, code), chance.choice(STATES) + b"b")


def _new_object(chance: Random, code: Instructions) -> None:
    places = [at for at, one in enumerate(code) if one == b"R"]
    if places:
        code[chance.choice(places)] = b"\x81"


def _memo(chance: Random, code: Instructions) -> None:
    """Another key for what is kept or recalled."""
    places = [at for at, one in enumerate(code) if one[:1] in (b"h", b"q") and len(one) == 2]
    if places:
        at = chance.choice(places)
        code[at] = chance.choice((code[at][:1], code[at][:1], b"h", b"q")) + bytes([chance.randrange(24)])


def _same_again(chance: Random, code: Instructions) -> None:
    """An object that is kept, changed afterwards, and used again."""
    key = bytes([200 + chance.randrange(3)])
    code.insert(_at(chance, code), b"q" + key)
    code.insert(_at(chance, code), chance.choice((b"h" + key, b"h" + key + b"0", b"0h" + key, b"h" + key + b"NNs0")))


def _number(chance: Random, code: Instructions) -> None:
    places = [at for at, one in enumerate(code) if one[:1] in (b"K", b"M", b"J", b"\x88", b"\x89")]
    if places:
        code[chance.choice(places)] = chance.choice(
            (number(chance.choice(NUMBERS)), b"\x88", b"\x89", b"N", b"G" + bytes(8))
        )


def _text(chance: Random, code: Instructions) -> None:
    places = [at for at, one in enumerate(code) if one[:1] in (b"X", b"\x8c")]
    if places:
        one, other = chance.choice(places), chance.choice(places)
        code[one] = chance.choice((code[other], text(chance.choice(KEYS)), b"C\x010", b"U\x010"))


def _name(chance: Random, code: Instructions) -> None:
    places = [at for at, one in enumerate(code) if one[:1] == b"c"]
    if places:
        one, other = chance.choice(places), chance.choice(places)
        code[one] = chance.choice((code[other], name(*chance.choice(NAMES))))


def _identity(chance: Random, code: Instructions) -> None:
    """A part more or less of a storage's identity, or a view."""
    places = [at for at, one in enumerate(code) if one == b"Q"]
    if places:
        at = chance.choice(places)
        view = several(
            chance.choice((text("v"), text("0"), text("1"), b"K\0")), number(chance.choice((0, 0, 1, 2, 9))),
            number(chance.choice((0, 1, 2, 4, 24, 99))),
        )  # fmt: skip
        others = (storage("Float", "0", 2), storage("Half", "1", 4, view))
        code[at] = chance.choice((b"Q", b"0NQ", *(b"Q0" + other for other in others)))
        ends = [other for other in range(max(0, at - 3), at) if code[other] == b"t"]
        if ends and chance.random() < 0.6:
            place = ends[-1]
            code[place] = chance.choice((b"Nt", view + b"t", b"0t", b"00" + b"Nt"))
            if code[place - 1] == b"N":
                code[place - 1] = view


_OF_INSTRUCTIONS: tuple[Callable[[Random, Instructions], None], ...] = (
    *(_delete, _repeat, _swap, _move, _insert, _exchange, _frame, _frame, _behind_the_end, _state, _new_object),
    *(_memo, _memo, _same_again, _number, _number, _number, _text, _name, _name, _identity, _identity),
)


# -- archives ----------------------------------------------------------------------------------------------------------
def _member(chance: Random, parts: Parts) -> Parts:
    if not parts.is_zip:
        return _tail(chance, parts)
    at = chance.randrange(len(parts.members))
    one = parts.members[at]
    folder, _, rest = one.name.partition("/")
    other = chance.choice(parts.members)
    changed = chance.choice(
        (
            replace(one, name=chance.choice((one.name.upper(), f"x/{rest}", rest, other.name, f"{folder}//{rest}"))),
            replace(one, local_name=chance.choice((other.name, one.name.upper(), one.name + "x"))),
            replace(one, packed=True),
            replace(one, flags=chance.choice((0, 1, 8, 0x20, 0x40, 0x2000, 0x808))),
            replace(one, size=chance.choice((0, 1, len(one.content) + 1, max(0, len(one.content) - 1), 2**32 - 1))),
            replace(one, is_wide=True),
            replace(one, is_wide=True, extra=chance.choice((b"\1\0", b"\1\0\x18\0", b"ab\2\0"))),
            replace(one, extra=chance.choice((b"\1\0\x18\0" + bytes(24), b"\1\0\xff\xff", b"FB\0\0", b"x"))),
            replace(one, local_extra=chance.choice((b"FB\4\0ZZZZ", b"x", bytes(64)))),
            replace(one, shift=chance.choice((1, -1, 30, 2**32 - 1))),
            replace(one, crc=0),
            replace(
                one, content=chance.choice((one.content + b"x", one.content[:-1], b"", b"big", b"3\n", b"11", b"\x31"))
            ),
        )
    )
    members = list(parts.members)
    kind = chance.randrange(6)
    if kind == 0:
        members.insert(chance.randrange(len(members) + 1), changed)
    elif kind == 1:
        del members[at]
    elif kind == 2:
        members.insert(chance.randrange(len(members)), members.pop(at))
    else:
        members[at] = changed
    return replace(parts, members=tuple(members))


def _archive(chance: Random, parts: Parts) -> Parts:
    if not parts.is_zip:
        return _tail(chance, parts)
    folder = parts.members[0].name.partition("/")[0]
    whole, empty = parts.archive, b"PK\5\6" + bytes(18)
    content = chance.choice((b"", b"1", b"64", b"little", b"big", SHELL + b".", bytes(96)))
    more = Member(f"{folder}/{chance.choice(MORE_MEMBERS)}", content)
    return replace(
        parts,
        head=parts.head if chance.random() < 0.9 else chance.choice((b"PK\3\4", b"\x80\x02N.", bytes(30))),
        archive=chance.choice(
            (
                replace(whole, comment=chance.choice((b"x", empty, b"PK\5\6", b"PK\3\4"))),
                replace(whole, before=b"PK\3\4" + bytes(26)),
                replace(whole, between=chance.choice((b"x", empty, b"PK\1\2" + bytes(42)))),
                replace(whole, count=chance.choice((0, 1, len(parts.members) - 1, len(parts.members) + 1))),
                replace(whole, is_wide=True),
                replace(whole, hidden=(more,)),
                whole,
            )
        ),
        members=parts.members if chance.random() < 0.5 else (*parts.members, more),
    )


def _tail(chance: Random, parts: Parts) -> Parts:
    """The storages of a legacy file, or what stands before it."""
    tail = parts.tail
    if chance.random() < 0.1:
        return replace(parts, head=chance.choice((b"\x80\x02", parts.pickles[0], b"\0" * 512)))
    return replace(
        parts,
        tail=chance.choice((tail + b"x", tail[:-1], tail[1:], b"", tail[8:], struct.pack("<Q", 2) + tail, tail[::-1])),
    )


def _as_tar(chance: Random, data: bytes) -> bytes:
    """Change the checksum field of a tar header, and perhaps its other fields."""
    block = bytearray(data[:512].ljust(512, b"\0"))
    if chance.random() < 0.5:
        block[100:148] = b"0000644\0" * 3 + b"00000000000\0" * 2
    field = slice(148, 156)
    total = sum(block) - sum(block[field]) + 8 * 32
    if chance.random() < 0.3:
        total -= 256 * sum(byte > 127 for at, byte in enumerate(block) if not 148 <= at < 156)
    block[field] = (
        b"%06o\0 " % total if total >= 0 and chance.random() < 0.7 else b"\x80" + max(0, total).to_bytes(7, "big")
    )
    return bytes(block) + data[512:]


_KINDS: tuple[Callable[[Random, Parts], Parts], ...] = (_instructions, _instructions, _instructions, _member, _archive)
_PIECES = (*(gadget.code for gadget in GADGETS), SHELL)
