from __future__ import annotations

import hashlib
import os
import random
import sys
import threading
from pathlib import Path

import pytest

from tests.files.test_weights import made
from tests.files.torch_files import as_zip
from tests.files.whole_vaes import FLUX, SD, Config, Tensor, Tensors, below, read, renamed, vae, write
from tests.library.vaes import without_links
from vae_manager import __version__
from vae_manager.errors import DiskError, NameTakenError, NotFoundError, RefusedError, UsageError
from vae_manager.files import read_header, tensor_data
from vae_manager.files.conversion import Converted, convert, free_name
from vae_manager.records import HashStore, RecordStore

from .folders import left

CHECKPOINT = {"model.diffusion_model.out.2.weight": Tensor("F32", (4,), bytes(16))}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- the result ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("config", [SD, FLUX, Config((4, 8), 1, 8)], ids=["sd", "flux", "small"])
@pytest.mark.parametrize("form", ["diffusers", "older", "prefixed", "checkpoint", "both", "zip"])
def test_each_tensor_is_the_sources(tmp_path: Path, target: Path, config: Config, form: str) -> None:
    tensors = vae(config)
    forms: dict[str, Tensors] = {
        "diffusers": renamed(tensors, config),
        "older": renamed(tensors, config, older=True),
        "prefixed": below("first_stage_model.", tensors),
        "checkpoint": {**CHECKPOINT, **below("first_stage_model.", tensors)},
        "both": renamed(tensors, config, prefix="vae."),
    }
    source = tmp_path / "source"
    if form == "zip":
        source.write_bytes(as_zip(made(renamed(tensors, config))))
    else:
        write(source, forms[form])
    convert(source, target)
    assert read(target) == tensors
    assert left(target) == [target.name]


@pytest.mark.parametrize("config", [SD, FLUX], ids=["sd", "flux"])
def test_to_diffusers_and_back_is_the_same_file(tmp_path: Path, target: Path, config: Config) -> None:
    first = write(tmp_path / "x.safetensors", vae(config))
    theirs = convert(first, target.with_name("theirs.safetensors"), layout="diffusers").target
    assert read(theirs) == renamed(vae(config), config)
    convert(theirs, target)
    assert read(target) == vae(config)


def test_rounded_and_back(tmp_path: Path, target: Path) -> None:
    source = write(tmp_path / "x.safetensors", vae(dtype="F16"))
    wide = convert(source, target.with_name("wide.safetensors"), dtype="fp32").target
    assert {one.dtype for one in read(wide).values()} == {"F32"}
    convert(wide, target, dtype="fp16")
    assert read(target) == vae(dtype="F16")


def test_where_it_comes_from_stands_in_it(source: Path, target: Path) -> None:
    result = convert(source, target, dtype="fp16")
    assert dict(read_header(target).metadata) == {
        "title": "mine",
        "format": "pt",
        "vae_manager.done": "from-diffusers fp16",
        "vae_manager.source_layout": "diffusers",
        "vae_manager.source_name": "theirs.safetensors",
        "vae_manager.source_sha256": sha256(source),
        "vae_manager.version": __version__,
    }
    assert result == Converted(target, sha256(target), target.stat().st_size, ("from-diffusers", "fp16"))


def test_the_same_source_gives_the_same_bytes(source: Path, target: Path) -> None:
    convert(source, target)
    again = convert(source, target.with_name("again.safetensors")).target
    assert again.read_bytes() == target.read_bytes()


def test_numbers_lie_where_they_can_be_used(tmp_path: Path, target: Path) -> None:
    single, half = vae(), vae(dtype="F16")
    mixed = {name: (single if "conv1" in name else half)[name] for name in single}
    source = write(tmp_path / "x", below("vae.", mixed))
    convert(source, target)
    header = read_header(target)
    assert header.data_start % 8 == 0
    assert all(one.start % (4 if one.dtype == "F32" else 2) == 0 for one in header.tensors.values())
    assert {one.dtype for one in header.tensors.values()} == {"F16", "F32"}


def test_the_safetensors_library_reads_it(source: Path, target: Path) -> None:
    pytest.importorskip("numpy")
    from safetensors import safe_open

    convert(source, target)
    with safe_open(target, "numpy") as file:  # type: ignore[attr-defined]  # its stub leaves out __enter__
        found = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    assert found == {name: one.data for name, one in vae().items()}


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_a_name_that_is_no_text(source: Path, target: Path) -> None:
    odd = source.rename(Path(os.fsdecode(os.fsencode(source.parent) + b"/\xff.safetensors")))
    convert(odd, target)
    assert read_header(target).metadata["vae_manager.source_name"] == "�.safetensors"


def test_progress_reaches_its_end(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_data, "CHUNK", 256)
    seen: list[tuple[int, int]] = []
    convert(source, target, report=lambda done, total: seen.append((done, total)))
    done = [one for one, _ in seen]
    data = sum(len(one.data) for one in vae().values())
    assert done == sorted(done) and len(done) > 100
    assert seen[-1] == (source.stat().st_size + 2 * data,) * 2


def test_a_known_hash_is_not_computed_again(source: Path, target: Path, tmp_path: Path) -> None:
    hashes = HashStore(RecordStore(tmp_path))
    hashes.remember(source, "0" * 64)
    convert(source, target, hashes=hashes)
    assert read_header(target).metadata["vae_manager.source_sha256"] == "0" * 64


# -- what is refused -------------------------------------------------------------------------------------------------
def test_nothing_is_overwritten(source: Path, target: Path) -> None:
    target.write_text("somebody's")
    with pytest.raises(NameTakenError):
        convert(source, target)
    target.unlink()
    target.symlink_to("nowhere")
    with pytest.raises(NameTakenError):
        convert(source, target)
    with pytest.raises(NameTakenError):
        convert(source, source)
    assert left(target) == [target.name]


@pytest.mark.parametrize("links", [True, False])
def test_not_even_at_the_last_moment(source: Path, target: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links, as exFAT has it, the way is another."""
    if not links:
        without_links(monkeypatch)
    taken = threading.Event()

    def take(done: int, total: int) -> None:
        if done == total and not taken.is_set():
            target.write_text("somebody's")
            taken.set()

    with pytest.raises(NameTakenError):
        convert(source, target, report=take)
    assert target.read_text() == "somebody's"
    assert left(target) == [target.name]


def test_a_file_system_without_hard_links(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_links(monkeypatch)
    convert(source, target)
    assert read(target) == vae()
    assert left(target) == [target.name]


def test_numbers_that_are_too_large(tmp_path: Path, target: Path) -> None:
    tensors = vae()
    large = bytearray(tensors["decoder.conv_out.bias"].data)
    large[4:8] = b"\x00\x00\x80\x47"  # 65536
    tensors["decoder.conv_out.bias"] = Tensor("F32", (3,), bytes(large))
    source = write(tmp_path / "x.safetensors", tensors)
    with pytest.raises(RefusedError, match=r"decoder\.conv_out\.bias is 65536, and fp16 ends at 65504"):
        convert(source, target, dtype="fp16")
    assert left(target) == []
    convert(source, target, dtype="bf16")


def test_names_that_cannot_be(source: Path, target: Path) -> None:
    with pytest.raises(UsageError):
        convert(source, target.with_suffix(".ckpt"))
    with pytest.raises(RefusedError):
        convert(source, target.with_name(".hidden.safetensors"))


def test_sources_that_cannot_be(source: Path, target: Path) -> None:
    with pytest.raises(NotFoundError):
        convert(source.with_name("none"), target)
    with pytest.raises(DiskError):
        convert(source.parent, target)
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(RefusedError, match="cut off"):
        convert(source, target)
    assert left(target) == []


# -- names -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "done", "expected"),
    [
        ("cool.vae.pt", ("safetensors",), "cool.vae.safetensors"),
        ("cool.ckpt", ("safetensors", "fp16"), "cool-fp16.safetensors"),
        ("dream.safetensors", ("from-checkpoint",), "dream.vae.safetensors"),
        ("diffusion_pytorch_model.safetensors", ("from-diffusers",), "diffusion_pytorch_model.safetensors"),
        ("here.safetensors", ("from-diffusers",), "here-3.safetensors"),
    ],
)
def test_a_free_name(tmp_path: Path, name: str, done: tuple[str, ...], expected: str) -> None:
    for taken in ("here.safetensors", "here-2.safetensors"):
        (tmp_path / taken).touch()
    assert free_name(tmp_path, Path("/elsewhere") / name, done) == tmp_path / expected


def test_the_order_in_the_source_does_not_matter(tmp_path: Path, target: Path) -> None:
    tensors = renamed(vae())
    shuffled = random.Random(1).sample(list(tensors), len(tensors))
    convert(write(tmp_path / "x", tensors, shuffled), target)
    assert read(target) == vae()
