"""Files of torch.save, nearly right, and pickles that nobody would write."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from ..gadgets import GADGETS
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
from .mutations import mutated

SHAPES = {"encoder.conv_in.weight": (2, 1, 1, 1), "decoder.conv_in.weight": (2, 2), "loss": ()}
STORAGES = {key: bytes(range(1, len(content) + 1)) for key, content in weights(SHAPES)[1].items()}
"""Two, four and one number of four bytes."""
REAL = (
    state_dict(SHAPES),
    state_dict(SHAPES, "Half", wrapped=True),
    Made(b"\x80\x02" + mapping({"a": ordered()}) + b".", {}),
)
FILES = tuple(write(made) for made in REAL for write in (as_zip, as_legacy))
PIECES = (*(made.code for made in REAL), *(gadget.code for gadget in GADGETS))
NAMES = (
    *(("torch", f"{kind}Storage") for kind in ("Float", "Half", "ComplexFloat", "Q")),
    *(("torch._utils", f"_rebuild_{what}") for what in ("tensor", "tensor_v2", "tensor_v3", "parameter")),
    *(("torch", what) for what in ("Size", "device", "float32", "load")),
    *(("collections", "OrderedDict"), ("_codecs", "encode"), ("os", "system"), ("numpy", "dtype"), ("builtins", "set")),
    *(("torch.storage", "UntypedStorage"), ("torch.storage", "_load_from_bytes"), ("a" * 300, "b" * 900)),
)
NUMBERS = (0, 1, 2, 3, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 2**200, -1)


def a_torch_file(chance: Random) -> bytes:
    """One file."""
    kind = chance.randrange(6)
    if kind == 0:
        return mutated(chance, chance.choice(FILES), FILES)
    if kind == 1:
        code = mutated(chance, chance.choice(REAL).code, PIECES)
    elif kind == 2:
        code = b"\x80\x02" + _value(chance, 4) + b"."
    elif kind == 5:
        code = b"\x80\x02" + _sound(chance) + b"."
    elif kind == 3:
        code = mutated(chance, b"\x80\x04" + _value(chance, 5) + b".", PIECES)
    else:
        code = b"\x80\x02" + b"".join(_instruction(chance) for _ in range(chance.choice((3, 10, 40)))) + b"."
    made = Made(code, STORAGES)
    return as_zip(made) if chance.random() < 0.6 else as_legacy(made)


def _sound(chance: Random) -> bytes:
    """Tensors by their names that are right most of the time, beside other things."""
    codes = {label: _seen(chance) for label in chance.sample(("a", "b", "c", "decoder.x"), chance.randrange(1, 5))}
    if chance.random() < 0.3:
        codes["epoch"] = _value(chance, 1)
    code = mapping(codes, chance.choice((b"}", ordered())))
    return mapping({"state_dict": code, "epoch": number(1)}) if chance.random() < 0.3 else code


def _seen(chance: Random) -> bytes:
    """A tensor that is a view of one of the storages that are there."""
    key, count = chance.choice((("0", 2), ("1", 4), ("2", 1)))
    shape = [chance.choice((0, 1, 1, 2, 2, 4)) for _ in range(chance.randrange(4))]
    strides = [chance.choice((0, 1, 1, 2, 3)) for _ in shape] if chance.random() < 0.6 else None
    where = storage(chance.choice(("Float", "Float", "Float", "Half", "Byte", "Long")), key, count)
    code = tensor(where, shape, strides, chance.choice((0, 0, 0, 1)))
    return call(name("torch._utils", "_rebuild_parameter"), code, b"\x88", ordered()) if chance.random() < 0.1 else code


def _value(chance: Random, depth: int) -> bytes:
    """The instructions for a value that is well-formed, at least as far as a pickle knows."""
    makers: tuple[Callable[[Random, int], bytes], ...] = (
        _leaf,
        _leaf,
        _dict,
        _dict,
        _list,
        _tuple,
        _call,
        _tensor,
        _kept,
    )
    return (_leaf if depth == 0 else chance.choice(makers))(chance, depth - 1)


def _leaf(chance: Random, depth: int) -> bytes:
    return chance.choice(
        (
            *(b"N", b"\x88", b"\x89", b"]", b"}", b")", b"\x8f", b"G" + bytes(8), b"C\x02ab", b"U\x02ab"),
            *(number(chance.choice(NUMBERS[:-1])), text(chance.choice(("a", "state_dict", "é", ""))), ordered()),
            name(*chance.choice(NAMES)),
        )
    )


def _dict(chance: Random, depth: int) -> bytes:
    keys = ("a", "state_dict", "decoder.conv_in.weight", "epoch")
    items = {key: _value(chance, depth) for key in chance.sample(keys, chance.randrange(4))}
    return mapping(items, chance.choice((b"}", ordered())))


def _list(chance: Random, depth: int) -> bytes:
    return b"](" + b"".join(_value(chance, depth) for _ in range(chance.randrange(4))) + b"e"


def _tuple(chance: Random, depth: int) -> bytes:
    return several(*(_value(chance, depth) for _ in range(chance.randrange(4))))


def _call(chance: Random, depth: int) -> bytes:
    arguments = [_value(chance, depth) for _ in range(chance.randrange(5))]
    code = call(name(*chance.choice(NAMES)), *arguments)
    return code + _value(chance, 0) + b"b" if chance.random() < 0.2 else code


def _tensor(chance: Random, depth: int) -> bytes:
    count = chance.choice((0, 1, 2, 4, 2**40))
    where = storage(chance.choice(("Float", "Half", "Untyped")), chance.choice(("0", "1", "9", "../x")), count)
    shape = tuple(chance.choice((0, 1, 2, 3, 2**33)) for _ in range(chance.randrange(4)))
    strides = tuple(chance.choice((0, 1, 2, 2**62)) for _ in shape) if chance.random() < 0.3 else None
    if strides is None and max(shape, default=0) > 3:
        strides = tuple(1 for _ in shape)
    return tensor(where, shape, strides, chance.choice((0, 0, 0, 1, 2**62)))


def _kept(chance: Random, depth: int) -> bytes:
    """A value that goes into the memo, and perhaps comes out of it again."""
    key = bytes([chance.randrange(3)])
    return _value(chance, depth) + chance.choice(
        (b"q" + key, b"\x94", b"r" + key + b"\0\0\0", b"q" + key + b"0h" + key)
    )


def _instruction(chance: Random) -> bytes:
    """Any instruction, with an argument that fits it, or a byte of any kind."""
    return chance.choice(
        (
            *(b"(", b"0", b"1", b"2", b"N", b"}", b"]", b")", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u"),
            *(b"R", b"\x81", b"b", b"Q", b"\x93", b"\x90", b"\x8f", b"\x94", b"h\0", b"q\0", b"j\0\0\0\0"),
            *(number(chance.choice(NUMBERS)), text("torch"), text("Size"), name(*chance.choice(NAMES))),
            *(
                b"\x8b\xff\xff\xff\x7f",
                b"X\xff\xff\xff\xff",
                b"\x8d" + b"\xff" * 8,
                b"B\xff\xff\xff\x7f",
                b"\x95" + bytes(8),
            ),
            bytes([chance.randrange(256)]),
        )
    )
