"""Tensor data: reading it without torch, the search for NaN and holes, and fingerprints of weights.

The checks of a file's weights find NaN or infinite values, and weights that a download has not filled. Download
programs reserve the whole size first, as zeros. The weight of a convolution has no long run of zeros in a trained VAE,
and is never zero as a whole. A listing samples each weight at its beginning and end, a large one in its middle too, and
reads it whole if a sample is zero. A verification reads each.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..catalogue.entry import COMPANIONS
from ..errors import Cancelled, FileChangedError, IntegrityError, NotFoundError
from ..messages import msg
from .headers import DTYPE_BYTES, Header, TensorInfo, begins_like_safetensors, disk_error, read_header
from .layouts import Source, canonical, facts_of, renamed_vae
from .pickle_values import printable_name
from .record import Fingerprints, Identity, Problem
from .torch_reader import is_torch_file, read_torch

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[Any]]

__all__ = [
    "CHUNK",
    "chunks",
    "companion_of",
    "find_hole",
    "find_nan",
    "find_unfilled",
    "fingerprints",
    "has_nan",
    "nan_problem",
    "read_contents",
    "unfinished_problem",
]


CHUNK: Final = 4 << 20
"""Bytes of a tensor that are in memory at once, if its rows are contiguous."""

_HEAD: Final = 1024

_NON_FINITE_BITS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "F64": ("<u8", 0x7FF0_0000_0000_0000),
        "F32": ("<u4", 0x7F80_0000),
        "F16": ("<u2", 0x7C00),
        "BF16": ("<u2", 0x7F80),
        "F8_E5M2": ("u1", 0x7C),
        "F8_E4M3": ("u1", 0x7F),
    }
)
"""The whole numbers that represent a dtype's floats, and the bits that are all set in exactly the NaN and infinite
values: the exponent; for an fp8 without infinity, all but the sign."""

FP32_OVERFLOW_BITS: Final = 0x47EF_FFFF_F000_0000
"""Bits of the smallest 64-bit number that becomes infinite in 32 bits: half of a step beyond their largest one. No
WebUI runs a VAE in 64 bits."""
FP64_MAGNITUDE_MASK: Final = 0x7FFF_FFFF_FFFF_FFFF

SAMPLE_BYTES: Final = 256
HOLE_BYTES: Final = 131_072
"""Bytes of a run of zeros that no trained weight has: seven filters of the widest layer, in 32 bits. A shorter weight
has to be zero as a whole."""
LARGE_BYTES: Final = 2_000_000
"""Bytes of a weight that is sampled in its middle too."""
MIN_AXES: Final = 4
"""Axes of the weight of a convolution."""


def read_contents(path: Path) -> Header:
    """Return all tensors of `path` by their names in the file, and the positions of their bytes, which are not read.

    Raises IntegrityError if it has no readable tensors, NotFoundError and DiskError.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise disk_error(path, error) from error
    if is_torch_file(head) and not begins_like_safetensors(head):
        return read_torch(path)
    return read_header(path)


def chunks(file: BinaryIO, path: Path, header: Header, tensor: TensorInfo) -> Iterator[memoryview]:
    """Yield the bytes of one tensor in the order of its elements (row by row, little endian), up to `CHUNK` at a time.

    `file` is `path`, opened for binary reading. A view is valid until the next one is requested, and ends between two
    numbers. For a tensor with strides, its whole span is in memory too, a quarter more than the tensor itself at most.
    Raises IntegrityError if the file has become shorter, NotFoundError and DiskError.
    """
    start = header.data_start + tensor.start
    try:
        if tensor.strides is None:
            yield from _contiguous_chunks(file, path, start, tensor.end - tensor.start)
        else:
            yield from _strided_chunks(file, path, start, DTYPE_BYTES[tensor.dtype], tensor.shape, tensor.strides)
    except OSError as error:
        raise disk_error(path, error) from error


def _contiguous_chunks(file: BinaryIO, path: Path, start: int, length: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(CHUNK, length)))
    for done in range(0, length, CHUNK):
        view = buffer[: length - done]
        _read_into(file, path, start + done, view)
        yield view


def _read_into(file: BinaryIO, path: Path, start: int, view: memoryview) -> None:
    file.seek(start)
    while view:
        count = file.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise IntegrityError(
                msg("{file} has become shorter while it was being read.", code="file-shortened", file=path.name)
            )
        view = view[count:]


def _strided_chunks(
    file: BinaryIO, path: Path, start: int, item: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Iterator[memoryview]:
    """Yield the bytes as `chunks`, for elements of `item` bytes, the first at `start`; shape and strides in elements.

    A tensor with wide gaps is read part by part, so that those stay on the disk.
    """
    import numpy

    span = item * (1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)))
    length = item * math.prod(shape)
    if span > max(CHUNK, length + length // 4):
        for index in range(shape[0]):
            yield from _strided_chunks(file, path, start + index * strides[0] * item, item, shape[1:], strides[1:])
        return
    memory = bytearray(span)
    _read_into(file, path, start, memoryview(memory))
    elements = numpy.frombuffer(memory, f"u{item}")
    yield from _array_chunks(numpy.lib.stride_tricks.as_strided(elements, shape, [stride * item for stride in strides]))


def _array_chunks(array: Array) -> Iterator[memoryview]:
    """Yield the bytes of `array`, row after row; it is copied in pieces of at most `CHUNK`."""
    import numpy

    if array.nbytes <= CHUNK:
        yield numpy.ascontiguousarray(array).reshape(-1).view("u1").data
        return
    rows = CHUNK // array[0].nbytes
    if not rows:
        for row in array:
            yield from _array_chunks(row)
        return
    for first in range(0, len(array), rows):
        yield from _array_chunks(array[first : first + rows])


def find_nan(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Problem | None:
    """Read every weight of the VAE in `path` (of all tensors, without a known VAE); None if all are finite.

    Tensors beside the VAE are never loaded with it, and are not read. `report` receives the bytes done and in all after
    each chunk; setting `stop` ends the work within one, with Cancelled. Raises IntegrityError if the tensors cannot be
    read, NotFoundError and DiskError.
    """
    header = read_contents(path)
    tensors = _float_tensors(header)
    total = sum(tensor.end - tensor.start for tensor in tensors.values())
    done = 0
    try:
        with path.open("rb") as file:
            pieces = ((name, chunk) for name, tensor in tensors.items() for chunk in chunks(file, path, header, tensor))
            for name, chunk in pieces:
                if stop is not None and stop.is_set():
                    raise Cancelled(msg("Looking at the numbers of {file} was stopped.", file=path.name))
                if has_nan(chunk, tensors[name].dtype):
                    return nan_problem(path.name, name)
                done += len(chunk)
                if report is not None:
                    report(min(done, total), total)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def _float_tensors(header: Header) -> dict[str, TensorInfo]:
    """Return the tensors with floats of the VAE, or of its part of the file if its layout is unknown."""
    known, prefix = canonical(header.tensors), facts_of(header.tensors).prefix
    own = {source.name for source in known.tensors.values()} if known is not None else None
    return {
        name: tensor
        for name, tensor in header.tensors.items()
        if (name in own if own is not None else name.startswith(prefix)) and tensor.dtype in _NON_FINITE_BITS
    }


def has_nan(piece: memoryview, dtype: str) -> bool:
    """Return True if a number in these bytes is NaN, infinite, or too large for 32 bits; False for whole numbers."""
    import numpy

    if dtype not in _NON_FINITE_BITS:
        return False
    kind, bits = _NON_FINITE_BITS[dtype]
    numbers = numpy.frombuffer(piece, kind)
    if kind == "<u8":
        return bool(((numbers & FP64_MAGNITUDE_MASK) >= FP32_OVERFLOW_BITS).any())
    return bool(((numbers & bits) == bits).any())


def nan_problem(file: str, name: str) -> Problem:
    """Return the problem of a file whose tensor `name` has an invalid number."""
    return Problem(
        "nan",
        msg(
            "{file} is damaged: its tensor {name} holds NaN, infinite or far too large numbers. Get it again.",
            code="nan",
            file=file,
            name=printable_name(name),
        ),
    )


def find_unfilled(path: Path, header: Header) -> Problem | None:
    """Return the problem of a file in whose VAE a weight has a hole at a sampled place; None without one.

    Only samples are read, and the whole of a weight with a sample of zeros. Raises DiskError.
    """
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would read 8 kB for each sample
            for info in _convolution_weights(header):
                if _is_sample_zero(file, header, info) and _has_hole(file, path, header, info):
                    return unfinished_problem(path.name)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def find_hole(path: Path, header: Header) -> Problem | None:
    """Return the problem of a file in whose VAE a weight has a long run of zeros anywhere; each weight is read.

    Raises DiskError, and IntegrityError if the file has become shorter.
    """
    try:
        with path.open("rb") as file:
            holes = (info for info in _convolution_weights(header) if _has_hole(file, path, header, info))
            return unfinished_problem(path.name) if next(holes, None) is not None else None
    except OSError as error:
        raise disk_error(path, error) from error


def companion_of(path: Path) -> Path | None:
    """Return the file that a download program keeps beside `path` until the download is complete."""
    # os.path: a name that is too long with the ending is no error.
    return next((Path(other) for ending in COMPANIONS if os.path.isfile(other := f"{path}{ending}")), None)  # noqa: PTH113


def unfinished_problem(name: str) -> Problem:
    """Return the problem of a file that is not whole."""
    message = msg(
        "{file} is not whole: a long part of its weights is zeros, as in no trained VAE. Get it again, or from another "
        "place if it was published so.",
        file=name,
    )
    return Problem("unfinished", message)


def _convolution_weights(header: Header) -> Iterator[TensorInfo]:
    """Return the weights of convolutions of the VAE, in the order of the file; an attention's count in any form."""
    found = renamed_vae(header.tensors)
    sources = found.tensors.values() if found is not None else ()
    weights = [header.tensors[one.name] for one in sources if len(one.shape) >= MIN_AXES]
    return iter(sorted((info for info in weights if _tensor_bytes(info) >= SAMPLE_BYTES), key=lambda info: info.start))


def _tensor_bytes(info: TensorInfo) -> int:
    """Return the bytes of all elements; one that represents many in the file counts as often."""
    return DTYPE_BYTES[info.dtype] * math.prod(info.shape)


def _is_sample_zero(file: BinaryIO, header: Header, info: TensorInfo) -> bool:
    if info.strides is not None:
        return True  # its elements are scattered: it is read whole
    size = info.end - info.start
    places = [info.start, info.end - SAMPLE_BYTES]
    if size >= LARGE_BYTES:
        places.insert(1, info.start + size // 2)
    return any(_is_zero(file, header.data_start + place) for place in places)


def _is_zero(file: BinaryIO, place: int) -> bool:
    file.seek(place)
    return not any(file.read(SAMPLE_BYTES))


def _has_hole(file: BinaryIO, path: Path, header: Header, info: TensorInfo) -> bool:
    hole = bytes(min(HOLE_BYTES, _tensor_bytes(info)))
    return any(hole in piece.tobytes() for piece in chunks(file, path, header, info))


def fingerprints(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Fingerprints:
    """Return the fingerprints of the VAE in `path`: a VAE file of any layout, or a whole checkpoint.

    They cover exactly the WebUI's name, the dtype, the shape and the bytes of each tensor: not the names in the file,
    their order, the container, metadata, or other tensors than the VAE's. fp16 and fp32 of the same VAE are different
    weights, since rounding loses information.

    Each byte of the VAE is read once, the rest of the file not at all.

    Args:
        path: The file.
        report: Receives the bytes done and in all.
        stop: Ends the work within a chunk.

    Raises:
        NotFoundError: There is no VAE in the file, or no file.
        IntegrityError: The file is incomplete.
        FileChangedError: The file changed meanwhile.
        DiskError: The file cannot be read.
        Cancelled: `stop` was set.
    """
    try:
        before = Identity.of(path, path.stat())
        header = read_contents(path)
        renamed = canonical(header.tensors)
        if renamed is None:
            raise NotFoundError(msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=path.name))
        digests = _digests(path, header, renamed.tensors, report, stop)
        if Identity.of(path, path.stat()) != before:
            raise FileChangedError(msg("{file} was changed while it was being read. Try again.", file=path.name))
    except OSError as error:
        raise disk_error(path, error) from error
    encoder = {name: line for name, line in digests.items() if name.startswith(("encoder.", "quant_conv."))}
    has_encoder = "encoder.conv_in.weight" in digests
    return Fingerprints(_combined_digest(digests), _combined_digest(encoder) if has_encoder else None)


def _digests(
    path: Path,
    header: Header,
    tensors: Mapping[str, Source],
    report: Callable[[int, int], None] | None,
    stop: threading.Event | None,
) -> dict[str, str]:
    """Return the SHA-256 of each tensor's name, dtype, shape and bytes, read in the order of the file."""
    total = sum(header.tensors[source.name].end - header.tensors[source.name].start for source in tensors.values())
    done = 0
    found = {}
    with path.open("rb", buffering=0) as file:
        for name, source in sorted(tensors.items(), key=lambda item: header.tensors[item[1].name].start):
            digest = hashlib.sha256()
            for piece in chunks(file, path, header, header.tensors[source.name]):
                if stop is not None and stop.is_set():
                    raise Cancelled(msg("Reading {file} was stopped.", file=path.name))
                digest.update(piece)
                done += len(piece)
                if report is not None:
                    report(done, total)
            shape = ",".join(map(str, source.shape))
            found[name] = f"{name} {source.dtype} [{shape}] {digest.hexdigest()}\n"
    return found


def _combined_digest(lines: Mapping[str, str]) -> str:
    return hashlib.sha256("".join(lines[name] for name in sorted(lines)).encode()).hexdigest()
