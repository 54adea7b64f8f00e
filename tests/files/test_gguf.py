"""The reader of GGUF headers: what it reads, and what it does with damaged and hostile files."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from vae_manager.errors import BrokenFileError, VaeManagerError
from vae_manager.files import TensorTable, gguf, inspect
from vae_manager.files.checkpoint import encoder_of, engine_of
from vae_manager.files.gguf import read_gguf
from vae_manager.files.headers import TensorSpec

from .engines.cases import table

NUMBERS = {name: number for number, name in gguf._DTYPES.items()}
U64 = 2**64 - 1


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(key: str, kind: int, raw: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + raw


def of_text(key: str, content: str) -> bytes:
    return value(key, 8, text(content))


def array(key: str, kind: int, count: int, raw: bytes) -> bytes:
    return value(key, 9, struct.pack("<IQ", kind, count) + raw)


def described(name: str, shape: Sequence[int], kind: int, start: int) -> bytes:
    sides = b"".join(struct.pack("<Q", side) for side in reversed(shape))
    return text(name) + struct.pack("<I", len(shape)) + sides + struct.pack("<IQ", kind, start)


def header(tensors: Sequence[bytes], values: Sequence[bytes] = (), version: int = 3, **counts: int) -> bytes:
    sizes = struct.pack("<IQQ", version, counts.get("tensors_are", len(tensors)), counts.get("values_are", len(values)))
    return b"GGUF" + sizes + b"".join(values) + b"".join(tensors)


def whole(specs: Mapping[str, TensorSpec], values: Sequence[bytes] = ()) -> tuple[bytes, int]:
    """The header of a file of these tensors, and the length of the file."""
    at, tensors = 0, []
    for name, spec in specs.items():
        tensors.append(described(name, spec.shape, NUMBERS[spec.dtype], at))
        at += -(-spec.length // 32) * 32
    raw = header(tensors, values)
    return raw, -(-len(raw) // 32) * 32 + at


def write(path: Path, raw: bytes, length: int | None = None) -> Path:
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(length if length is not None else len(raw))
    return path


SMALL = {"a.weight": TensorSpec("Q8_0", (4, 64)), "a.bias": TensorSpec("F32", (4,))}
VALUES = [
    of_text("general.architecture", "flux"),
    value("general.alignment", 4, struct.pack("<I", 32)),
    array("tokenizer.ggml.tokens", 8, 3, text("a") + text("") + text("b" * 5000)),
    array("tokenizer.ggml.scores", 6, 3, bytes(12)),
    value("general.file_type", 10, bytes(8)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.gguf"


def test_names_shapes_dtypes_and_texts_are_read(path: Path) -> None:
    found = read_gguf(write(path, *whole(SMALL, VALUES)))
    assert TensorTable.of(found.tensors) == TensorTable.of(SMALL)
    assert found.metadata == {"general.architecture": "flux"}
    assert found.data_start % 32 == 0
    assert found.tensors["a.weight"].end == 4 * 2 * 34


def test_a_table_of_quantised_tensors_survives_the_store() -> None:
    kept = TensorTable.of(SMALL)
    assert TensorTable.from_json(kept.to_json()) == kept


def test_the_original_shape_of_a_folded_tensor_is_read(path: Path) -> None:
    folded = {"patch_embedding.weight": TensorSpec("F16", (5120, 16, 1, 4))}
    shape = array("comfy.gguf.orig_shape.patch_embedding.weight", 5, 5, struct.pack("<5i", 5120, 16, 1, 2, 2))
    found = read_gguf(write(path, *whole(folded, [shape])))
    assert found.tensors["patch_embedding.weight"].shape == (5120, 16, 1, 2, 2)


@pytest.mark.parametrize("network", ["flux1-dev", "wan-t2v-14b", "qwen-image", "z-image", "unet-sdxl"])
def test_a_quantised_checkpoint_has_its_engine(path: Path, network: str) -> None:
    specs = {
        name: spec._replace(dtype="Q4_K" if len(spec.shape) == 2 and spec.shape[1] % 256 == 0 else "F32")
        for name, spec in table(network).items()
    }
    plain = engine_of(table(network))
    found = engine_of(inspect(write(path, *whole(specs))).tensors)
    assert plain is not None
    assert found is not None
    assert (found.engine, found.variant) == (plain.engine, plain.variant)


def test_the_record_of_a_gguf_file_has_its_tensors_and_stays_unusable(path: Path) -> None:
    record = inspect(write(path, *whole(SMALL, VALUES)))
    assert record.container == "gguf"
    assert [problem.code for problem in record.problems] == ["other-format"]
    assert record.tensors == TensorTable.of(SMALL)
    assert record.metadata["general.architecture"] == "flux"
    assert encoder_of(record.tensors) is None


def test_a_truncated_file_is_reported_and_has_no_tensors(path: Path) -> None:
    raw, length = whole(SMALL, VALUES)
    for size in [*range(4, len(raw) + 1), length - 1, length - 32]:
        record = inspect(write(path, raw, size) if size >= len(raw) else write(path, raw[:size]))
        assert record.container == "gguf"
        if record.table is None:
            assert [problem.code for problem in record.problems] == ["other-format", "truncated"]
        else:
            assert size > length - 32, "only the padding behind the last tensor may be missing"


TENSOR = described("a", (4,), 0, 0)

HOSTILE = {
    "another version": header([TENSOR], version=1),
    "big endian": header([TENSOR], version=3 << 24),
    "too many tensors": header([TENSOR], tensors_are=U64),
    "too many values": header([TENSOR], values_are=U64),
    "fewer tensors than stated": header([TENSOR], tensors_are=2),
    "a long name": header([text("a" * 2000) + struct.pack("<IQIQ", 1, 4, 0, 0)]),
    "a name of impossible length": header([struct.pack("<Q", U64)]),
    "a name that is not UTF-8": header([text(b"\xff\xfe") + struct.pack("<IQIQ", 1, 4, 0, 0)]),
    "many axes": header([text("a") + struct.pack("<I", 2**32 - 1)]),
    "a vast side": header([described("a", (U64,), 0, 0)]),
    "a vast tensor": header([described("a", (2**40,) * 8, 0, 0)]),
    "a vast offset": header([described("a", (4,), 0, U64)]),
    "an unknown dtype": header([described("a", (4,), 4, 0)]),
    "a name twice": header([TENSOR, TENSOR]) + bytes(64),
    "an unknown type of value": header([TENSOR], [value("a", 99, b"")]),
    "a text of impossible length": header([TENSOR], [value("a", 8, struct.pack("<Q", U64))]),
    "an array of arrays": header([TENSOR], [array("a", 9, 1, struct.pack("<IQ", 9, 1))]),
    "an endless array of texts": header([TENSOR], [array("a", 8, U64, b"")]),
    "an endless array of numbers": header([TENSOR], [array("a", 12, U64, b"")]),
    "no alignment": header([TENSOR], [value("general.alignment", 4, bytes(4))]) + bytes(64),
    "a vast alignment": header([TENSOR], [value("general.alignment", 4, b"\xff" * 4)]) + bytes(64),
    "an original shape of other numbers": header(
        [TENSOR], [array("comfy.gguf.orig_shape.a", 5, 1, struct.pack("<i", 5))]
    ) + bytes(64),
    "an original shape below zero": header(
        [TENSOR], [array("comfy.gguf.orig_shape.a", 5, 2, struct.pack("<2i", -2, -2))]
    ) + bytes(64),
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_reported(path: Path, raw: bytes) -> None:
    write(path, raw)
    with pytest.raises(BrokenFileError):
        read_gguf(path)
    record = inspect(path)
    assert record.table is None
    assert len(record.problems) == 2


def test_texts_without_end_are_limited(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "MAX_TEXTS", 100)
    arrays = [array(f"a{number}", 8, 60, text("") * 60) for number in range(2)]
    write(path, header([TENSOR], arrays) + bytes(64))
    with pytest.raises(BrokenFileError):
        read_gguf(path)


def test_a_long_header_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "MAX_HEADER_BYTES", 1000)
    write(path, header([TENSOR], [array("a", 0, 2000, bytes(2000))]) + bytes(64))
    with pytest.raises(BrokenFileError) as caught:
        read_gguf(path)
    assert caught.value.code == "header-too-long"


def test_any_damage_is_a_result_and_no_exception(path: Path) -> None:
    raw, length = whole(SMALL, VALUES)
    base = raw + bytes(length - len(raw))
    choice = random.Random(20)
    interesting = [b"\0", b"\xff", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x08\0\0\0", b"\x09\0\0\0"]
    for _ in range(3000):
        damaged = bytearray(base)
        for _ in range(choice.randint(1, 4)):
            at = choice.randrange(4, len(raw))
            piece = choice.choice([*interesting, bytes([choice.randrange(256)])])
            damaged[at : at + len(piece)] = piece
        if choice.random() < 0.2:
            del damaged[choice.randrange(4, len(damaged)) :]
        record = inspect(write(path, bytes(damaged)))
        assert record.container == "gguf"
        assert record.problems[0].code == "other-format"
        assert (record.table is None) == (len(record.problems) == 2)
        kept: Any = record.tensors
        assert encoder_of(kept) is None
        assert engine_of(kept) is None


def test_a_missing_file_is_an_error_of_the_project(path: Path) -> None:
    with pytest.raises(VaeManagerError):
        read_gguf(path)
