"""A source in a folder of its own, and the name of a result in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.whole_vaes import renamed, vae, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A diffusers file, in a folder of its own."""
    folder = tmp_path / "from"
    folder.mkdir()
    return write(folder / "theirs.safetensors", renamed(vae()), title="mine", format="flax")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The name of a result, in an empty folder."""
    folder = tmp_path / "to"
    folder.mkdir()
    return folder / "ours.safetensors"
