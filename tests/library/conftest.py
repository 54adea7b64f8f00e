"""A VAE folder, one on another file system, and a link."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .vaes import vae


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "VAE"
    folder.mkdir()
    return folder


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system here")
    with tempfile.TemporaryDirectory(dir=memory) as far:
        yield Path(far)


@pytest.fixture
def linked(folder: Path, tmp_path: Path) -> Path:
    vae(tmp_path / "store" / "blob.safetensors", 9)
    link = folder / "a.safetensors"
    link.symlink_to(Path("..") / "store" / "blob.safetensors")
    return link
