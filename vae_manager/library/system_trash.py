"""The system's own trash, where Send2Trash is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_there", "send"]


def is_there() -> bool:
    """Tell whether there is something to send files with."""
    try:
        import send2trash  # noqa: F401 - asked for, not used
    except ImportError:
        return False
    return True


def send(files: Sequence[Path]) -> bool:
    """Send `files` there, in this order; True where it took the first one at least."""
    from send2trash import send2trash

    try:
        for path in files:
            send2trash(str(path))
    except OSError:  # no trash on that disk, or no permission: ours takes what is left
        return not files[0].exists()
    return True
