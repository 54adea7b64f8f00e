"""What is said of instructions that are not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...sentences import say
from .pickle_values import DAMAGED, UNSAFE, Refused

__all__ = ["described_twice", "malformed", "too_many", "unknown"]

_RUNNING: Final[Mapping[int, str]] = {
    ord("i"): "INST",
    ord("o"): "OBJ",
    ord("P"): "PERSID",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x92: "NEWOBJ_EX",
}
"""Further ways to have something called, which no file of torch takes."""

_STRANGE: Final[Mapping[int, str]] = {
    ord("F"): "FLOAT",
    ord("I"): "INT",
    ord("L"): "LONG",
    ord("S"): "STRING",
    ord("V"): "UNICODE",
    ord("d"): "DICT",
    ord("l"): "LIST",
    ord("g"): "GET",
    ord("p"): "PUT",
    0x91: "FROZENSET",
    0x96: "BYTEARRAY8",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}


def unknown(code: int) -> Refused:
    if code in _RUNNING:
        return Refused(UNSAFE, say("something, by the instruction {name},", name=_RUNNING[code]))
    if code in _STRANGE:
        name = _STRANGE[code]
        return Refused(DAMAGED, say("it has the instruction {name}, which PyTorch does not write.", name=name))
    return malformed()


def malformed() -> Refused:
    return Refused(DAMAGED, say("its instructions make no sense."))


def too_many() -> Refused:
    return Refused(DAMAGED, say("it has more instructions than any checkpoint needs."))


def described_twice() -> Refused:
    return Refused(DAMAGED, say("it describes a storage in two ways."))
