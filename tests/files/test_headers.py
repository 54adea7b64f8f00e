"""The header reader against hand-made files, and against the safetensors library itself."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.failing import fails_with, has, inner
from vae_manager.errors import IntegrityError, NotFoundError
from vae_manager.files import TensorInfo, read_header

from .samples import encode, safetensors

U8 = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}


def tensor(**changes: object) -> dict[str, object]:
    return {**U8, **changes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.safetensors"


def test_a_good_file(file: Path) -> None:
    safetensors(file, {"a": (2, 3), "scalar": (), "none": (0, 5)}, "F16", title="x")
    header = read_header(file)
    assert header.tensors == {
        "a": TensorInfo("F16", (2, 3), 0, 12),
        "scalar": TensorInfo("F16", (), 12, 14),
        "none": TensorInfo("F16", (0, 5), 14, 14),
    }
    assert header.metadata == {"title": "x"}
    assert header.data_start == file.stat().st_size - 14


def test_tensors_need_not_be_listed_in_the_order_of_their_bytes(file: Path) -> None:
    file.write_bytes(encode({"b": tensor(data_offsets=[1, 2]), "a": U8}, b"xy"))
    assert list(read_header(file).tensors) == ["b", "a"]


def test_the_data_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file of 2 GB is told as fast as a small one."""
    raw = encode({"a": tensor(shape=[2**31], data_offsets=[0, 2**31])})
    with file.open("wb") as out:
        out.write(raw)
        out.truncate(len(raw) + 2**31)
    assert read_header(file).tensors["a"].end == 2**31


BAD: list[tuple[str, bytes, str]] = [
    ("too short for a length", b"\x01\x02", "too-short"),
    ("absurd length", struct.pack("<Q", 2**63) + b"{}", "impossible-length"),
    ("length above the limit", struct.pack("<Q", 100_000_001) + b"{}", "impossible-length"),
    ("ends inside the header", struct.pack("<Q", 500) + b'{"a":', "cut-in-header"),
    ("not JSON", encode(b"{nonsense"), "not-json"),
    ("not UTF-8", encode(b'{"\xff":1}'), "not-json"),
    ("half a character", encode(rb'{"__metadata__":{"a":"\ud800"}}'), "not-json"),
    ("nested without end", encode(b"[" * 200_000), "not-json"),
    ("a list", encode(b"[]"), "not-an-object"),
    ("ten bytes short", encode({"a": tensor(shape=[20], data_offsets=[0, 20])}, bytes(10)), "cut-in-data"),
    ("one byte too many", encode({"a": U8}, b"xy"), "extra-bytes"),
    ("a gap", encode({"a": U8, "b": tensor(data_offsets=[2, 3])}, b"xyz"), "not-contiguous"),
    ("an overlap", encode({"a": U8, "b": tensor(data_offsets=[0, 1])}, b"x"), "overlapping"),
    ("backwards", encode({"a": tensor(shape=[0], data_offsets=[0, -1])}), "bad-description"),
    ("end before start", encode({"a": U8, "b": tensor(shape=[0], data_offsets=[1, 0])}, b"x"), "not-contiguous"),
    ("longer than its shape", encode({"a": tensor(data_offsets=[0, 2])}, b"xy"), "wrong-length"),
    ("a shape beyond 64 bits", encode({"a": tensor(shape=[2**63, 2, 0], data_offsets=[0, 0])}), "wrong-length"),
    ("a number beyond 64 bits", encode({"a": tensor(shape=[2**64], data_offsets=[0, 0])}), "bad-description"),
    ("a fraction", encode({"a": tensor(shape=[1.0])}, b"x"), "bad-description"),
    ("minus nought", encode(b'{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}'), "bad-description"),
    ("beyond any number", encode(b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1e999}}', b"x"), "not-json"),
    ("true for 1", encode({"a": tensor(shape=[True])}, b"x"), "bad-description"),
    ("three offsets", encode({"a": tensor(data_offsets=[0, 1, 2])}, b"x"), "bad-description"),
    ("no shape", encode({"a": {"dtype": "U8", "data_offsets": [0, 1]}}, b"x"), "bad-description"),
    ("an unknown dtype", encode({"a": tensor(dtype="X9")}, b"x"), "unknown-dtype"),
    ("a tensor twice", encode(b'{"a":%b,"a":%b}' % ((json.dumps(U8).encode(),) * 2), b"x"), "duplicate-key"),
    ("metadata that is no text", encode({"__metadata__": {"a": 1}}), "bad-metadata"),
    ("metadata that is a text", encode({"__metadata__": "a"}), "bad-metadata"),
]


@pytest.mark.parametrize(("data", "code"), [pytest.param(data, code, id=id) for id, data, code in BAD])
def test_what_is_not_a_whole_file_is_named_and_explained(file: Path, data: bytes, code: str) -> None:
    file.write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        read_header(file)
    assert has(caught.value.message, file="a.safetensors")
    assert code in (caught.value.code, inner(caught.value.message, "reason").code)


def test_a_very_long_name_does_not_fill_the_page(file: Path) -> None:
    file.write_bytes(encode({"a" * 10_000: tensor(dtype="X9")}, b"x"))
    with pytest.raises(IntegrityError) as caught:
        read_header(file)
    assert len(str(caught.value)) < 300


def test_a_missing_file(file: Path) -> None:
    with fails_with(NotFoundError, "no-such-file"):
        read_header(file)


# Against the library. What differs on purpose stands in the module's docstring, and is left out here.

sizes = st.integers(0, 4) | st.sampled_from([2**32, 2**63, 2**64 - 1, 2**64, -1, -0.0, 1.0, None, "1"])
dtypes = st.sampled_from(["F32", "F16", "BF16", "U8", "BOOL", "I64", "F8_E4M3", "F64", "X", "f32"])
infos = st.fixed_dictionaries(
    {"dtype": dtypes, "shape": st.lists(sizes, max_size=3), "data_offsets": st.lists(sizes, min_size=2, max_size=2)},
    optional={"more": st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists, max_leaves=3)},
)
texts = st.text(max_size=4)
loose = st.dictionaries(texts, infos | st.none() | st.integers(), max_size=3)


@st.composite
def sound(draw: st.DrawFn) -> tuple[dict[str, object], int]:
    """A header that is right, most of the time, and the bytes that it describes."""
    header: dict[str, object] = {}
    at = 0
    for name in draw(st.lists(texts.filter(lambda text: text != "__metadata__"), max_size=4, unique=True)):
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        dtype, size = draw(st.sampled_from([("F32", 4), ("F16", 2), ("U8", 1), ("I64", 8)]))
        for one in shape:
            size *= one
        size += draw(st.sampled_from([0] * 30 + [1, -1]))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if draw(st.booleans()):
        header["__metadata__"] = draw(st.dictionaries(texts, texts, max_size=2) | st.none() | st.integers())
    return header, max(at, 0)


def _accepts(read: Callable[[], object]) -> bool:
    try:
        read()
    except IntegrityError:
        return False
    return True


def _agree(tmp_path: Path, data: bytes) -> None:
    library = pytest.importorskip("safetensors")
    file = tmp_path / "x.safetensors"
    file.write_bytes(data)
    try:
        expected = {
            name: (info["dtype"], tuple(info["shape"]), len(info["data"])) for name, info in library.deserialize(data)
        }
    except library.SafetensorError:
        assert not _accepts(lambda: read_header(file)), data
        return
    found = read_header(file).tensors
    assert {name: (info.dtype, info.shape, info.end - info.start) for name, info in found.items()} == expected


quick = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(made=sound(), off_by=st.sampled_from([0] * 10 + [1, -1]), space=st.sampled_from(["", " ", "\n", "\0"]))
def test_it_agrees_with_the_library_on_nearly_right_files(
    tmp_path: Path, made: tuple[dict[str, object], int], off_by: int, space: str
) -> None:
    header, size = made
    raw = json.dumps(header) + space
    _agree(tmp_path, encode(raw.encode(), bytes(max(size + off_by, 0))))


@quick
@given(header=loose, size=st.integers(0, 40))
def test_it_agrees_with_the_library_on_strange_headers(tmp_path: Path, header: dict[str, object], size: int) -> None:
    _agree(tmp_path, encode(json.dumps(header).encode(), bytes(size)))


@quick
@given(made=sound(), at=st.integers(0, 300), byte=st.integers(0, 255), cut=st.integers(0, 300))
def test_it_agrees_with_the_library_on_damaged_files(
    tmp_path: Path, made: tuple[dict[str, object], int], at: int, byte: int, cut: int
) -> None:
    header, size = made
    data = bytearray(encode(json.dumps(header).encode(), bytes(size)))
    data[at % len(data)] = byte
    if _is_stricter(bytes(data)):
        return
    _agree(tmp_path, bytes(data))
    _agree(tmp_path, bytes(data)[: cut % (len(data) + 1)])


def _is_stricter(data: bytes) -> bool:
    """A damaged byte has made two keys equal, where the library lets the last one win."""
    twice: list[bool] = []

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        twice.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    try:
        json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=look)
    except ValueError:
        return False
    return any(twice)
