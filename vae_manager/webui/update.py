"""Whether the files on disk are newer than the code that runs: an update keeps the old Python until a restart."""

from __future__ import annotations

import re
from pathlib import Path

from .. import __version__

VERSION_FILE = Path(__file__).parents[1] / "__init__.py"


def newer_version_on_disk() -> str | None:
    """The version that lies on disk, when it is another one than the one that runs."""
    try:
        text = VERSION_FILE.read_text(encoding="utf-8", errors="replace")  # it may be half written
    except OSError:
        return None  # it is being updated, or was removed
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None or found[1] == __version__:
        return None
    return found[1]
