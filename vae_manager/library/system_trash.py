"""The system's own trash, if Send2Trash is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["is_there", "send"]


def is_there() -> bool:
    """Return True if Send2Trash is available."""
    try:
        import send2trash  # noqa: F401 - asked for, not used
    except ImportError:
        return False
    return True


def send(files: Sequence[Path]) -> bool:
    """Send `files` there, in this order; return True if it took at least the first one."""
    from send2trash import send2trash

    try:
        for path in files:
            send2trash(str(path))
    except OSError:  # no trash on that disk, or no permission: ours takes what is left
        return not files[0].exists()
    return True
