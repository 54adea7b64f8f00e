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
from .allowlist import call, check_state, find_global, new_object, persistent_load
from .pickle_values import (
    DAMAGED,
    DictItems,
    EndOfDataError,
    Global,
    RejectedError,
    SetItems,
    Storage,
    Tensor,
    conflict_error,
    is_key,
    limit_error,
    malformed_error,
    unknown_instruction_error,
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

_STOP: Final = ord(".")


class Machine:
    """An interpreter of adjacent pickles in `data`, from `position` on.

    If `data` ends too early, `read_more` returns the following bytes, if there are any. `storages` collects the
    storages of the tensors, by their keys.
    """

    def __init__(self, data: bytes, read_more: Callable[[], bytes] = bytes) -> None:
        self.data = data
        self.position = 0
        self.storages: dict[str, Storage] = {}
        self._views: dict[str, tuple[str, int, int | None]] = {}
        """Meaning of each view's name: key of the storage, first number, count."""
        self._read_more = read_more
        self._instruction_start = 0
        self._budget = MAX_STEPS
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._protocol = 0
        self._frame_end: int | None = None
        self._id_length = 0

    def run(self, id_length: int = 0) -> object:
        """Read the next pickle and return its value. Raises RejectedError, and Ended if there are no more bytes.

        `id_length` is the number of parts of a storage's identity in this form of file; 0: no identity is allowed.
        """
        self._stack, self._marks, self._memo = [], [], {}
        self._protocol, self._frame_end, self._id_length = 0, None, id_length
        while True:
            try:
                self._execute()
            except EndOfDataError:  # an instruction changes no state before it has its bytes, so it can begin again
                self.position = self._instruction_start
                more = self._read_more()
                if not more:
                    raise
                self.data += more
                continue
            if len(self._stack) != 1 or self._marks:
                raise malformed_error()
            return self._stack.pop()

    def _execute(self) -> None:
        """Run up to the end of this pickle, or of `data`."""
        data, instructions = self.data, _INSTRUCTIONS
        while True:
            self._instruction_start = self.position
            if self.position >= len(data):
                raise EndOfDataError
            if self._frame_end is not None and self.position >= self._frame_end:
                self._leave_frame()
            code = data[self.position]
            self.position += 1
            if code == _STOP:
                if self._frame_end is not None:
                    self._leave_frame()
                return
            self._budget -= 1
            if self._budget < 0:
                raise limit_error()
            instruction = instructions.get(code)
            if instruction is None:
                raise unknown_instruction_error(code)
            instruction(self)

    def _leave_frame(self) -> None:
        if self.position != self._frame_end:
            raise _frame_error()
        self._frame_end = None

    def _charge(self, steps: int) -> None:
        """Count the cost of an instruction that takes the time or the memory of many."""
        self._budget -= steps
        if self._budget < 0:
            raise limit_error()

    def _charge_for(self, values: object) -> None:
        """Count the cost of a visit to each part of the values; a text may be copied."""
        for value in values if type(values) is tuple else ():
            if isinstance(value, (list, tuple)):
                self._charge(len(value))
            elif isinstance(value, str):
                self._charge(len(value) // CHARACTERS_PER_STEP)

    # -- bytes ---------------------------------------------------------------------------------------------------------
    def read(self, count: int) -> bytes:
        """Consume `count` bytes. Raises EndOfDataError, without moving on, if `data` holds fewer."""
        start = self.position
        end = start + count
        if end > len(self.data):
            raise EndOfDataError
        self.position = end
        return self.data[start:end]

    def read_byte(self) -> int:
        """Consume one byte as a number. Raises EndOfDataError at the end of `data`."""
        at = self.position
        if at == len(self.data):
            raise EndOfDataError
        self.position = at + 1
        return self.data[at]

    def read_counted(self, width: int) -> bytes:
        """Return bytes whose count precedes them, in `width` bytes."""
        return self.read(int.from_bytes(self.read(width), "little"))

    def read_line(self) -> str:
        """Consume UTF-8 up to a newline, which is left out. Raises RejectedError if it exceeds `MAX_NAME_BYTES`."""
        end = self.data.find(b"\n", self.position, self.position + MAX_NAME_BYTES)
        if end < 0:
            if len(self.data) - self.position < MAX_NAME_BYTES:
                raise EndOfDataError
            raise malformed_error()
        text, self.position = _decode(self.data[self.position : end]), end + 1
        return text

    # -- the stack -----------------------------------------------------------------------------------------------------
    def push(self, value: object) -> None:
        """Put a value on the stack without a cost of its own: the instruction itself was counted."""
        self._stack.append(value)

    def make(self, collection: list[object] | DictItems) -> None:
        """Push a new collection, at a higher cost: Python's garbage collector visits each again and again."""
        self._charge(COLLECTION_STEPS)
        self.push(collection)

    def pop(self) -> object:
        """Remove and return the last value. Raises RejectedError if no value is above the last mark."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise malformed_error()
        return self._stack.pop()

    def top(self) -> object:
        """Return the last value and leave it there. Raises RejectedError if no value is above the last mark."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise malformed_error()
        return self._stack[-1]

    def mark(self) -> None:
        """Note the present height of the stack (MARK), as the start of a later `pop_mark`."""
        self._marks.append(len(self._stack))

    def pop_mark(self) -> list[object]:
        """Remove the last mark and return the values above it, oldest first. Raises RejectedError without a mark."""
        if not self._marks:
            raise malformed_error()
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # -- the memo ------------------------------------------------------------------------------------------------------
    def put(self, key: int) -> None:
        """Remember the last value under `key` and leave it on the stack (BINPUT, LONG_BINPUT).

        The memo refers to the same object, so that a collection that is filled later is filled in both.
        """
        if key > MAX_STEPS:  # Python would make room for all keys below
            raise malformed_error()
        self._memo[key] = self.top()

    def memoize(self) -> None:
        """Remember the last value under the count of keys so far (MEMOIZE), as Python's unpickler numbers them."""
        self.put(len(self._memo))

    def get(self, key: int) -> None:
        """Push the value that was remembered under `key` (BINGET, LONG_BINGET). Raises RejectedError without one."""
        if key not in self._memo:
            raise malformed_error()
        self._stack.append(self._memo[key])

    # -- instructions beyond a push ------------------------------------------------------------------------------------
    def protocol(self) -> None:
        """Read the version (PROTO), on which the names of Python 2 depend. Raises RejectedError above 5."""
        self._protocol = self.read_byte()
        if self._protocol > 5:
            raise RejectedError(DAMAGED, msg("it is a pickle of a newer kind than is known."))

    def frame(self) -> None:
        """Read the length of a frame (FRAME), 8 bytes. Raises RejectedError inside another frame."""
        length = int.from_bytes(self.read(8), "little")
        if self._frame_end is not None:
            raise _frame_error()
        self._frame_end = self.position + length

    def long_number(self, width: int) -> None:
        """Push a signed whole number whose count of bytes precedes it, in `width` bytes (LONG1, LONG4)."""
        length = int.from_bytes(self.read(width), "little")
        if length > MAX_NUMBER_BYTES:
            raise RejectedError(DAMAGED, msg("it holds a number that is too long."))
        self.push(int.from_bytes(self.read(length), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        """Replace the last `count` values by a tuple (TUPLE1 to TUPLE3). Raises RejectedError below a mark."""
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise malformed_error()
        self._stack[start:] = [tuple(self._stack[start:])]

    def extend(self, values: list[object], kind: type[list[object]]) -> None:
        """Add values to the collection on top (APPENDS, ADDITEMS), which must be exactly of `kind`."""
        target = self.top()
        if type(target) is not kind or (kind is SetItems and not all(map(is_key, values))):
            raise malformed_error()
        target.extend(values)

    def set_items(self, values: list[object]) -> None:
        """Add alternate keys and values to the dict on top (SETITEMS). A repeated key is kept as a second item."""
        target = self.top()
        if not isinstance(target, DictItems) or len(values) % 2 or not all(map(is_key, values[::2])):
            raise malformed_error()
        target.extend(zip(values[::2], values[1::2], strict=True))

    def set_item(self) -> None:
        """Add one pair from the stack, the key below its value, to the dict below them (SETITEM)."""
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def append_one(self) -> None:
        """Add the last value to the list below it (APPEND); a set is refused."""
        value = self.pop()
        self.extend([value], list)

    def name_by_lines(self) -> None:
        """Push a name whose module and attribute are the next two lines (GLOBAL), if the allowlist has it."""
        module = self.read_line()
        self._name(module, self.read_line())

    def name_by_stack(self) -> None:
        """Push a name whose module and attribute are the last two values (STACK_GLOBAL), if the allowlist has it."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise malformed_error()
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        self._charge(NAME_STEPS)
        self.push(find_global(Global(module, name), self._protocol))

    def reduce(self) -> None:
        """Replace a name and its arguments by the value of the call (REDUCE), which the allowlist computes itself."""
        arguments, target = self.pop(), self.pop()
        self._charge_for(arguments)
        value = call(target, arguments)
        if isinstance(value, DictItems):
            self._charge(len(value))
        elif isinstance(value, Tensor):
            self._charge(2 * len(value.shape))
        self.push(value)

    def new_object(self) -> None:
        """Replace a class and its arguments by an object without `__init__` (NEWOBJ), as the allowlist does."""
        arguments, target = self.pop(), self.pop()
        self.push(new_object(target, arguments))

    def build(self) -> None:
        """Check the last value as the state of the one below it (BUILD), and drop it: a state is never applied."""
        state = self.pop()
        self._charge_for((state,))
        check_state(self.top(), state)

    def persistent(self) -> None:
        """Push a storage: torch keeps storages and views under their names, the first under a name for all."""
        self._charge(NAME_STEPS)
        storage, view = persistent_load(self.pop(), self._id_length)
        known = self.storages.setdefault(storage.key, storage)
        if (storage.dtype, storage.width, storage.count) != (known.dtype, known.width, known.count):
            raise conflict_error()
        if view is not None:
            seen = (storage.key, storage.first, storage.view)
            if self._views.setdefault(view, seen) != seen:
                raise conflict_error()
        if self._views.keys() & {view, storage.key} & self.storages.keys():
            raise conflict_error()
        self.push(storage)

    def pop_one(self) -> None:
        """Pop as Python does: a mark that is on top is removed itself."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self.pop()


def _decode(raw: bytes, errors: str = "surrogatepass") -> str:
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError:
        raise malformed_error() from None


def _frame_error() -> RejectedError:
    return RejectedError(DAMAGED, msg("it has a frame that reaches too far, so that it can be read in two ways."))


_INSTRUCTIONS: Final[Mapping[int, Callable[[Machine], object]]] = {
    0x80: Machine.protocol,
    0x95: Machine.frame,
    # Marks and the stack
    ord("("): Machine.mark,
    ord("0"): Machine.pop_one,
    ord("1"): lambda machine: machine.pop_mark(),  # POP_MARK
    ord("2"): lambda machine: machine.push(machine.top()),  # DUP
    # Values
    ord("N"): lambda machine: machine.push(None),
    0x88: lambda machine: machine.push(True),
    0x89: lambda machine: machine.push(False),
    ord("J"): lambda machine: machine.push(int.from_bytes(machine.read(4), "little", signed=True)),
    ord("K"): lambda machine: machine.push(machine.read_byte()),
    ord("M"): lambda machine: machine.push(int.from_bytes(machine.read(2), "little")),
    0x8A: lambda machine: machine.long_number(1),
    0x8B: lambda machine: machine.long_number(4),
    ord("G"): lambda machine: machine.push(struct.unpack(">d", machine.read(8))[0]),
    ord("X"): lambda machine: machine.push(_decode(machine.read_counted(4))),
    0x8C: lambda machine: machine.push(_decode(machine.read_counted(1))),
    0x8D: lambda machine: machine.push(_decode(machine.read_counted(8))),
    # A text of Python 2 is bytes, which torch takes for UTF-8.
    ord("T"): lambda machine: machine.push(_decode(machine.read_counted(4), "strict")),
    ord("U"): lambda machine: machine.push(_decode(machine.read_counted(1), "strict")),
    ord("B"): lambda machine: machine.push(machine.read_counted(4)),
    ord("C"): lambda machine: machine.push(machine.read_counted(1)),
    0x8E: lambda machine: machine.push(machine.read_counted(8)),
    # Collections
    ord("}"): lambda machine: machine.make(DictItems()),
    ord("]"): lambda machine: machine.make([]),
    ord(")"): lambda machine: machine.push(()),
    0x8F: lambda machine: machine.make(SetItems()),
    ord("t"): lambda machine: machine.push(tuple(machine.pop_mark())),
    0x85: lambda machine: machine.tuple_of(1),
    0x86: lambda machine: machine.tuple_of(2),
    0x87: lambda machine: machine.tuple_of(3),
    ord("a"): Machine.append_one,
    ord("e"): lambda machine: machine.extend(machine.pop_mark(), list),
    0x90: lambda machine: machine.extend(machine.pop_mark(), SetItems),
    ord("s"): Machine.set_item,
    ord("u"): lambda machine: machine.set_items(machine.pop_mark()),
    # The memo
    ord("q"): lambda machine: machine.put(machine.read_byte()),
    ord("r"): lambda machine: machine.put(int.from_bytes(machine.read(4), "little")),
    0x94: Machine.memoize,
    ord("h"): lambda machine: machine.get(machine.read_byte()),
    ord("j"): lambda machine: machine.get(int.from_bytes(machine.read(4), "little")),
    # Names, and calls of them
    ord("c"): Machine.name_by_lines,
    0x93: Machine.name_by_stack,
    ord("R"): Machine.reduce,
    0x81: Machine.new_object,
    ord("b"): Machine.build,
    ord("Q"): Machine.persistent,
}
