"""A process in which no file can be locked, as on a mount without a lock service (Linux on x86-64 and arm64).

A filter of system calls (seccomp) lets `fcntl` and `flock` fail with ENOLCK if they ask for a lock.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys

_NUMBERS = {"x86_64": (72, 73), "aarch64": (25, 32)}
"""`fcntl` and `flock`."""
_COMMANDS = (5, 6, 7, 36, 37, 38)
"""F_GETLK, F_SETLK, F_SETLKW, and those of open file descriptions."""
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000 | errno.ENOLCK
_SECCOMP, _FILTER, _NO_NEW_PRIVILEGES = 22, 2, 38


def refuse_locks() -> bool:
    """Refuse all locks of this process from now on; return False if that is impossible here."""
    if sys.platform != "linux" or platform.machine() not in _NUMBERS:
        return False
    fcntl, flock = _NUMBERS[platform.machine()]
    count = len(_COMMANDS)
    program = [
        (_LOAD, 0, 0, 0),  # the number of the call
        (_IF_EQUAL, count + 3, 0, flock),
        (_IF_EQUAL, 0, count + 1, fcntl),
        (_LOAD, 0, 0, 24),  # the lower half of its second argument
        *((_IF_EQUAL, count - place, 0, command) for place, command in enumerate(_COMMANDS)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter_ = Program(len(program), ctypes.addressof(code))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return bool(library.prctl(_SECCOMP, _FILTER, ctypes.byref(filter_)) == 0)
