"""Exceptions of the project, with the exit statuses of the command line.

    VaeManagerError                 exit status
    ├── UsageError                  2  a request that is invalid or ambiguous
    ├── NotFoundError               3  no such entry, repository, file or checkpoint
    ├── NetworkError                4  the bytes did not arrive, and a retry now will not help
    │   └── TransientNetworkError   4  … and a retry may help: the only class that is retried
    │       └── ExpiredAddressError 4  a signed address is refused: the hub issues a new one
    ├── IntegrityError              5  the bytes that arrived are not the requested ones
    │   ├── BrokenFileError         5  a file violates its format, or requires a forbidden operation
    │   ├── WrongBytesError         5  the whole file arrived, with another hash
    │   ├── FileChangedError        5  a file was written to while it was being read: a retry may help
    │   └── EndlessBodyError        5  more bytes arrived than the file has
    ├── DiskError                   6  no space, no permission, no such folder
    ├── OutOfMemoryError            6  no memory left, of the machine or of the GPU
    ├── RefusedError                7  possible, but refused: gated, licence, flags of the WebUI, a misfit
    │   ├── NameTakenError          7  another file has the name
    │   └── NotAdmittedError        7  another web page sends the request, or it names another server
    └── Cancelled                 130  the person stopped the work

Each has a `Message`: the failure, the file, the data that is unharmed, the next step. The class alone decides if an
operation is retried, never the text.

Each has a `code` too, a short identifier in kebab case: that of its message (`msg("…", code="file-in-use")`), or that
of its class (`refused`). Two errors of one class that programs must distinguish have messages with different codes.
Codes are part of the command line's JSON and do not change with the wording.
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
    "NoVaeError",
    "NotAdmittedError",
    "NotFoundError",
    "OutOfMemoryError",
    "RefusedError",
    "TransientNetworkError",
    "UsageError",
    "VaeManagerError",
    "WholeRepositoryError",
    "WrongBytesError",
]


class VaeManagerError(Exception):
    """The root class. `message` is for people, `code` for programs, `exit_status` for the command line."""

    exit_status = 1
    code = "error"

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message
        if message.code:
            self.code = message.code


class UsageError(VaeManagerError):
    """A request that is invalid or ambiguous."""

    exit_status = 2
    code = "usage"


class WholeRepositoryError(UsageError):
    """The address of a hub's repository, or of a folder in it, where a file's is needed."""

    def __init__(self, message: Message, repo: str, folder: str, revision: str | None) -> None:
        super().__init__(message)
        self.repo = repo
        self.folder = folder
        self.revision = revision
        """None for the main branch."""


class NotFoundError(VaeManagerError):
    """A missing entry, repository, file or checkpoint."""

    exit_status = 3
    code = "not-found"


class NetworkError(VaeManagerError):
    """A failed transfer that a retry now will not repair."""

    exit_status = 4
    code = "network"


class TransientNetworkError(NetworkError):
    """A failure that is worth a retry; `retry_after` is the server's own wish in seconds, if it sent one."""

    def __init__(self, message: Message, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExpiredAddressError(TransientNetworkError):
    """A signed address that is no longer valid; the hub issues another."""

    code = "expired-address"


class IntegrityError(VaeManagerError):
    """Bytes that are not the requested ones."""

    exit_status = 5
    code = "integrity"


class BrokenFileError(IntegrityError):
    """A file that violates its format; `code` is machine-readable: `truncated`, …; see `files.record.Problem`."""

    def __init__(self, message: Message, code: str) -> None:
        super().__init__(message.with_code(code))
        self.code = code


class WrongBytesError(IntegrityError):
    """A complete file whose hash is not the published one."""

    code = "wrong-bytes"


class FileChangedError(IntegrityError):
    """A file that was written to, or touched, while it was being read."""

    code = "file-changed"


class EndlessBodyError(IntegrityError):
    """A body that goes on after the end of the file."""

    code = "endless-body"


class DiskError(VaeManagerError):
    """A disk without space, permission or the folder."""

    exit_status = 6
    code = "disk"


class OutOfMemoryError(VaeManagerError):
    """A lack of memory, of the machine or of the GPU."""

    exit_status = 6
    code = "out-of-memory"


class RefusedError(VaeManagerError):
    """A possible operation that is refused, with the reason."""

    exit_status = 7
    code = "refused"


class NoVaeError(RefusedError):
    """A file whose bytes show that it is no VAE. More of them, or another source, cannot change that."""


class NameTakenError(RefusedError):
    """A name that another file has, which is never overwritten. `free_name` is an available one, if known."""

    code = "name-taken"

    def __init__(self, message: Message, free_name: str | None = None) -> None:
        super().__init__(message)
        self.free_name = free_name


class NotAdmittedError(RefusedError):
    """A refused request.

    `code` is machine-readable: `foreign-page`, `unknown-name`, `not-direct`; see `webui.admission`.
    """

    def __init__(self, message: Message, code: str) -> None:
        super().__init__(message)
        self.code = code


class Cancelled(VaeManagerError):
    """A stop by the person."""

    exit_status = 130
    code = "cancelled"
