"""What a folder holds."""

from __future__ import annotations

from pathlib import Path


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())
