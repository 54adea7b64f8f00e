"""Results of earlier conversions: found by what they hold, never by their metadata alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.files.whole_vaes import renamed, vae, write
from vae_manager.files import inspect
from vae_manager.files.conversion import convert, find_twin, plan
from vae_manager.records import HashStore


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "theirs.safetensors", renamed(vae()))


def twin_of(source: Path, *candidates: Path, dtype: str | None = None) -> Path | None:
    return find_twin(source, plan(inspect(source), dtype=dtype), candidates, HashStore())


def test_a_result_is_found_under_any_name(source: Path, tmp_path: Path) -> None:
    made = convert(source, tmp_path / "ours.safetensors").target.rename(tmp_path / "other.safetensors")
    assert twin_of(source, source, tmp_path / "gone.safetensors", made) == made


def test_a_rounded_result_is_compared_as_it_was_rounded(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    made = convert(source, tmp_path / "ours.safetensors", dtype="fp16").target
    assert twin_of(source, made, dtype="fp16") == made
    assert twin_of(source, made) is None
    assert twin_of(source, made, dtype="bf16") is None


@pytest.mark.parametrize("at", [-1, -1000])
def test_other_numbers_under_the_same_metadata_are_no_result(source: Path, tmp_path: Path, at: int) -> None:
    made = convert(source, tmp_path / "ours.safetensors").target
    content = bytearray(made.read_bytes())
    content[at] ^= 1
    made.write_bytes(content)
    assert twin_of(source, made) is None


def test_a_cut_result_is_none(source: Path, tmp_path: Path) -> None:
    made = convert(source, tmp_path / "ours.safetensors").target
    made.write_bytes(made.read_bytes()[:-8])
    assert twin_of(source, made) is None


def test_a_changed_source_has_no_result(source: Path, tmp_path: Path) -> None:
    made = convert(source, tmp_path / "ours.safetensors").target
    tensors = renamed(vae())
    write(source, dict(reversed(tensors.items())))
    source.write_bytes(source.read_bytes()[:-1] + b"\x7f")
    assert twin_of(source, made) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_twin_search_opens_no_pipe(tmp_path: Path) -> None:
    source = write(tmp_path / "source.safetensors", renamed(vae()))
    pipe, folder = tmp_path / "pipe.safetensors", tmp_path / "folder.safetensors"
    os.mkfifo(pipe)
    folder.mkdir()
    assert find_twin(source, plan(inspect(source)), [pipe, folder, tmp_path / "gone"], HashStore()) is None
