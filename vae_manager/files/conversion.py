"""Conversion of a VAE file to a layout, container and precision that the host loads.

A conversion writes a VAE anew: under other names, out of a checkpoint, out of a pickle, with other numbers. `plan`
decides without a change on the disk; `convert` applies the plan. The original stays unchanged.

Numbers are converted exactly as torch does it on a CPU: to nearest, ties to even, subnormal numbers too; fp64 by way of
fp32. numpy is imported at the first use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Protocol

from .. import __version__
from ..catalogue.entry import safe_file_name
from ..errors import (
    BrokenFileError,
    Cancelled,
    DiskError,
    FileChangedError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from ..messages import Message, msg
from .disk import check_room, name_taken_error, partial_file, publish, sync, write_all, write_error
from .headers import DTYPE_BYTES, DTYPE_NAMES, Header, disk_error, read_header
from .inspection import inspect
from .layouts import Renamed, Source, canonical, diffusers_name, up_levels
from .pickle_values import printable_name
from .record import FileRecord, Identity, sha256_of
from .tensor_data import chunks, has_nan, nan_problem, read_contents

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "DTYPES",
    "SOURCE",
    "Converted",
    "Layout",
    "Plan",
    "Step",
    "cast",
    "convert",
    "described",
    "find_twin",
    "free_name",
    "plan",
]


Layout = Literal["ldm", "diffusers"]
"""The layouts of a result."""

DTYPES: Final[Mapping[str, str]] = MappingProxyType({DTYPE_NAMES[dtype]: dtype for dtype in ("F32", "F16", "BF16")})
"""Precisions of a result, and their names in a safetensors file."""

_CASTABLE: Final = frozenset({"F64", *DTYPES.values()})
_FLOATS: Final = _CASTABLE | {"F8_E5M2", "F8_E4M3"}

_SENTENCES: Final = MappingProxyType(
    {
        "from-checkpoint": msg("taken out of a checkpoint"),
        "prefix": msg("the prefix of all names taken away"),
        "from-diffusers": msg("names changed from diffusers to the WebUI's", code="names-changed"),
        "to-diffusers": msg("names changed from the WebUI's to diffusers"),
        "names": msg("some names changed to the usual ones"),
        "shapes": msg("shapes of some weights changed to the WebUI's"),
        "dropped": msg("what is no part of the VAE left out"),
        "safetensors": msg("a pickle turned into a safetensors file"),
        "fp32": msg("numbers changed to fp32"),
        "fp16": msg("numbers rounded to fp16"),
        "bf16": msg("numbers rounded to bf16"),
    }
)

_LIMITS: Final = {"F32": 2.0**128 - 2.0**104, "F16": 65504.0, "BF16": 2.0**128 - 2.0**120}
"""The largest number of each kind."""

SUFFIX: Final = ".safetensors"
DONE: Final = "vae_manager.done"
SOURCE: Final = "vae_manager.source_sha256"
"""Keys of the metadata: `Plan.done` separated by spaces, and the source's hash."""
_HEADER_ROOM: Final = 1_000_000
"""Bytes of the longest expected header, for the check of free disk space."""


@dataclass(frozen=True)
class Step:
    """One tensor of the result."""

    name: str
    dtype: str
    """A key of `DTYPE_BYTES`."""
    shape: tuple[int, ...]
    source: Source

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Plan:
    """A possible conversion."""

    steps: tuple[Step, ...]
    """In the order in which they are written: the widest numbers first, then by name."""
    done: tuple[str, ...]
    """Codes of the changes, for `described`."""
    source: Renamed

    @property
    def size(self) -> int:
        """Bytes of the result's tensors."""
        return sum(step.size for step in self.steps)


def plan(record: FileRecord, *, dtype: str | None = None, layout: Layout = "ldm") -> Plan:
    """Plan the conversion of a file's VAE to a safetensors file in `layout`, with numbers of `dtype` (None: unchanged).

    Raises RefusedError if there is no whole VAE in it, if its numbers are of a kind that cannot be converted, or if the
    result would not differ.
    """
    file = record.path.name
    found = canonical(record.tensors)
    if found is None:
        raise RefusedError(
            record.problem or msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=file)
        )
    if "encoder.conv_in.weight" not in found.tensors:
        raise RefusedError(msg("{file} has no encoder: it is not a whole VAE.", code="no-encoder", file=file))
    if "decoder.conv_in.weight" not in found.tensors:
        raise RefusedError(msg("{file} has no decoder: it is not a whole VAE.", code="no-decoder", file=file))
    levels = up_levels(found.tensors)
    steps = [_step(name, source, _dtype(file, source, dtype), layout, levels) for name, source in found.tensors.items()]
    done = tuple(_done(record, found, steps, layout, dtype))
    if not done:
        already = msg(
            "{file} is already what it would become. Nothing was written.", code="nothing-to-convert", file=file
        )
        raise RefusedError(record.problem or already)
    return Plan(tuple(sorted(steps, key=lambda step: (-DTYPE_BYTES[step.dtype], step.name))), done, found)


def _dtype(file: str, source: Source, wanted: str | None) -> str:
    own = source.dtype
    if wanted is None or own not in _FLOATS:
        return own
    if own not in _CASTABLE:
        raise RefusedError(
            msg(
                "{file} holds {dtype} numbers in its tensor {example}, which cannot be converted.",
                code="unknown-dtype",
                file=file,
                dtype=own,
                example=printable_name(source.name),
            )
        )
    return DTYPES[wanted]


def _step(name: str, source: Source, dtype: str, layout: Layout, levels: int) -> Step:
    if layout == "ldm":
        return Step(name, dtype, source.shape, source)
    theirs = diffusers_name(name, levels)
    assert theirs is not None, "the names of `canonical` are all known"
    shape = source.shape[:2] if ".attentions." in theirs else source.shape
    return Step(theirs, dtype, shape, source)


def _done(record: FileRecord, found: Renamed, steps: list[Step], layout: Layout, dtype: str | None) -> list[str]:
    """Return the codes of the steps' changes, most significant first."""
    done = []
    if found.layout == "checkpoint":
        done.append("from-checkpoint")
    elif found.prefix:
        done.append("prefix")
    if found.naming != layout:
        done.append("to-diffusers" if layout == "diffusers" else "from-diffusers")
    else:
        if any(found.prefix + step.name != step.source.name for step in steps):
            done.append("names")
        if any(step.shape != record.tensors[step.source.name].shape for step in steps):
            done.append("shapes")
    if found.dropped and found.layout != "checkpoint":
        done.append("dropped")
    if record.container != "safetensors":
        done.append("safetensors")
    if dtype is not None and any(step.dtype != step.source.dtype for step in steps):
        done.append(dtype)
    return done


def described(done: Iterable[str]) -> tuple[Message, ...]:
    """Return the messages for the codes of `Plan.done` or of a file's metadata; unknown ones are left out."""
    return tuple(_SENTENCES[word] for word in done if word in _SENTENCES)


def cast(
    pieces: Iterable[memoryview], before: str, after: str, *, file: str = "", tensor: str = ""
) -> Iterator[memoryview]:
    """Convert the bytes of a tensor of dtype `before` (F64, F32, F16 or BF16) to dtype `after` (not F64).

    `file` and `tensor` are names for messages. Raises BrokenFileError if a number is NaN or infinite; RefusedError,
    after the last piece, if one would become infinite. A view is valid until the next one is requested.
    """
    import numpy as np

    largest = 0.0
    with np.errstate(over="ignore", under="ignore"):
        for piece in _whole(pieces, DTYPE_BYTES[before]):
            numbers = _numbers(piece, before)
            most = float(np.abs(numbers).max())
            if not math.isfinite(most):
                problem = nan_problem(file, tensor)
                raise BrokenFileError(problem.message, problem.code)
            largest = max(largest, most)
            yield _packed(numbers, after).data.cast("B")
        if not _is_finite(_packed(np.array([largest]), after), after):  # rounding keeps the order
            raise RefusedError(
                msg(
                    "{file} does not fit into {dtype}: the largest number of its tensor {name} is {largest}, and "
                    "{dtype} ends at {limit}. Nothing was written.",
                    file=file,
                    dtype=DTYPE_NAMES[after],
                    name=tensor,
                    largest=f"{largest:.6g}",
                    limit=f"{_LIMITS[after]:.6g}",
                )
            )


def _whole(pieces: Iterable[memoryview], width: int) -> Iterator[memoryview]:
    """Yield the same bytes, cut only between numbers of `width` bytes."""
    rest = b""
    for piece in pieces:
        joined = memoryview(rest + bytes(piece)) if rest else piece
        end = len(joined) - len(joined) % width
        rest = bytes(joined[end:])
        if end:
            yield joined[:end]


def _numbers(piece: memoryview, dtype: str) -> Array:
    import numpy as np

    if dtype == "BF16":
        return (np.frombuffer(piece, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    return np.frombuffer(piece, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype])


def _packed(numbers: Array, dtype: str) -> Array:
    single = numbers.astype("<f4", copy=False)
    if dtype == "BF16":
        return _rounded_to_bf16(single)
    return single.astype({"F32": "<f4", "F16": "<f2"}[dtype], copy=False)


def _rounded_to_bf16(single: Array) -> Array:
    """Return the upper half of the bits, rounded to nearest with ties to even."""
    import numpy as np

    bits = single.view("<u4")
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    upper: Array = (bits + odd + np.uint32(0x7FFF)) >> np.uint32(16)
    return upper.astype("<u2")


def _is_finite(packed: Array, dtype: str) -> bool:
    return bool(abs(float(_numbers(packed.data.cast("B"), dtype)[0])) < math.inf)


class KnownHashes(Protocol):
    """A store of the SHA-256 of files."""

    def compute(
        self, path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None
    ) -> str:
        """Return the hash of `path`: a stored one, or a computed one, which is then stored."""


@dataclass(frozen=True)
class Converted:
    """The file that a conversion has made."""

    target: Path
    sha256: str
    size: int
    """Bytes."""
    done: tuple[str, ...]
    """As `Plan.done`."""


def convert(
    source: Path,
    target: Path,
    *,
    dtype: str | None = None,
    layout: Layout = "ldm",
    hashes: KnownHashes | None = None,
    report: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Converted:
    """Write the VAE in `source` as the new file `target`, in `layout` and with numbers of `dtype` (None: unchanged).

    The result depends only on the bytes and the name of the source. It is written piece by piece (no more than some
    megabytes of a tensor are in memory), read back and compared before it gets its name. After an exception no partial
    file is left.

    Args:
        source: The file with the VAE.
        target: The new file, a `.safetensors`.
        dtype: A key of `DTYPES`.
        layout: The names of the result's tensors.
        hashes: A store that may have the source's SHA-256.
        report: Receives the bytes done and in all: each is read, written, read back.
        stop: Ends the work within a piece.

    Raises:
        RefusedError: As for `plan`.
        IntegrityError: The source is damaged.
        NameTakenError: `target` exists.
        UsageError: `target` is no `.safetensors`.
        FileChangedError: The source changed meanwhile.
        NotFoundError: The source is missing.
        DiskError: The disk is full, or cannot be read or written.
        Cancelled: `stop` was set.
    """
    if not safe_file_name(target.name).endswith(SUFFIX):
        raise UsageError(
            msg(
                "{file} is no name for the result: it must end with .safetensors.",
                code="not-safetensors",
                file=target.name,
            )
        )
    if os.path.lexists(target):
        raise name_taken_error(target)
    before = _identity(source)
    planned = plan(inspect(source), dtype=dtype, layout=layout)
    header = read_contents(source)
    check_room(target.parent, planned.size + _HEADER_ROOM)
    course = _ProgressMeter(source.name, before.size + 2 * planned.size, report, stop)
    sha256 = _hash(source, hashes, course)
    try:
        with partial_file(target.parent) as (path, file):
            digests = _write(source, header, planned, sha256, file, course)
            sync(file.fileno())
            result = _read_back(path, planned.steps, digests, course)
            if _identity(source) != before:
                raise FileChangedError(msg("{file} was changed while it was being read. Try again.", file=source.name))
            size = file.tell()
            if sys.platform == "win32":  # an open file cannot be renamed there
                file.close()
            publish(path, target)
    except OSError as error:
        raise write_error(target.parent, error) from error
    return Converted(target, result, size, planned.done)


def free_name(folder: Path, source: Path, done: tuple[str, ...]) -> Path:
    """Return an unused name for the result in `folder`, from that of the source and the changes."""
    stem = source.name
    for suffix in (SUFFIX, ".ckpt", ".pt", ".pth", ".bin"):
        stem = stem.removesuffix(suffix)
    if "from-checkpoint" in done:
        stem += ".vae"
    stem += "".join(f"-{word}" for word in done if word in DTYPES)
    number = 1
    target = folder / f"{stem}{SUFFIX}"
    while os.path.lexists(target):
        number += 1
        target = folder / f"{stem}-{number}{SUFFIX}"
    return target


class _ProgressMeter:
    """The progress of the work, and its cancellation."""

    def __init__(
        self, name: str, total: int, report: Callable[[int, int], None] | None, stop: threading.Event | None
    ) -> None:
        self.stop = stop
        self._name = name
        self._total = total
        self._report = report
        self._done = 0

    def step(self, count: int) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Cancelled(msg("Converting {file} was stopped. Nothing was written.", file=self._name))
        self._done += count
        if self._report is not None:
            self._report(self._done, self._total)

    def reach(self, done: int) -> None:
        self.step(done - self._done)


def _hash(source: Path, hashes: KnownHashes | None, course: _ProgressMeter) -> str:
    if hashes is None:
        return sha256_of(source, report=course.reach, stop=course.stop)
    return hashes.compute(source, report=course.reach, stop=course.stop)


def _identity(path: Path) -> Identity:
    try:
        return Identity.of(path, path.stat())
    except OSError as error:
        raise disk_error(path, error) from error


# -- writing -------------------------------------------------------------------------------------------------------
def _metadata(source: Path, header: Header, planned: Plan, sha256: str) -> dict[str, str]:
    """Return the source's own metadata, with the origin of the result."""
    name = os.fsencode(source.name).decode("utf-8", "replace")  # a name need not be UTF-8, metadata must
    return {
        **header.metadata,
        "format": "pt",
        DONE: " ".join(planned.done),
        "vae_manager.source_layout": planned.source.layout,
        "vae_manager.source_name": name,
        SOURCE: sha256,
        "vae_manager.version": __version__,
    }


def _header(steps: tuple[Step, ...], metadata: Mapping[str, str]) -> bytes:
    """Return the length and the header of a safetensors file with the tensors of `steps` one after the other.

    The header is padded so that the tensors begin at a multiple of eight: then each is aligned for its numbers.
    """
    described: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    at = 0
    for step in steps:
        offsets = [at, at + step.size]
        described[step.name] = {"dtype": step.dtype, "shape": list(step.shape), "data_offsets": offsets}
        at += step.size
    raw = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _write(
    source: Path, header: Header, planned: Plan, sha256: str, target: FileIO, course: _ProgressMeter
) -> list[str]:
    """Write the result. Return the SHA-256 of each step's tensor as read from the source."""
    write_all(target, memoryview(_header(planned.steps, _metadata(source, header, planned, sha256))))
    digests = []
    can_look = importlib.util.find_spec("numpy") is not None  # each WebUI has it
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise disk_error(source, error) from error
    with file:
        for step in planned.steps:
            digest = hashlib.sha256()
            # The conversion of a number checks it before.
            is_looked_at = can_look and header.tensors[step.source.name].dtype == step.dtype
            for piece in pieces_of(file, source, header, step):
                if is_looked_at and has_nan(piece, step.dtype):
                    problem = nan_problem(source.name, step.source.name)
                    raise BrokenFileError(problem.message, problem.code)
                write_all(target, piece)
                digest.update(piece)
                course.step(len(piece))
            digests.append(digest.hexdigest())
    return digests


def pieces_of(file: BinaryIO, source: Path, header: Header, step: Step) -> Iterator[memoryview]:
    """Yield the bytes of one tensor of the result."""
    info = header.tensors[step.source.name]
    pieces = chunks(file, source, header, info)
    if info.dtype == step.dtype:
        return pieces
    return cast(pieces, info.dtype, step.dtype, file=source.name, tensor=step.source.name)


# -- reading back --------------------------------------------------------------------------------------------------
def _read_back(path: Path, steps: tuple[Step, ...], digests: list[str], course: _ProgressMeter) -> str:
    """Compare the bytes on the disk with those of the source. Return the SHA-256 of the whole file."""
    header = read_contents(path)
    whole = hashlib.sha256()
    with FileIO(path, "rb") as file:
        if hasattr(os, "posix_fadvise"):  # from the disk, not from memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        whole.update(file.read(header.data_start))
        same = list(header.tensors) == [step.name for step in steps]
        for step, expected, found in zip(steps, digests, header.tensors.values(), strict=False):
            digest = hashlib.sha256()
            for piece in chunks(file, path, header, found):
                digest.update(piece)
                whole.update(piece)
                course.step(len(piece))
            same &= (found.dtype, found.shape, digest.hexdigest()) == (step.dtype, step.shape, expected)
    if not same:
        raise IntegrityError(
            msg(
                "The disk of {folder} gave back other bytes than were written. Nothing was kept.",
                code="disk-gave-other-bytes",
                folder=path.parent,
            )
        )
    return whole.hexdigest()


def find_twin(
    source: Path,
    planned: Plan,
    candidates: Iterable[Path],
    hashes: KnownHashes,
    *,
    report: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Path | None:
    """Return the candidate with exactly the result of converting `source` by `planned`; None if there is no match.

    A candidate's metadata has the source's SHA-256 and the changes; then each of its tensors is compared, since a file
    can be damaged or exchanged under its metadata. Raises NotFoundError and DiskError for the source, and Cancelled.
    """
    named = [path for path in candidates if _metadata_of(path).get(DONE) == " ".join(planned.done)]
    if not named:
        return None
    sha256 = hashes.compute(source, stop=stop)
    header = read_contents(source)
    for path in named:
        if _metadata_of(path).get(SOURCE) != sha256:
            continue
        try:
            if _is_result(source, header, planned, path, report, stop):
                return path
        except (IntegrityError, NotFoundError):
            continue
    return None


def _metadata_of(path: Path) -> dict[str, str]:
    if not path.is_file():  # opening a pipe blocks until it has a writer
        return {}
    try:
        return dict(read_header(path).metadata) if path.suffix == ".safetensors" else {}
    except (IntegrityError, NotFoundError, DiskError):
        return {}


def _is_result(
    source: Path,
    header: Header,
    planned: Plan,
    path: Path,
    report: Callable[[int, int], None] | None,
    stop: threading.Event | None,
) -> bool:
    result, done = read_contents(path), 0
    if list(result.tensors) != [step.name for step in planned.steps]:
        return False
    try:
        with source.open("rb", buffering=0) as ours, path.open("rb", buffering=0) as theirs:
            for step in planned.steps:
                found = result.tensors[step.name]
                if (found.dtype, found.shape) != (step.dtype, step.shape):
                    return False
                if stop is not None and stop.is_set():
                    raise Cancelled(msg("Converting {file} was stopped. Nothing was written.", file=source.name))
                if _digest(pieces_of(ours, source, header, step)) != _digest(chunks(theirs, path, result, found)):
                    return False
                done += step.size
                if report is not None:
                    report(done, planned.size)
    except OSError as error:
        raise disk_error(path, error) from error
    return True


def _digest(pieces: Iterable[memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:  # the two sides come in pieces of different sizes
        digest.update(piece)
    return digest.digest()
