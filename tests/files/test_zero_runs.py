"""Parts of a file that a download has not filled are found, and zeros that a VAE may have are not taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_manager.catalogue.entry import COMPANIONS
from vae_manager.files import inspect, read_header, tensor_data
from vae_manager.files.tensor_data import companion_of

from .samples import ldm, safetensors


def zeroed(path: Path, first: float, last: float) -> Path:
    """Fill the bytes between two parts of the tensors' bytes, from 0.0 to 1.0, with zeros."""
    data = bytearray(path.read_bytes())
    start = read_header(path).data_start
    length = len(data) - start
    begin, end = start + int(first * length), start + int(last * length)
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0.5, 1), (0, 0.5), (0.6, 0.95), (0.3, 0.5)])
@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_unfilled_part(tmp_path: Path, first: float, last: float, dtype: str) -> None:
    path = zeroed(safetensors(tmp_path / "x.safetensors", ldm(), dtype), first, last)
    assert [problem.code for problem in inspect(path).problems] == ["unfinished"]


def test_zeros_of_small_tensors_are_weights(tmp_path: Path) -> None:
    """Biases are zero in some VAEs that were never trained far."""
    path = safetensors(tmp_path / "x.safetensors", ldm())
    header, data = read_header(path), bytearray(path.read_bytes())
    for info in header.tensors.values():
        if len(info.shape) == 1:
            data[header.data_start + info.start : header.data_start + info.end] = bytes(info.end - info.start)
    path.write_bytes(data)
    assert inspect(path).problems == ()


@pytest.mark.parametrize("ending", COMPANIONS)
def test_companion_of_an_unfinished_download(tmp_path: Path, ending: str) -> None:
    path = safetensors(tmp_path / "x.safetensors", ldm())
    assert companion_of(path) is None
    companion = path.with_name(path.name + ending)
    companion.touch()
    assert companion_of(path) == companion


def test_folder_is_no_companion(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "x.safetensors", ldm())
    path.with_name(f"{path.name}.part").mkdir()
    assert companion_of(path) is None


def test_name_too_long_for_a_companion(tmp_path: Path) -> None:
    path = safetensors(tmp_path / f"{'x' * 240}.safetensors", ldm())
    assert companion_of(path) is None
    assert inspect(path).problems == ()


def test_weights_beside_the_vae_may_be_zero(tmp_path: Path) -> None:
    """A loss that it was trained with, or moving averages: nothing loads them."""
    path = safetensors(tmp_path / "x.safetensors", {**ldm(), "loss.discriminator.main.0.weight": (64, 3, 4, 4)})
    header, data = read_header(path), bytearray(path.read_bytes())
    info = header.tensors["loss.discriminator.main.0.weight"]
    data[header.data_start + info.start : header.data_start + info.end] = bytes(info.end - info.start)
    path.write_bytes(data)
    assert inspect(path).problems == ()


def test_the_weight_of_an_attention_counts_as_a_matrix_too(tmp_path: Path) -> None:
    """A conversion makes a convolution of it, which would be refused."""
    shapes = {name: shape[:2] if ".attn_1." in name and len(shape) == 4 else shape for name, shape in ldm().items()}
    path = safetensors(tmp_path / "x.safetensors", shapes)
    header, data = read_header(path), bytearray(path.read_bytes())
    info = next(info for name, info in header.tensors.items() if name.endswith("attn_1.q.weight"))
    assert info.end - info.start >= 256
    data[header.data_start + info.start : header.data_start + info.end] = bytes(info.end - info.start)
    path.write_bytes(data)
    assert [problem.code for problem in inspect(path).problems] == ["unfinished"]


def test_one_zero_that_stands_for_a_whole_weight(tmp_path: Path) -> None:
    """`torch.zeros(1).expand(…)`, as torch saves it: four bytes."""
    torch = pytest.importorskip("torch")
    tensors = {name: torch.full(shape, 0.5) for name, shape in ldm().items()}
    tensors["decoder.conv_in.weight"] = torch.zeros(1, 1, 1, 1).expand(tensors["decoder.conv_in.weight"].shape)
    torch.save(tensors, tmp_path / "x.pt")
    assert [problem.code for problem in inspect(tmp_path / "x.pt").problems] == ["unfinished"]


@pytest.mark.parametrize("part", ["beginning", "middle", "end"])
def test_a_hole_in_a_large_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(tensor_data, "HOLE_BYTES", 512)
    monkeypatch.setattr(tensor_data, "LARGE_BYTES", 2_000)
    path = safetensors(tmp_path / "x.safetensors", ldm())
    header, data = read_header(path), bytearray(path.read_bytes())
    largest = max(header.tensors.values(), key=lambda info: info.end - info.start)
    start, end = header.data_start + largest.start, header.data_start + largest.end
    place = {"beginning": start, "middle": (start + end) // 2 - 100, "end": end - 600}[part]
    data[place : place + 600] = bytes(600)
    path.write_bytes(data)
    assert [problem.code for problem in inspect(path).problems] == ["unfinished"]


def test_each_weight_is_looked_at(tmp_path: Path) -> None:
    """One stretch of zeros of the length of a weight is found wherever it lies."""
    path = safetensors(tmp_path / "x.safetensors", ldm())
    header, whole = read_header(path), path.read_bytes()
    weights = [info for info in header.tensors.values() if len(info.shape) == 4 and info.end - info.start > 256]
    assert len(weights) > 20
    for info in weights:
        data = bytearray(whole)
        data[header.data_start + info.start : header.data_start + info.end] = bytes(info.end - info.start)
        path.write_bytes(data)
        assert [problem.code for problem in inspect(path).problems] == ["unfinished"]
