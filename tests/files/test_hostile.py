"""Files that can be read in two ways are refused, and none of their code runs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from vae_manager.errors import BrokenFileError
from vae_manager.files import inspect, read_contents

from .hostile import EXPECTED_CODES, HOSTILE
from .samples import ldm
from .torch_files import (
    MAGIC,
    PROTOCOL,
    Made,
    as_legacy,
    as_zip,
    call,
    mapping,
    name,
    number,
    ordered,
    several,
    state_dict,
    storage,
    tensor,
    text,
)

DATA = {"0": struct.pack("<4f", 1, 2, 3, 4), "1": struct.pack("<4f", 5, 6, 7, 8)}
FIRST, SECOND = storage("Float", "0", 4), storage("Float", "1", 4)
GOOD = tensor(FIRST, (4,))


def refusal(tmp_path: Path, data: bytes) -> str | None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    try:
        read_contents(path)
    except BrokenFileError as error:
        return error.code
    return None


def refusals(tmp_path: Path, value: bytes) -> list[str | None]:
    """In both forms."""
    made = Made(b"\x80\x02" + mapping({"a": value, "other": tensor(SECOND, (4,))}) + b".", DATA)
    return [refusal(tmp_path, form(made)) for form in (as_zip, as_legacy)]


@pytest.mark.parametrize("kind", HOSTILE)
def test_inspect_refuses_what_torch_reads_otherwise(tmp_path: Path, kind: str) -> None:
    path, marker = tmp_path / "x.vae.pt", tmp_path / "code-has-run"
    path.write_bytes(HOSTILE[kind](state_dict(ldm()), f"touch '{marker}'"))
    found = inspect(path)
    assert [problem.code for problem in found.problems] == [EXPECTED_CODES[kind]]
    assert not found.tensors
    assert not marker.exists()


# -- frames ------------------------------------------------------------------------------------------------------------
def framed(length: int, code: bytes = b"}.") -> bytes:
    return b"\x80\x04\x95" + struct.pack("<Q", length) + code


FRAMES = {
    "beyond STOP": framed(3),
    "far beyond STOP": framed(2**63 - 1),
    "in the middle of an instruction": framed(2, b"}K\1" + b"0."),
    "nested": framed(12, b"}\x95" + struct.pack("<Q", 1) + b"."),
    "round another": framed(11, b"}\x95" + struct.pack("<Q", 20) + b"."),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_read_refuses_a_frame_that_can_be_read_in_two_ways(tmp_path: Path, kind: str) -> None:
    code = FRAMES[kind]
    assert refusal(tmp_path, as_zip(Made(code, {}))) == "bad-pickle"
    assert refusal(tmp_path, MAGIC + PROTOCOL + b"\x80\x02}." + code + b"\x80\x02].") == "bad-pickle"
    assert refusal(tmp_path, MAGIC + PROTOCOL + code + b"\x80\x02}.\x80\x02].") == "bad-pickle"


@pytest.mark.parametrize("code", [framed(2), framed(1), framed(0), framed(1, b"}\x95" + struct.pack("<Q", 1) + b".")])
def test_read_takes_frames_as_pythons_pickler_writes_them(tmp_path: Path, code: bytes) -> None:
    assert refusal(tmp_path, as_zip(Made(code, {}))) is None
    assert refusal(tmp_path, MAGIC + PROTOCOL + b"\x80\x02}." + code + b"\x80\x02].") is None


# -- tar ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["octal", "signed", "in bytes", "with blanks"])
def test_inspect_knows_a_tar_by_its_checksum_alone(tmp_path: Path, kind: str) -> None:
    block = bytearray(MAGIC + PROTOCOL + bytes(480))[:512]
    block[300] = 0xF0
    total = sum(block) + 8 * 32 - (256 * sum(byte > 127 for byte in block) if kind == "signed" else 0)
    field = {"octal": b"%06o\0 ", "signed": b"%06o\0 ", "with blanks": b"  %04o\0 "}.get(kind, b"") % (
        (total,) if kind != "in bytes" else ()
    )
    block[148:156] = field or b"\x80" + total.to_bytes(7, "big")
    path = tmp_path / "x.pt"
    path.write_bytes(bytes(block) + bytes(2000))
    assert [problem.code for problem in inspect(path).problems] == ["old-torch"]


# -- what else can be read in two ways ---------------------------------------------------------------------------------
STATE = several(tensor(SECOND, (4,)), b"N", ordered(), b"\x89", b"N")
V2 = name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = name("torch._utils", "_rebuild_parameter_with_state")
REST = (number(0), several(number(4)), several(number(1)), b"\x89", ordered())
PAIR = several(text("a"), GOOD)
HALF = several(text("x"), storage("Half", "0", 4))
ORDERED_DICT = name("collections", "OrderedDict")
FROM_NUMPY = name("torch._utils", "_rebuild_device_tensor_from_numpy")


def array_of(size: bytes) -> bytes:
    """An empty array, as numpy makes each before it is given its state; `size` is the instruction for its size."""
    return call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), several(size), BYTE)


BYTE = call(name("_codecs", "encode"), text("b"), text("latin1"))
OTHERWISE = {
    "BUILD of a tensor": GOOD + STATE + b"b",
    "BUILD of a tensor, with nothing": GOOD + b"}b",
    "BUILD of a parameter": call(name("torch._utils", "_rebuild_parameter"), GOOD, b"\x88", ordered()) + STATE + b"b",
    "BUILD of a storage": FIRST + b"}b",
    "BUILD of a dict": mapping({"a": GOOD}) + b"}b",
    "attributes of an OrderedDict": ordered() + mapping({"items": GOOD}) + b"b",
    "attributes of a parameter": call(PARAMETER, GOOD, b"\x88", ordered(), mapping({"data": tensor(SECOND, (4,))})),
    "a sign in the metadata": call(V2, FIRST, *REST, mapping({"neg": b"\x88"})),
    "hooks": call(V2, FIRST, *REST[:4], mapping({"a": b"N"}, ordered())),
    "gradients of whole numbers": tensor(storage("Long", "0", 2), (2,)).replace(b"\x89", b"\x88"),
    "NEWOBJ of a function": V2 + several(FIRST, *REST) + b"\x81",
    "NEWOBJ of an OrderedDict with values": ORDERED_DICT + several(b"](" + PAIR + b"e") + b"\x81",
    "a tensor of numpy's array": call(FROM_NUMPY, b"N", b"N", b"N", b"N"),
    "an array of numpy's whose size is False": array_of(b"\x89"),
    "an array of numpy's whose size is 0.0": array_of(b"G" + bytes(8)),
    "beyond its storage": tensor(FIRST, (5,)),
    "sizes whose product has no place": tensor(FIRST, (2**40, 2**40, 0), (1, 1, 1)),
    "a list as a key": b"}]Ns",
    "one storage with two descriptions": call(ORDERED_DICT, b"](" + HALF + b"e" + GOOD + b"0"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERWISE)
def test_read_refuses_what_torch_takes_otherwise(tmp_path: Path, kind: str) -> None:
    assert set(refusals(tmp_path, OTHERWISE[kind])) <= {"bad-pickle", "bad-offsets", "unsafe-pickle"}


def test_read_takes_the_same_tensors_without_them(tmp_path: Path) -> None:
    assert refusals(tmp_path, GOOD) == [None, None]
    assert refusals(tmp_path, call(PARAMETER, GOOD, b"\x88", ordered(), b"}")) == [None, None]
    versions = mapping({"a": GOOD}, ordered()) + mapping({"_metadata": ordered()}) + b"b"
    assert refusals(tmp_path, versions) == [None, None]


VIEW = several(text("v"), number(0), number(2))
VIEWS = {
    "one name for two views": (VIEW, several(text("v"), number(2), number(2))),
    "the name of a storage": (several(text("1"), number(0), number(2)), b"N"),
    "beyond its storage": (several(text("v"), number(3), number(2)), b"N"),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_read_refuses_views_that_torch_takes_for_others(tmp_path: Path, kind: str) -> None:
    one, other = VIEWS[kind]
    codes = {
        "a": tensor(storage("Float", "0", 4, one), (1,)),
        "b": tensor(storage("Float", "0", 4, other), (1,)),
        "c": tensor(storage("Float", "1", 4, b"N"), (4,)),
    }
    assert refusal(tmp_path, as_legacy(Made(b"\x80\x02" + mapping(codes) + b".", DATA))) == "bad-pickle"


def test_read_refuses_identities_of_the_other_form(tmp_path: Path) -> None:
    viewed = Made(b"\x80\x02" + mapping({"a": tensor(storage("Float", "0", 4, b"N"), (4,))}) + b".", {"0": DATA["0"]})
    assert refusal(tmp_path, as_zip(viewed)) == "bad-pickle"
    assert refusal(tmp_path, as_legacy(viewed)) is None


def test_read_refuses_a_storage_outside_of_the_root(tmp_path: Path) -> None:
    facts = mapping({"protocol_version": number(1001), "more": storage("Float", "0", 4, b"N")})
    assert refusal(tmp_path, as_legacy(state_dict({"a": (4,)}), facts=facts)) == "bad-pickle"


def test_an_archive_in_capitals_is_a_pickle(tmp_path: Path) -> None:
    """PyTorch finds `data.pkl` in any case: it is no archive without a model."""
    path = tmp_path / "x.pt"
    path.write_bytes(as_zip(Made(b"\x80\x02}.", DATA)).replace(b"data.pkl", b"Data.PKL"))
    found = inspect(path)
    assert (found.container, [problem.code for problem in found.problems]) == ("pickle", ["bad-zip"])
