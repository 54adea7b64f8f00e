"""A machine for the instructions of a pickle, as torch writes them: it puts values together and runs nothing.

Python's own unpickler imports and calls what a file names, unless each way to do so is found and stopped; this one has
no way to. Only the binary instructions of protocols 2 to 5 that torch's files have are known; any other is refused by
its name. All is bounded: bytes, instructions (so values and time), length of a number. No value is nested in a way
that is looked at by recursion, none is hashed or compared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from ...sentences import say
from .meaning import call, changed, known_to_webui, named, stored
from .values import DAMAGED, UNSAFE, Bag, Ended, Global, Pairs, Refused, Storage, Tensor

__all__ = ["MOST_STEPS", "Machine"]

MOST_STEPS: Final = 600_000
"""Instructions of one file. A checkpoint of SDXL, with its optimiser, has some 300,000."""
NAME_STEPS: Final = 8
"""As how many instructions one counts that gives a name, or a storage."""
LONGEST_NUMBER: Final = 255
"""Bytes of a whole number; torch's magic one has ten."""
LONGEST_NAME: Final = 1000


class Machine:
    """Runs the pickles that stand one after another in `data`, from `at` on.

    Where `data` ends too early, `more` gives what follows, if there is any. `storages` gathers those that the tensors
    stand in, by their keys; `foreign` is the first name that is harmless and that the WebUI's own reader refuses all
    the same.
    """

    def __init__(self, data: bytes, more: Callable[[], bytes] = bytes) -> None:
        self.data = data
        self.at = 0
        self.foreign: Global | None = None
        self.storages: dict[str, Storage] = {}
        self._more = more
        self._begun = 0
        self._left = MOST_STEPS
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self) -> object:
        """The value of the next pickle. Raises Refused, and Ended where there are no more bytes."""
        self._stack, self._marks, self._memo = [], [], {}
        while True:
            try:
                self._run_on()
            except Ended:  # no instruction changes anything before it has its bytes, so it can begin again
                self.at = self._begun
                more = self._more()
                if not more:
                    raise
                self.data += more
                continue
            if len(self._stack) != 1 or self._marks:
                raise _malformed()
            return self._stack.pop()

    def _run_on(self) -> None:
        """Up to the end of this pickle, or of `data`."""
        data, instructions = self.data, _INSTRUCTIONS
        while True:
            self._begun = self.at
            if self.at >= len(data):
                raise Ended
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                return
            self._left -= 1
            if self._left < 0:
                raise _too_many()
            instruction = instructions.get(code)
            if instruction is None:
                raise _unknown(code)
            instruction(self)

    def _pay(self, steps: int) -> None:
        """What takes the time or the memory of many instructions counts as many."""
        self._left -= steps
        if self._left < 0:
            raise _too_many()

    # -- bytes ---------------------------------------------------------------------------------------------------------
    def take(self, count: int) -> bytes:
        start = self.at
        end = start + count
        if end > len(self.data):
            raise Ended
        self.at = end
        return self.data[start:end]

    def byte(self) -> int:
        at = self.at
        if at == len(self.data):
            raise Ended
        self.at = at + 1
        return self.data[at]

    def take_counted(self, width: int) -> bytes:
        """Bytes that their number stands before, in `width` bytes."""
        return self.take(int.from_bytes(self.take(width), "little"))

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + LONGEST_NAME)
        if end < 0:
            if len(self.data) - self.at < LONGEST_NAME:
                raise Ended
            raise _malformed()
        text, self.at = _text(self.data[self.at : end]), end + 1
        return text

    # -- the stack -----------------------------------------------------------------------------------------------------
    def push(self, value: object) -> None:
        self._stack.append(value)

    def pop(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _malformed()
        return self._stack.pop()

    def top(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _malformed()
        return self._stack[-1]

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def since_mark(self) -> list[object]:
        if not self._marks:
            raise _malformed()
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # -- the memo ------------------------------------------------------------------------------------------------------
    def remember(self, key: int) -> None:
        self._memo[key] = self.top()

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, key: int) -> None:
        if key not in self._memo:
            raise _malformed()
        self._stack.append(self._memo[key])

    # -- instructions that do more than push ---------------------------------------------------------------------------
    def protocol(self) -> None:
        if self.byte() > 5:
            raise Refused(DAMAGED, say("it is a pickle of a newer kind than is known."))

    def whole_number(self, width: int) -> None:
        length = int.from_bytes(self.take(width), "little")
        if length > LONGEST_NUMBER:
            raise Refused(DAMAGED, say("it holds a number that is too long."))
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise _malformed()
        self._stack[start:] = [tuple(self._stack[start:])]

    def extend(self, values: list[object], kind: type[list[object]]) -> None:
        target = self.top()
        if type(target) is not kind:
            raise _malformed()
        target.extend(values)

    def set_items(self, values: list[object]) -> None:
        target = self.top()
        if type(target) is not Pairs or len(values) % 2:
            raise _malformed()
        target.extend(zip(values[::2], values[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def append_one(self) -> None:
        value = self.pop()
        self.extend([value], list)

    def name_by_lines(self) -> None:
        module = self.line()
        self._name(module, self.line())

    def name_by_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise _malformed()
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        self._pay(NAME_STEPS)
        what = named(Global(module, name))
        if self.foreign is None and not known_to_webui(what):
            self.foreign = what
        self.push(what)

    def reduce(self) -> None:
        arguments, what = self.pop(), self.pop()
        value = call(what, arguments)
        if isinstance(value, Pairs):
            self._pay(len(value))
        elif isinstance(value, Tensor):
            self._pay(2 * len(value.shape))
        self.push(value)

    def build(self) -> None:
        self.pop()
        changed(self.top())

    def persistent(self) -> None:
        self._pay(NAME_STEPS)
        storage = stored(self.pop())
        known = self.storages.setdefault(storage.key, storage)
        if (storage.dtype, storage.count) != (known.dtype, known.count):
            raise Refused(DAMAGED, say("it describes a storage in two ways."))
        self.push(storage)

    def pop_one(self) -> None:
        """As Python does: a mark that is on top goes itself."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self.pop()


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise _malformed() from None


def _too_many() -> Refused:
    return Refused(DAMAGED, say("it has more instructions than any checkpoint needs."))


def _malformed() -> Refused:
    return Refused(DAMAGED, say("its instructions make no sense."))


def _unknown(code: int) -> Refused:
    if code in _RUNNING:
        return Refused(UNSAFE, say("something, by the instruction {name},", name=_RUNNING[code]))
    if code in _STRANGE:
        name = _STRANGE[code]
        return Refused(DAMAGED, say("it has the instruction {name}, which PyTorch does not write.", name=name))
    return _malformed()


_STOP: Final = ord(".")

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

_INSTRUCTIONS: Final[Mapping[int, Callable[[Machine], object]]] = {
    0x80: Machine.protocol,
    0x95: lambda machine: machine.take(8),  # FRAME
    # Marks and the stack
    ord("("): Machine.mark,
    ord("0"): Machine.pop_one,
    ord("1"): lambda machine: machine.since_mark(),  # POP_MARK
    ord("2"): lambda machine: machine.push(machine.top()),  # DUP
    # Values
    ord("N"): lambda machine: machine.push(None),
    0x88: lambda machine: machine.push(True),
    0x89: lambda machine: machine.push(False),
    ord("J"): lambda machine: machine.push(int.from_bytes(machine.take(4), "little", signed=True)),
    ord("K"): lambda machine: machine.push(machine.byte()),
    ord("M"): lambda machine: machine.push(int.from_bytes(machine.take(2), "little")),
    0x8A: lambda machine: machine.whole_number(1),
    0x8B: lambda machine: machine.whole_number(4),
    ord("G"): lambda machine: machine.push(struct.unpack(">d", machine.take(8))[0]),
    ord("X"): lambda machine: machine.push(_text(machine.take_counted(4))),
    0x8C: lambda machine: machine.push(_text(machine.take_counted(1))),
    0x8D: lambda machine: machine.push(_text(machine.take_counted(8))),
    # A text of Python 2 is bytes, which torch takes for UTF-8.
    ord("T"): lambda machine: machine.push(_text(machine.take_counted(4))),
    ord("U"): lambda machine: machine.push(_text(machine.take_counted(1))),
    ord("B"): lambda machine: machine.push(machine.take_counted(4)),
    ord("C"): lambda machine: machine.push(machine.take_counted(1)),
    0x8E: lambda machine: machine.push(machine.take_counted(8)),
    # Collections
    ord("}"): lambda machine: machine.push(Pairs()),
    ord("]"): lambda machine: machine.push([]),
    ord(")"): lambda machine: machine.push(()),
    0x8F: lambda machine: machine.push(Bag()),
    ord("t"): lambda machine: machine.push(tuple(machine.since_mark())),
    0x85: lambda machine: machine.tuple_of(1),
    0x86: lambda machine: machine.tuple_of(2),
    0x87: lambda machine: machine.tuple_of(3),
    ord("a"): Machine.append_one,
    ord("e"): lambda machine: machine.extend(machine.since_mark(), list),
    0x90: lambda machine: machine.extend(machine.since_mark(), Bag),
    ord("s"): Machine.set_item,
    ord("u"): lambda machine: machine.set_items(machine.since_mark()),
    # The memo
    ord("q"): lambda machine: machine.remember(machine.byte()),
    ord("r"): lambda machine: machine.remember(int.from_bytes(machine.take(4), "little")),
    0x94: Machine.memoize,
    ord("h"): lambda machine: machine.recall(machine.byte()),
    ord("j"): lambda machine: machine.recall(int.from_bytes(machine.take(4), "little")),
    # Names, and what they are asked for
    ord("c"): Machine.name_by_lines,
    0x93: Machine.name_by_stack,
    ord("R"): Machine.reduce,
    0x81: Machine.reduce,  # NEWOBJ: the same to us
    ord("b"): Machine.build,
    ord("Q"): Machine.persistent,
}
