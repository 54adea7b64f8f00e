"""What a file is, whatever its name says."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.counting import bytes_read
from tests.failing import has
from vae_manager.errors import NotFoundError
from vae_manager.files import inspect
from vae_manager.records.verdict import A1111, Usable, obstacle_of, verdict

from . import samples
from .filling import filling
from .samples import checkpoint, diffusers, ldm, safetensors


@pytest.mark.parametrize(
    ("shapes", "layout", "channels", "code"),
    [
        (ldm(), "ldm", 4, None),
        ({**ldm(16)}, "ldm", 16, None),
        ({**ldm(), "loss.logvar": (1,)}, "ldm", 4, None),
        (ldm(prefix="first_stage_model."), "prefixed", 4, "prefixed"),
        (ldm(prefix="vae."), "prefixed", 4, "prefixed"),
        (diffusers(), "diffusers", 4, "diffusers"),
        (diffusers(16), "diffusers", 16, "diffusers"),
        (
            {**ldm(prefix="first_stage_model."), "model.diffusion_model.out.2.weight": (4, 8, 3, 3)},
            "checkpoint",
            4,
            "checkpoint",
        ),
        ({"model.diffusion_model.out.2.weight": (4, 8, 3, 3)}, "checkpoint", None, "no-vae"),
        ({"encoder.layers.0.weight": (8, 3, 3, 3), "decoder.layers.0.weight": (8, 4, 3, 3)}, "tiny", 4, "tiny"),
        ({"1.weight": (64, 4, 3, 3), "3.conv.0.weight": (64, 64, 3, 3)}, "tiny", 4, "tiny"),
        ({"lora_unet_mid.lora_down.weight": (4, 8)}, "lora", None, "lora"),
        ({"transformer.x_embedder.lora_A.weight": (4, 8)}, "lora", None, "lora"),
        ({"lycoris_mid.lokr_w1": (4, 8)}, "lora", None, "lora"),
        ({"decoder.conv1.weight": (8, 16, 3, 3, 3), "encoder.conv1.weight": (8, 3, 3, 3, 3)}, "video", 16, "video"),
        ({"decoder.conv_in.weight": (8, 16, 3, 3, 3), "decoder.mid.x": (1,)}, "video", 16, "video"),
        ({"weight": (3, 3)}, "other", None, "no-vae"),
        ({}, "other", None, "no-vae"),
        ({k: v for k, v in ldm().items() if k.startswith("decoder")}, "ldm", 4, "no-encoder"),
        ({k: v for k, v in ldm().items() if k.startswith("encoder")}, "ldm", None, "no-decoder"),
    ],
)
def test_layouts(
    tmp_path: Path, shapes: Mapping[str, tuple[int, ...]], layout: str, channels: int | None, code: str | None
) -> None:
    found = inspect(safetensors(tmp_path / "x.ckpt", shapes))
    assert (found.container, found.layout, found.latent_channels) == ("safetensors", layout, channels)
    assert found.problems == ()
    answer = verdict(found, A1111, checkpoint(16 if channels == 16 else 4))
    assert isinstance(answer, Usable) is (code is None)
    reason = obstacle_of(answer) or answer.reason
    assert (reason.code if reason is not None else None) == code
    if reason is not None:
        assert has(reason.message, file="x.ckpt")
    if code == "prefixed" and reason is not None:
        assert has(reason.message, prefix=found.prefix)


@pytest.mark.parametrize(("dtype", "word"), [("F32", "fp32"), ("F16", "fp16"), ("BF16", "bf16"), ("I64", None)])
def test_dtype_is_that_of_most_weights(tmp_path: Path, dtype: str, word: str | None) -> None:
    assert inspect(safetensors(tmp_path / "x.safetensors", ldm(), dtype)).dtype == word


def test_a_few_numbers_of_another_kind_do_not_count(tmp_path: Path) -> None:
    header, size = samples.header_of(ldm(), "F16")
    for number in range(20):
        header[f"extra{number}"] = {"dtype": "F32", "shape": [1], "data_offsets": [size, size + 4]}
        size += 4
    file = tmp_path / "x.safetensors"
    file.write_bytes(samples.encode(header, bytes(size)))
    assert inspect(file).dtype == "fp16"


def test_size_tensors_and_metadata_are_there(tmp_path: Path) -> None:
    file = safetensors(tmp_path / "x.safetensors", ldm(), title="mine")
    found = inspect(file)
    assert found.size == file.stat().st_size
    assert found.tensors["decoder.conv_in.weight"].shape == (8, 4, 3, 3)
    assert found.metadata == {"title": "mine"}


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:735e\nsize 334641190\n"


@pytest.mark.parametrize(
    ("data", "container", "code"),
    [
        (b"", "empty", "empty"),
        (LFS, "lfs pointer", "lfs-pointer"),
        (b"<!DOCTYPE html><html>", "web page", "web-page"),
        (b"\n  <html lang=en>", "web page", "web-page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error/>", "web page", "web-page"),
        (b'{"error":"Repository not found"}', "unknown", "text"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "unknown", "archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "unknown", "archive"),
        (b"GGUF\3\0\0\0" + b"\xff" * 99, "gguf", "gguf"),
        (b"\x08\x08\x12\x07pytorch" + bytes(99), "unknown", "onnx"),
        (b"RIFF\0\1\0\0WEBPVP8 " + bytes(99), "unknown", "picture"),
        (bytes(5), "unknown", "unknown-format"),
        (b"\xff" * 100, "unknown", "unknown-format"),
    ],
)
def test_what_downloads_go_wrong_with(tmp_path: Path, data: bytes, container: str, code: str) -> None:
    file = tmp_path / "my-vae.safetensors"
    file.write_bytes(data)
    found = inspect(file)
    assert (found.container, found.table) == (container, None)
    assert found.problem is not None and found.problem.code == code
    assert has(found.problem, file="my-vae.safetensors")
    kind = {b"\x1f\x8b": "gzip", b"7z": "7z", b"RI": "WebP"}.get(data[:2])
    assert kind is None or has(found.problem, kind=kind)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_download_that_was_cut_off(tmp_path: Path, keep: float) -> None:
    file = safetensors(tmp_path / "x.safetensors", ldm())
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    found = inspect(file)
    assert found.container == "safetensors"
    assert found.problems[0].code == "truncated"


def test_a_pickle_is_read_and_never_run(tmp_path: Path) -> None:
    proof = tmp_path / "proof"

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (proof,)

    for number, protocol in enumerate((2, 4, 5)):
        file = tmp_path / f"{number}.vae.pt"
        file.write_bytes(pickle.dumps({"a": Hostile()}, protocol))
        found = inspect(file)
        assert (found.container, found.table) == ("pickle", None)
        assert found.problems[0].code == "unsafe-pickle"
    assert not proof.exists()


def test_how_many_numbers_a_vae_has(tmp_path: Path) -> None:
    """Those of other tensors in the file do not count."""
    alone = inspect(safetensors(tmp_path / "vae.safetensors", ldm()))
    shapes = {**ldm(prefix="first_stage_model."), "model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
    whole = inspect(safetensors(tmp_path / "checkpoint.safetensors", shapes))
    assert alone.parameters == whole.parameters == sum(math.prod(shape) for shape in ldm().values())
    assert (alone.prefix, whole.prefix) == ("", "first_stage_model.")


def test_the_kind_of_number_is_that_of_the_vae_in_a_checkpoint(tmp_path: Path) -> None:
    header, size = samples.header_of(ldm(prefix="first_stage_model."), "F32")
    more = 4 * size
    header["model.diffusion_model.out.2.weight"] = {
        "dtype": "F16",
        "shape": [more // 2],
        "data_offsets": [size, size + more],
    }
    file = tmp_path / "x.safetensors"
    file.write_bytes(samples.encode(header, bytes(size + more)))
    assert inspect(file).dtype == "fp32"


@pytest.mark.parametrize("megabytes", [1, 4000])
def test_what_is_read_does_not_depend_on_the_size(tmp_path: Path, megabytes: int) -> None:
    """Sparse files: the weights take no room on the disk, and would take seconds to read."""
    zeros = megabytes * 250_000
    header, size = samples.header_of({**ldm(), "decoder.up.0.block.0.conv1.weight": (zeros,)})
    raw = samples.encode(header)
    file = tmp_path / "x.safetensors"
    with file.open("wb") as out:
        out.write(raw)
        out.truncate(len(raw) + size)
    looked: list[str] = []
    read = bytes_read(lambda: looked.append(inspect(file).layout))
    assert looked == ["ldm"]
    assert read is None or read < 1_000_000


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        inspect(tmp_path / "none.pt")


def test_zeros_count_in_the_vae_alone(tmp_path: Path) -> None:
    """Some weights of a checkpoint begin as zeros, and may stay so."""
    unet = "model.diffusion_model.out.2.weight"  # the last weight of the file, which is always sampled
    header, size = samples.header_of({**ldm(prefix="first_stage_model."), unet: (4, 64, 3, 3)})
    data = bytearray(filling(size))
    start, end = header[unet]["data_offsets"]
    data[start:end] = bytes(end - start)
    path = tmp_path / "x.safetensors"
    path.write_bytes(samples.encode(header, bytes(data)))
    assert inspect(path).problems == ()
