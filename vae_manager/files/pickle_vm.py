"""Virtual machine for the instructions of a pickle, as torch writes them: it builds values and runs no code.

Python's own unpickler imports and calls the names in a file, unless each way to do so is found and blocked; this one
has no such way. It supports only the binary instructions of protocols 2 to 5 that torch's files have, and refuses any
other by its name. All is bounded: bytes, instructions (so values and time), length of a number. No recursion follows
nested values, and no value is hashed or compared.

Python has two unpicklers, which read frames differently: the one in C skips the bytes of a frame behind the end of its
pickle, and the rest of a frame after an instruction that reaches beyond it. So a frame is accepted only if that makes
no difference: it ends between two instructions, no frame begins inside, and no pickle ends before it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from ..messages import msg
from .allowlist import call, changed, made, named, stored
from .pickle_values import (
    DAMAGED,
    Bag,
    Ended,
    Global,
    Pairs,
    Refused,
    Storage,
    Tensor,
    described_twice,
    is_key,
    malformed,
    too_many,
    unknown,
)

__all__ = ["MAX_STEPS", "Machine"]

MAX_STEPS: Final = 600_000
"""Instructions of one file. A checkpoint of SDXL, with its optimiser, has some 300,000."""
NAME_STEPS: Final = 8
"""Cost in instructions of one that makes a name, or a storage."""
COLLECTION_STEPS: Final = 3
CHARACTERS_PER_STEP: Final = 64
MAX_NUMBER_BYTES: Final = 255
"""Bytes of a whole number; torch's magic one has ten."""
MAX_NAME_BYTES: Final = 1000


class Machine:
    """An interpreter of adjacent pickles in `data`, from `at` on.

    If `data` ends too early, `more` returns the following bytes, if there are any. `storages` collects the storages of
    the tensors, by their keys.
    """

    def __init__(self, data: bytes, more: Callable[[], bytes] = bytes) -> None:
        self.data = data
        self.at = 0
        self.storages: dict[str, Storage] = {}
        self._views: dict[str, tuple[str, int, int | None]] = {}
        """Meaning of each view's name: key of the storage, first number, count."""
        self._more = more
        self._begun = 0
        self._left = MAX_STEPS
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._protocol = 0
        self._frame_end: int | None = None
        self._id_length = 0

    def run(self, id_length: int = 0) -> object:
        """Read the next pickle and return its value. Raises Refused, and Ended if there are no more bytes.

        `id_length` is the number of parts of a storage's identity in this form of file; 0: no identity is allowed.
        """
        self._stack, self._marks, self._memo = [], [], {}
        self._protocol, self._frame_end, self._id_length = 0, None, id_length
        while True:
            try:
                self._run_on()
            except Ended:  # an instruction changes no state before it has its bytes, so it can begin again
                self.at = self._begun
                more = self._more()
                if not more:
                    raise
                self.data += more
                continue
            if len(self._stack) != 1 or self._marks:
                raise malformed()
            return self._stack.pop()

    def _run_on(self) -> None:
        """Run up to the end of this pickle, or of `data`."""
        data, instructions = self.data, _INSTRUCTIONS
        while True:
            self._begun = self.at
            if self.at >= len(data):
                raise Ended
            if self._frame_end is not None and self.at >= self._frame_end:
                self._leave_frame()
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                if self._frame_end is not None:
                    self._leave_frame()
                return
            self._left -= 1
            if self._left < 0:
                raise too_many()
            instruction = instructions.get(code)
            if instruction is None:
                raise unknown(code)
            instruction(self)

    def _leave_frame(self) -> None:
        if self.at != self._frame_end:
            raise _bad_frame()
        self._frame_end = None

    def _pay(self, steps: int) -> None:
        """Count the cost of an instruction that takes the time or the memory of many."""
        self._left -= steps
        if self._left < 0:
            raise too_many()

    def _pay_for(self, values: object) -> None:
        """Count the cost of a visit to each part of the values; a text may be copied."""
        for value in values if type(values) is tuple else ():
            if isinstance(value, (list, tuple)):
                self._pay(len(value))
            elif isinstance(value, str):
                self._pay(len(value) // CHARACTERS_PER_STEP)

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
        """Return bytes whose count precedes them, in `width` bytes."""
        return self.take(int.from_bytes(self.take(width), "little"))

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME_BYTES)
        if end < 0:
            if len(self.data) - self.at < MAX_NAME_BYTES:
                raise Ended
            raise malformed()
        text, self.at = _text(self.data[self.at : end]), end + 1
        return text

    # -- the stack -----------------------------------------------------------------------------------------------------
    def push(self, value: object) -> None:
        self._stack.append(value)

    def make(self, collection: list[object] | Pairs) -> None:
        """Push a new collection, at a higher cost: Python's garbage collector visits each again and again."""
        self._pay(COLLECTION_STEPS)
        self.push(collection)

    def pop(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise malformed()
        return self._stack.pop()

    def top(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise malformed()
        return self._stack[-1]

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def since_mark(self) -> list[object]:
        if not self._marks:
            raise malformed()
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # -- the memo ------------------------------------------------------------------------------------------------------
    def remember(self, key: int) -> None:
        if key > MAX_STEPS:  # Python would make room for all keys below
            raise malformed()
        self._memo[key] = self.top()

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, key: int) -> None:
        if key not in self._memo:
            raise malformed()
        self._stack.append(self._memo[key])

    # -- instructions beyond a push ------------------------------------------------------------------------------------
    def protocol(self) -> None:
        self._protocol = self.byte()
        if self._protocol > 5:
            raise Refused(DAMAGED, msg("it is a pickle of a newer kind than is known."))

    def frame(self) -> None:
        length = int.from_bytes(self.take(8), "little")
        if self._frame_end is not None:
            raise _bad_frame()
        self._frame_end = self.at + length

    def whole_number(self, width: int) -> None:
        length = int.from_bytes(self.take(width), "little")
        if length > MAX_NUMBER_BYTES:
            raise Refused(DAMAGED, msg("it holds a number that is too long."))
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise malformed()
        self._stack[start:] = [tuple(self._stack[start:])]

    def extend(self, values: list[object], kind: type[list[object]]) -> None:
        target = self.top()
        if type(target) is not kind or (kind is Bag and not all(map(is_key, values))):
            raise malformed()
        target.extend(values)

    def set_items(self, values: list[object]) -> None:
        target = self.top()
        if not isinstance(target, Pairs) or len(values) % 2 or not all(map(is_key, values[::2])):
            raise malformed()
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
            raise malformed()
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        self._pay(NAME_STEPS)
        self.push(named(Global(module, name), self._protocol))

    def reduce(self) -> None:
        arguments, what = self.pop(), self.pop()
        self._pay_for(arguments)
        value = call(what, arguments)
        if isinstance(value, Pairs):
            self._pay(len(value))
        elif isinstance(value, Tensor):
            self._pay(2 * len(value.shape))
        self.push(value)

    def new_object(self) -> None:
        arguments, what = self.pop(), self.pop()
        self.push(made(what, arguments))

    def build(self) -> None:
        state = self.pop()
        self._pay_for((state,))
        changed(self.top(), state)

    def persistent(self) -> None:
        """Push a storage: torch keeps storages and views under their names, the first under a name for all."""
        self._pay(NAME_STEPS)
        storage, view = stored(self.pop(), self._id_length)
        known = self.storages.setdefault(storage.key, storage)
        if (storage.dtype, storage.width, storage.count) != (known.dtype, known.width, known.count):
            raise described_twice()
        if view is not None:
            seen = (storage.key, storage.first, storage.view)
            if self._views.setdefault(view, seen) != seen:
                raise described_twice()
        if self._views.keys() & {view, storage.key} & self.storages.keys():
            raise described_twice()
        self.push(storage)

    def pop_one(self) -> None:
        """Pop as Python does: a mark that is on top is removed itself."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self.pop()


def _text(raw: bytes, errors: str = "surrogatepass") -> str:
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError:
        raise malformed() from None


def _bad_frame() -> Refused:
    return Refused(DAMAGED, msg("it has a frame that reaches too far, so that it can be read in two ways."))


_STOP: Final = ord(".")

_INSTRUCTIONS: Final[Mapping[int, Callable[[Machine], object]]] = {
    0x80: Machine.protocol,
    0x95: Machine.frame,
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
    ord("T"): lambda machine: machine.push(_text(machine.take_counted(4), "strict")),
    ord("U"): lambda machine: machine.push(_text(machine.take_counted(1), "strict")),
    ord("B"): lambda machine: machine.push(machine.take_counted(4)),
    ord("C"): lambda machine: machine.push(machine.take_counted(1)),
    0x8E: lambda machine: machine.push(machine.take_counted(8)),
    # Collections
    ord("}"): lambda machine: machine.make(Pairs()),
    ord("]"): lambda machine: machine.make([]),
    ord(")"): lambda machine: machine.push(()),
    0x8F: lambda machine: machine.make(Bag()),
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
    # Names, and calls of them
    ord("c"): Machine.name_by_lines,
    0x93: Machine.name_by_stack,
    ord("R"): Machine.reduce,
    0x81: Machine.new_object,
    ord("b"): Machine.build,
    ord("Q"): Machine.persistent,
}
