"""The weights of a file come to memory of their own, each byte as it is in the file."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from tests.failing import fails_with
from vae_manager.errors import DiskError, FileChangedError, IntegrityError, NotFoundError
from vae_manager.files import read_header, tensor_data
from vae_manager.swap import read_every_tensor, read_safetensors, weight_reader
from vae_manager.swap import weight_reader as reading_module
from vae_manager.swap.weights import checksums

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]


def names(*own: str) -> dict[str, str]:
    return {name: name for name in own}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_each_byte_is_that_of_the_library(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"a": torch.randn(3, 5, 7).to(dtype), "b": torch.randn(1).to(dtype), "c": torch.zeros(0, 4).to(dtype)}
    save_file(tensors, path)
    found = read_safetensors(path, {"mine": "a", "b": "b", "c": "c"}).tensors
    theirs = load_file(path)
    assert list(found) == ["mine", "b", "c"]
    for name, their_name in (("mine", "a"), ("b", "b"), ("c", "c")):
        assert found[name].dtype == dtype
        assert torch.equal(found[name].view(torch.uint8), theirs[their_name].view(torch.uint8))


def test_it_is_not_the_files_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1000), "b": torch.ones(1000)}, path)
    found = read_safetensors(path, names("a", "b")).tensors
    with path.open("r+b") as file:
        file.truncate(50)
    found["a"].zero_()
    assert found["b"].sum() == 1000
    assert found["a"].untyped_storage().data_ptr() != found["b"].untyped_storage().data_ptr()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2], ids=str)
def test_one_number_that_is_none_is_found(tmp_path: Path, dtype: torch.dtype, value: float) -> None:
    path, tensor = tmp_path / "a.safetensors", torch.randn(999)
    tensor[77] = value
    save_file({"fine": torch.randn(99).to(dtype), "bad": tensor.to(dtype)}, path)
    with pytest.raises(IntegrityError, match="bad holds NaN, infinite"):
        read_safetensors(path, names("fine", "bad"))
    read_safetensors(path, names("fine"))


def test_large_numbers_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.full((99,), 3e38), "b": torch.full((9999,), 60000.0).half()}, path)
    read_safetensors(path, names("a", "b"))


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.randn(99), "b": torch.randn(99)}, path)
    once = threading.Event()
    fill = reading_module._fill

    def replaced(*arguments: object) -> None:
        if not once.is_set():
            once.set()
            new = path.with_name("new")
            save_file({"a": torch.randn(99), "b": torch.randn(99)}, new)
            new.replace(path)
        fill(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(reading_module, "_fill", replaced)
    with fails_with(IntegrityError, "file-changed"):
        read_safetensors(path, names("a", "b"))


def test_a_file_that_is_cut_off_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.randn(99), "b": torch.randn(99)}, path)
    header = read_header(path)
    os.truncate(path, path.stat().st_size - 8)
    monkeypatch.setattr(reading_module, "read_header", lambda _: header)
    with fails_with(IntegrityError, "file-changed"):
        read_safetensors(path, names("a", "b"))


def test_what_is_no_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_safetensors(tmp_path / "none", {})
    with pytest.raises((DiskError, IntegrityError)):
        read_safetensors(tmp_path, {})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with fails_with(IntegrityError, "not-a-file"):
        read_safetensors(pipe, {})


def test_a_checksum_tells_any_changed_number() -> None:
    tensors = {"even": torch.randn(8), "odd": torch.randn(3), "half": torch.randn(5).half(), "none": torch.zeros(0)}
    before = checksums(tensors)
    assert checksums(tensors) == before
    for name in ("even", "odd", "half"):
        for place in range(tensors[name].numel()):
            old = tensors[name][place].clone()
            tensors[name].data[place] += 0.01
            assert checksums(tensors) != before, (name, place)
            tensors[name][place] = old
    assert checksums(tensors) == before


def test_a_checksum_reads_memory_as_it_lies() -> None:
    plain = torch.randn(2, 4, 3, 3)
    assert checksums({"a": plain.to(memory_format=torch.channels_last)}) == checksums(
        {"a": plain.permute(0, 2, 3, 1).contiguous()}
    )


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_tensors_without_numbers_are_read(tmp_path: Path, ending: str) -> None:
    """Each with memory of its own."""
    path = tmp_path / f"a.{ending}"
    tensors = {"a": torch.zeros(0, 3), "b": torch.zeros(0, dtype=torch.int64), "c": torch.zeros(2, 0, 2**40)}
    if ending == "pt":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    found = read_every_tensor(path)
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        name: (one.dtype, one.shape) for name, one in tensors.items()
    }


def test_a_file_that_changes_while_every_tensor_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one under its name would give names and shapes of the one and numbers of the other."""
    path, other = tmp_path / "a.pt", tmp_path / "b.pt"
    torch.save({"a": torch.zeros(4)}, path)
    torch.save({"a": torch.ones(4)}, other)

    def read_contents(file: Path) -> Any:
        header = tensor_data.read_contents(file)
        other.replace(file)
        return header

    monkeypatch.setattr(weight_reader, "read_contents", read_contents)
    with pytest.raises(FileChangedError):
        read_every_tensor(path)
