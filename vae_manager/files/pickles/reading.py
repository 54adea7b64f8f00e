"""One file of torch.save, of either form, as a header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ...errors import BrokenFileError
from ...sentences import Sentence, say
from ..headers import Header, disk_error
from .torch_legacy import read_legacy
from .torch_zip import read_zip
from .values import UNSAFE, Refused

__all__ = ["TorchFile", "is_torch_file", "read_torch"]

_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)
_TAR: Final = b"ustar"
_TAR_AT: Final = 257


@dataclass(frozen=True)
class TorchFile:
    """What a file of torch.save holds."""

    header: Header
    """Its weights; `data_start` is 0, as the bytes of each tensor are counted from the beginning of the file."""
    foreign: str | None
    """Something harmless in it that the WebUI's own reader refuses."""


def is_torch_file(head: bytes) -> bool:
    """Whether a file that begins with `head` (300 bytes of it do) is for `read_torch`: torch goes by these, too."""
    return head.startswith(_ZIP) or _PICKLE.match(head) is not None or _is_tar(head)


def read_torch(path: Path) -> TorchFile:
    """Read what tensors `path` has; their bytes are not read.

    Raises `BrokenFileError`, with the code `unsafe-pickle` where something would have to be run; `NotFoundError` and
    `DiskError`.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            header, foreign = _read(file, size)
    except OSError as error:
        raise disk_error(path, error) from error
    except Refused as refused:
        raise BrokenFileError(_sentence(path.name, refused), refused.code) from None
    return TorchFile(header, foreign)


def _read(file: BinaryIO, size: int) -> tuple[Header, str | None]:
    file.seek(0)
    head = file.read(_TAR_AT + len(_TAR))
    if _is_tar(head):
        raise Refused("old-torch", say("it is a tar archive, as PyTorch wrote them before 2018. Get a newer one."))
    return read_zip(file, size) if head.startswith(_ZIP) else read_legacy(file, size)


def _is_tar(head: bytes) -> bool:
    return head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def _sentence(name: str, refused: Refused) -> Sentence:
    if refused.code == UNSAFE:
        return say(
            "{file} asks for {what} to be run when it is loaded. It was not, and it is not used.",
            file=name,
            what=refused.reason,
        )
    return say("{file} cannot be used: {reason}", file=name, reason=refused.reason)
