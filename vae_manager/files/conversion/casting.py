"""Numbers of one kind turned into another, exactly as torch does it on a CPU.

To nearest, ties to even, subnormal numbers too; fp64 goes by way of fp32, as there. numpy is imported when it is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from ...errors import BrokenFileError, RefusedError
from ...sentences import say
from ..headers import DTYPE_BYTES
from ..weight_checks import nan_problem

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["cast"]

_LIMITS: Final = {"F32": 2.0**128 - 2.0**104, "F16": 65504.0, "BF16": 2.0**128 - 2.0**120}
"""The largest number of each kind."""
_WORDS: Final = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}


def cast(
    pieces: Iterable[memoryview], before: str, after: str, *, file: str = "", tensor: str = ""
) -> Iterator[memoryview]:
    """The bytes of a tensor of dtype `before` (F64, F32, F16 or BF16) as those of dtype `after` (not F64).

    `file` and `tensor` are what sentences name. Raises BrokenFileError where a number is NaN or infinite; RefusedError,
    after the last piece, where one would become infinite. A view is good until the next one is asked for.
    """
    import numpy as np

    largest = 0.0
    with np.errstate(over="ignore", under="ignore"):
        for piece in _whole(pieces, DTYPE_BYTES[before]):
            numbers = _numbers(piece, before)
            most = float(np.abs(numbers).max())
            if not math.isfinite(most):
                problem = nan_problem(file, tensor)
                raise BrokenFileError(problem.sentence, problem.code)
            largest = max(largest, most)
            yield _packed(numbers, after).data.cast("B")
        if not _is_finite(_packed(np.array([largest]), after), after):  # rounding keeps the order
            raise RefusedError(
                say(
                    "{file} does not fit into {dtype}: the largest number of its tensor {name} is {largest}, and "
                    "{dtype} ends at {limit}. Nothing was written.",
                    file=file,
                    dtype=_WORDS[after],
                    name=tensor,
                    largest=f"{largest:.6g}",
                    limit=f"{_LIMITS[after]:.6g}",
                )
            )


def _whole(pieces: Iterable[memoryview], width: int) -> Iterator[memoryview]:
    """The same bytes, cut only between numbers of `width` bytes."""
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
    """The upper half of the bits, one more where the lower half is more than half of one, or half and it is odd."""
    import numpy as np

    bits = single.view("<u4")
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    upper: Array = (bits + odd + np.uint32(0x7FFF)) >> np.uint32(16)
    return upper.astype("<u2")


def _is_finite(packed: Array, dtype: str) -> bool:
    return bool(abs(float(_numbers(packed.data.cast("B"), dtype)[0])) < math.inf)
