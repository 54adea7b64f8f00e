"""Every error that the project raises on purpose.

VaeManagerError                 exit status of the command line
├── UsageError                  2  a question that cannot be answered as asked
├── NotFoundError               3  no such entry, repository, file or checkpoint
├── NetworkError                4  bytes did not come, and trying again now will not help
│   └── TransientNetworkError   4  … and trying again may help: the only class that is retried
│       └── ExpiredAddressError 4  a signed address is refused: the hub gives a new one
├── IntegrityError              5  bytes came, and they are not the ones that were asked for
│   ├── BrokenFileError         5  a file is not what its format asks for, or asks for what nobody may
│   ├── WrongBytesError         5  the whole file came, with another hash
│   ├── FileChangedError        5  a file was written to while it was being read: it may be read again
│   └── EndlessBodyError        5  more bytes came than the file has
├── DiskError                   6  no space, no permission, no such folder
├── OutOfMemoryError            6  no memory left, of the machine or of the GPU
├── RefusedError                7  could be done, and will not: gated, licence, flags of the WebUI, a misfit
│   ├── NameTakenError          7  another file bears the name
│   └── NotAdmittedError        7  another web page asks, or one under a name that is not this server's
└── Cancelled                 130  the person said stop

Each carries a `Message`: what happened, to which file, what is unharmed, what to do next. Whether an error is tried
again is a class, never a look at its text.
"""

from __future__ import annotations

from .messages import Message

__all__ = [
    "BrokenFileError",
    "Cancelled",
    "DiskError",
    "EndlessBodyError",
    "ExpiredAddressError",
    "FileChangedError",
    "IntegrityError",
    "NameTakenError",
    "NetworkError",
    "NotAdmittedError",
    "NotFoundError",
    "OutOfMemoryError",
    "RefusedError",
    "TransientNetworkError",
    "UsageError",
    "VaeManagerError",
    "WrongBytesError",
]


class VaeManagerError(Exception):
    """The root. `message` is for people, `exit_status` for the command line."""

    exit_status = 1

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message


class UsageError(VaeManagerError):
    exit_status = 2


class NotFoundError(VaeManagerError):
    exit_status = 3


class NetworkError(VaeManagerError):
    exit_status = 4


class TransientNetworkError(NetworkError):
    """Worth another try; `retry_after` is the server's own wish in seconds, where it gave one."""

    def __init__(self, message: Message, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExpiredAddressError(TransientNetworkError):
    """Signed addresses are good for a while; the hub gives another."""


class IntegrityError(VaeManagerError):
    exit_status = 5


class BrokenFileError(IntegrityError):
    """`code` tells machines in which way: `truncated`, `unsafe-pickle`, …; see `files.record.Problem`."""

    def __init__(self, message: Message, code: str) -> None:
        super().__init__(message)
        self.code = code


class WrongBytesError(IntegrityError):
    """Every byte came, and their hash is not the published one."""


class FileChangedError(IntegrityError):
    """A file was written to, or touched, while it was being read."""


class EndlessBodyError(IntegrityError):
    """A body goes on after the end of the file."""


class DiskError(VaeManagerError):
    exit_status = 6


class OutOfMemoryError(VaeManagerError):
    exit_status = 6


class RefusedError(VaeManagerError):
    exit_status = 7


class NoVaeError(RefusedError):
    """The bytes themselves say that a file is no VAE. More of them, or the same from elsewhere, make it none."""


class NameTakenError(RefusedError):
    """Another file has the final name; it is never overwritten. `free_name` is one that can be taken, if known."""

    def __init__(self, message: Message, free_name: str | None = None) -> None:
        super().__init__(message)
        self.free_name = free_name


class NotAdmittedError(RefusedError):
    """Refusal of a request. `code` is machine-readable: `foreign-page`, `unknown-name`, `not-direct`; see
    webui.admission."""

    def __init__(self, message: Message, code: str) -> None:
        super().__init__(message)
        self.code = code


class Cancelled(VaeManagerError):
    exit_status = 130
