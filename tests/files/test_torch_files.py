"""What torch itself writes, read without it; and the bytes of tensors that do not lie row after row."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED

import pytest

from tests.failing import fails_with, has, inner
from vae_manager.errors import Cancelled, IntegrityError
from vae_manager.files import TensorInfo, chunks, find_nan, inspect, read_contents, tensor_data
from vae_manager.files.headers import Header

from .corpus.case import nested, patched
from .samples import ldm, safetensors
from .torch_files import (
    Made,
    as_legacy,
    as_zip,
    mapping,
    number,
    several,
    state_dict,
    storage,
    tensor,
    text,
    weights,
    write_zip,
)

numpy = pytest.importorskip("numpy")


def read(path: Path, header: Header, info: TensorInfo) -> bytes:
    with path.open("rb") as file:
        return b"".join(bytes(chunk) for chunk in chunks(file, path, header, info))


def written(path: Path, code: bytes, **storages: bytes) -> Path:
    path.write_bytes(as_zip(Made(b"\x80\x02" + code + b".", storages)))
    return path


# -- real files --------------------------------------------------------------------------------------------------------
FEW = dict(list(ldm().items())[:4])

DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("int64", "int32", "int16", "int8", "uint8", "uint16", "bool"),
]


@pytest.mark.torch
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_kind_of_number(tmp_path: Path, dtype: str, as_zip: bool) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    whole = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, dtype))
    _agrees(torch, path, {"a": whole, "b": whole[1:], "c": whole.transpose(0, 2), "d": whole[:, ::2, 1]}, as_zip)


@pytest.mark.torch
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_what_checkpoints_have_besides(tmp_path: Path, as_zip: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(3, 5, 3)
    shared = torch.randn(4, 4)
    tensors = {
        **layer.state_dict(),
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 7),
        "expanded": torch.randn(1).expand(5),
        "last": layer.weight.detach().to(memory_format=torch.channels_last),
        **{f"shared{number}": shared[number] for number in range(4)},
    }
    _agrees(torch, tmp_path / "x.pt", tensors, as_zip)


def _agrees(torch: Any, path: Path, tensors: dict[str, Any], as_zip: bool) -> None:
    """Our reader gives what torch has saved: below "state_dict", beside other things."""
    saved = {"epoch": 3, "state_dict": tensors, "callbacks": {"x": {1, 2}}, "size": torch.Size([2])}
    torch.save(saved, path, _use_new_zipfile_serialization=as_zip)
    header = read_contents(path)
    assert header.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        info = header.tensors[name]
        assert info.shape == tuple(value.shape)
        assert (info.strides is None) is value.is_contiguous()
        assert read(path, header, info) == value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.mark.torch
def test_a_class_of_its_own_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save(torch.nn.Conv2d(3, 5, 3), path)
    assert str(inspect(path).problem).startswith("x.pt asks for torch.nn.modules.conv.Conv2d to be run")


# -- bytes -------------------------------------------------------------------------------------------------------------
def test_several_tensors_in_one_storage(tmp_path: Path) -> None:
    data = numpy.arange(12, dtype="<f4")
    where = storage("Float", "0", 12)
    path = written(
        tmp_path / "x.pt",
        mapping({"a": tensor(where, (3, 4)), "b": tensor(where, (4,), offset=4)}),
        **{"0": data.tobytes()},
    )
    header = read_contents(path)
    assert read(path, header, header.tensors["a"]) == data.tobytes()
    assert read(path, header, header.tensors["b"]) == data[4:8].tobytes()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((3, 4), (1, 3), 0),  # transposed
        ((2, 3, 2, 2), (12, 1, 6, 3), 0),  # channels last
        ((3, 2), (8, 3), 1),  # with gaps
        ((5,), (0,), 7),  # one number, five times
        ((3, 3), (1, 1), 0),  # rows that overlap
        ((1, 4), (99, 5), 0),  # an axis of one, whose stride says nothing
        ((2, 1, 3), (11, 7, 4), 2),
        ((1, 3), (2**62, 2), 0),  # the same, of more bytes than a number of 64 bits counts
        ((2, 1, 3, 1), (11, 2**63 - 1, 4, 2**60), 2),
    ],
)
@pytest.mark.parametrize("chunk", [4, 8, 20, 4 << 20])
def test_the_order_is_that_of_the_elements(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    chunk: int,
) -> None:
    """Whatever the size of a chunk."""
    monkeypatch.setattr(tensor_data, "CHUNK", chunk)
    data = numpy.arange(30, dtype="<f4")
    made = mapping({"a": tensor(storage("Float", "0", 30), shape, strides, offset)})
    path = written(tmp_path / "x.pt", made, **{"0": data.tobytes()})
    header = read_contents(path)
    steps = [4 * stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
    expected = numpy.lib.stride_tricks.as_strided(data[offset:], shape, steps)
    assert read(path, header, header.tensors["a"]) == expected.tobytes()


def test_a_chunk_is_no_longer_than_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_data, "CHUNK", 24)
    codes = {"a": tensor(storage("Half", "0", 60), (60,)), "b": tensor(storage("Half", "0", 60), (12, 5), (1, 12))}
    path = written(tmp_path / "x.pt", mapping(codes), **{"0": bytes(120)})
    header = read_contents(path)
    with path.open("rb") as file:
        for info in header.tensors.values():
            lengths = [len(chunk) for chunk in chunks(file, path, header, info)]
            assert max(lengths) <= 24 and sum(lengths) == 120


def test_a_file_that_has_become_shorter(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "x.safetensors", {"a": (100,)})
    header = read_contents(path)
    path.write_bytes(path.read_bytes()[:-1])
    with fails_with(IntegrityError, "file-shortened"):
        read(path, header, header.tensors["a"])


def test_a_view_of_an_old_file(tmp_path: Path) -> None:
    """PyTorch 0.2 wrote slices of a storage as storages, with the place of each."""
    data = numpy.arange(10, dtype="<f4")
    view = storage("Float", "0", 10, several(text("v"), number(4), number(3)))
    path = tmp_path / "x.pt"
    path.write_bytes(as_legacy(Made(b"\x80\x02" + mapping({"a": tensor(view, (3,))}) + b".", {"0": data.tobytes()})))
    header = read_contents(path)
    assert read(path, header, header.tensors["a"]) == data[4:7].tobytes()
    longer = mapping({"a": tensor(view, (4,))})
    path.write_bytes(as_legacy(Made(b"\x80\x02" + longer + b".", {"0": data.tobytes()})))
    assert inspect(path).problems[0].code == "bad-offsets"


def test_what_lies_between_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns far apart, in a file that takes no room on the disk."""
    monkeypatch.setattr(tensor_data, "CHUNK", 64)
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(4 * (2 * 10**9 + 3))
    info = TensorInfo("F32", (3, 2), 0, 4 * (2 * 10**9 + 3), (10**9, 2))
    fill, lengths = tensor_data._read_into, []

    def filled(file: BinaryIO, path: Path, start: int, view: memoryview) -> None:
        lengths.append(len(view))
        if len(view) <= 64:
            fill(file, path, start, view)

    monkeypatch.setattr(tensor_data, "_read_into", filled)
    assert read(path, Header({}, data_start=0), info) == bytes(24)
    assert max(lengths) <= 64


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (nested(), "overlapping-parts"),
        (as_zip(state_dict(ldm()), compression=ZIP_DEFLATED), "compressed-part"),
        (patched(as_zip(state_dict(FEW)), b"data/1", b"data/0", 1), "duplicate-part"),
    ],
)
def test_what_is_said_of_a_strange_archive(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    problem = inspect(path).problem
    assert problem is not None and has(problem, file="x.pt")
    assert inner(problem, "reason").code == code


# -- numbers that are none ---------------------------------------------------------------------------------------------
NAN = {
    "F32": (b"\0\0\xc0\x7f", b"\0\0\x80\xff", b"\xff\xff\x7f\x7f"),
    "F16": (b"\0\x7e", b"\0\xfc", b"\xff\x7b"),
    "BF16": (b"\xc0\x7f", b"\x80\xff", b"\x7f\x7f"),
    "F64": (b"\0\0\0\0\0\0\xf8\x7f", b"\0\0\0\0\0\0\xf0\xff", b"\0\0\0\0\0\0\xe0\x47"),
    "F8_E4M3": (b"\x7f", b"\xff", b"\x7e"),
    "F8_E5M2": (b"\x7f", b"\xfc", b"\x7b"),
}
"""NaN, another value that is not finite, and a large finite one. Weights of 64 bits are used in 32."""


@pytest.mark.parametrize("dtype", NAN)
@pytest.mark.parametrize("which", range(3))
def test_numbers_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, which: int) -> None:
    monkeypatch.setattr(tensor_data, "CHUNK", 64)
    path = safetensors(tmp_path / "x.safetensors", ldm(), dtype)
    one = NAN[dtype][which]
    data = bytearray(path.read_bytes())
    data[-4 * len(one) : -3 * len(one)] = one
    path.write_bytes(data)
    found = find_nan(path)
    if which == 2:
        assert found is None
    else:
        assert found is not None and found.code == "nan" and "post_quant_conv.weight" in str(found.message)


def test_in_a_pickle_too(tmp_path: Path) -> None:
    codes, storages = weights({"decoder.conv_in.weight": (2, 4, 3, 3)})
    path = written(tmp_path / "x.pt", mapping(codes), **{**storages, "0": bytes(284) + b"\0\0\xc0\x7f"})
    found = find_nan(path)
    assert found is not None and found.code == "nan"


def test_only_the_vae_of_a_checkpoint_is_looked_at(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.ckpt", {**ldm(prefix="first_stage_model."), "model.diffusion_model.x": (1000,)})
    seen: list[tuple[int, int]] = []
    assert find_nan(path, report=lambda done, total: seen.append((done, total))) is None
    parameters = inspect(path).parameters
    assert parameters is not None and seen[-1] == (4 * parameters, 4 * parameters)


def test_a_look_at_numbers_stops_within_a_chunk(tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(Cancelled):
        find_nan(safetensors(tmp_path / "x.safetensors", ldm()), report=lambda done, total: stop.set(), stop=stop)


# -- what no table of tensors has a word for -----------------------------------------------------------------------
@pytest.mark.parametrize("write", [as_zip, as_legacy])
@pytest.mark.parametrize("other", ["x", "loss.x", "decoder_ema.x"])
def test_a_strange_kind_of_number_beside_a_vae_is_left_out(tmp_path: Path, write: Any, other: str) -> None:
    codes, storages = weights(ldm())
    path = tmp_path / "a.pt"
    odd = tensor(storage("ComplexFloat", "999", 1), (1,))
    path.write_bytes(write(Made(b"\x80\x02" + mapping({other: odd, **codes}) + b".", {"999": bytes(8), **storages})))
    record = inspect(path)
    assert (record.problems, set(record.tensors)) == ((), set(ldm()))


@pytest.mark.parametrize("other", ["decoder.x", "vae.encoder.x", "quant_conv.x"])
def test_a_strange_kind_of_number_in_a_vae_is_damage(tmp_path: Path, other: str) -> None:
    codes, storages = weights(ldm())
    path = tmp_path / "a.pt"
    odd = tensor(storage("ComplexFloat", "999", 1), (1,))
    path.write_bytes(as_zip(Made(b"\x80\x02" + mapping({other: odd, **codes}) + b".", {"999": bytes(8), **storages})))
    assert [problem.code for problem in inspect(path).problems] == ["bad-pickle"]


def test_a_strange_kind_of_number_counts_where_there_is_no_vae(tmp_path: Path) -> None:
    """A text encoder may need it."""
    codes, storages = weights({"token_embedding.weight": (4, 4)})
    path = tmp_path / "a.pt"
    odd = tensor(storage("ComplexFloat", "999", 1), (1,))
    path.write_bytes(as_zip(Made(b"\x80\x02" + mapping({"x": odd, **codes}) + b".", {"999": bytes(8), **storages})))
    assert [problem.code for problem in inspect(path).problems] == ["bad-pickle"]


@pytest.mark.parametrize("flag", ["neg", "conj"])
def test_a_turned_sign_is_told_from_a_misused_name(tmp_path: Path, flag: str) -> None:
    codes, storages = weights(ldm())
    plain = codes["decoder.conv_in.weight"]
    said = []
    for key in (flag, "other"):
        turned = plain.removesuffix(b"tR") + mapping({key: b"\x88"}) + b"tR"
        path = tmp_path / f"{key}.pt"
        code = mapping({**codes, "decoder.conv_in.weight": turned})
        path.write_bytes(as_zip(Made(b"\x80\x02" + code + b".", storages)))
        [problem] = inspect(path).problems
        assert problem.code == "bad-pickle"
        said.append(problem.message.fields["reason"])
    assert said[0] != said[1]
