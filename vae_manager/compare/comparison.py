"""Comparison of VAEs: decoding one latent with each of them, and the result.

A latent to a picture, by weights that are lent to the model for that time.

Where the memory does not suffice, in tiles. Each pixel of a whole decode depends on all of the latent (the attention
in the middle, the means of every GroupNorm), so tiles give another picture: nearly the same, and called approximate.
How near cannot be known without the whole one; what is told is the largest error on a part that was decoded both ways,
with tiles of half the size, which is no less than what the larger tiles do there.

One latent, several VAEs, one picture after the other; the VAE in the model is the same afterwards, and proven to be.

The proof is a checksum of every tensor in the module, before and after: it reads each byte twice, some 20 ms a time for
the 335 MB of an SD 1.x VAE in a PC's memory (`swap.weights.checksums`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import Cancelled, IntegrityError, OutOfMemoryError, VaeManagerError
from ..messages import Message, msg
from ..swap.swapper import is_out_of_memory
from ..swap.weights import checksums, named_tensors, temporary_weights
from .comparison_store import Candidate, Decoded, Encoder, Model, Step

if TYPE_CHECKING:
    import torch

    from ..swap.weights import Tensors

    Decode = Callable[[torch.Tensor], torch.Tensor]
    from .comparison_store import Pixels

    Report = Callable[[Step], None]

__all__ = ["Picture", "decode_all", "decoded", "encoded", "in_tiles", "largest_error", "to_pixels", "unchanged"]


TILES: Final = (96, 64, 48, 32, 24, 16)
"""Sides that are tried, in pixels of the latent: 768 to 128 of the picture."""
OVERLAP: Final = 8
"""Pixels of the latent that two neighbours share: 64 of the picture, over which one passes into the other."""
LEVELS: Final = 127.5
"""Levels of a picture's 255 in one unit of -1 … 1."""


class Picture(NamedTuple):
    tensor: torch.Tensor
    """[3, height, width], of about -1 … 1, on the CPU, as the decoder gave it."""
    note: Message | None
    """How it is less than what was asked for."""


def decoded(model: Model, tensors: Tensors | None, latent: torch.Tensor, dtype: torch.dtype) -> Picture:
    """The picture of `latent` ([1, channels, h, w]) by `tensors` (None: what is in the module), which are of `dtype`.

    The module has its own weights again afterwards, whatever raises. Raises OutOfMemoryError where even the smallest
    tiles are too large.
    """
    import torch

    def decode(part: torch.Tensor) -> torch.Tensor:
        return model.decode(part.to(model.device, dtype if model.casts else None))[0].to("cpu")

    with torch.no_grad(), _lending(model, tensors):
        try:
            return Picture(decode(latent), None)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        return _by_tiles(decode, latent, model.wraps)


def encoded(model: Model, tensors: Tensors | None, picture: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The latent of `picture` ([1, 3, height, width], -1 … 1), on the CPU. As `decoded`, but never in tiles."""
    import torch

    with torch.no_grad(), _lending(model, tensors):
        try:
            return model.encode(picture.to(model.device).to(dtype)).to("cpu")
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
    _give_back()
    raise OutOfMemoryError(msg("There is not enough memory to encode this picture. Take a smaller one."))


def _lending(model: Model, tensors: Tensors | None) -> AbstractContextManager[None]:
    return temporary_weights(named_tensors(model.module), tensors) if tensors is not None else nullcontext()


def _give_back() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# -- tiles -----------------------------------------------------------------------------------------------------------
def _by_tiles(decode: Decode, latent: torch.Tensor, wraps: bool) -> Picture:
    for side in TILES:
        if side >= max(latent.shape[2:]):
            continue
        _give_back()
        try:
            picture, error = in_tiles(decode, latent, side, wraps), largest_error(decode, latent, side)
        except (MemoryError, RuntimeError) as raised:
            if not is_out_of_memory(raised):
                raise
            continue
        return Picture(
            picture,
            msg(
                "Approximate: decoded in tiles, since the memory does not suffice for the whole. Largest error {error} "
                "of 255, measured on its middle, decoded whole and in tiles of half the size.",
                error=error,
            ),
        )
    _give_back()
    raise OutOfMemoryError(msg("There is not enough memory to decode this picture, not even in tiles."))


def in_tiles(decode: Decode, latent: torch.Tensor, side: int, wraps: bool = False) -> torch.Tensor:
    """[3, 8 h, 8 w] of a latent [1, channels, h, w], in tiles of `side` at most that pass into each other.

    With `wraps` the opposite edges of the picture are neighbours too.
    """
    import torch

    if wraps:
        latent = torch.nn.functional.pad(latent, (OVERLAP,) * 4, mode="circular")
    height, width = latent.shape[2:]
    total = weight = torch.zeros(0)
    factor = 0
    for top in _starts(height, side):
        for left in _starts(width, side):
            part = decode(latent[:, :, top : top + side, left : left + side])
            if not factor:
                factor = part.shape[1] // min(side, height)
                total = torch.zeros(3, height * factor, width * factor)
                weight = torch.zeros(height * factor, width * factor)
            _, high, wide = part.shape
            rows, columns = slice(top * factor, top * factor + high), slice(left * factor, left * factor + wide)
            down, across = _share(high, top, height - side, factor), _share(wide, left, width - side, factor)
            share = down[:, None] * across
            total[:, rows, columns] += share * part.float()
            weight[rows, columns] += share
    picture = total / weight
    edge = OVERLAP * factor if wraps else 0
    return picture[:, edge : picture.shape[1] - edge, edge : picture.shape[2] - edge]


def _starts(length: int, side: int) -> Sequence[int]:
    """Where tiles begin; the last one ends where the picture does."""
    return [*range(0, max(length - side, 0), side - OVERLAP), max(length - side, 0)]


def _share(length: int, start: int, last: int, factor: int) -> torch.Tensor:
    """How much each of a tile's pixels counts along one side: less and less towards an edge that has a neighbour."""
    import torch

    ramp = (torch.arange(OVERLAP * factor) + 0.5) / (OVERLAP * factor)
    share = torch.ones(length)
    if start > 0:
        share[: len(ramp)] *= ramp
    if start < last:
        share[-len(ramp) :] *= ramp.flip(0)
    return share


def largest_error(decode: Decode, latent: torch.Tensor, side: int) -> int:
    """Levels of 255, rounded up: what tiles of half of `side` do to the middle of the picture, `side` large."""
    top, left = (max(length - side, 0) // 2 for length in latent.shape[2:])
    middle = latent[:, :, top : top + side, left : left + side]
    whole, tiled = decode(middle).float(), in_tiles(decode, middle, max(side // 2, OVERLAP + 1))
    return math.ceil(float((whole.clamp(-1, 1) - tiled.clamp(-1, 1)).abs().max()) * LEVELS)


def decode_all(
    model: Model,
    source: torch.Tensor | Encoder,
    candidates: Sequence[Candidate],
    *,
    report: Report = lambda step: None,
    stop: Event | None = None,
) -> Generator[Decoded, None, None]:
    """What each candidate makes of `source`, a latent [1, channels, h, w] or a picture, as it comes.

    What fails for one of them is told in its `Decoded` and stops no other. Raises Cancelled between two of them where
    `stop` is set, IntegrityError where what is in the module is not what was, and OutOfMemoryError where the picture
    cannot be encoded for all of them.
    """
    with unchanged(model):
        shared = _shared_latent(model, source)
        for done, candidate in enumerate(candidates):
            if stop is not None and stop.is_set():
                raise Cancelled(msg("The comparison was stopped. The VAE in use is unchanged."))
            report(Step(done, len(candidates), candidate.vae))
            yield _decoded(model, source, shared, candidate)
        report(Step(len(candidates), len(candidates), ""))


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Raise IntegrityError where the module has other weights afterwards, even if what is done inside raises too."""
    before = checksums(named_tensors(model.module))
    try:
        yield
    finally:
        if checksums(named_tensors(model.module)) != before:
            raise IntegrityError(
                msg("The VAE in use is not what it was before the comparison. Choose it again, or load the checkpoint.")
            )


def to_pixels(picture: torch.Tensor) -> Pixels:
    """uint8 [height, width, 3] of a decoder's [3, height, width]: to the bit as AUTOMATIC1111's WebUI does it
    (processing.py:975), which cuts off where others round."""
    import numpy as np
    import torch

    unit = torch.clamp((picture.float() + 1.0) / 2.0, min=0.0, max=1.0)
    return (255.0 * np.moveaxis(unit.numpy(), 0, 2)).astype(np.uint8)


def to_tensor(picture: Pixels, factor: int) -> torch.Tensor:
    """[1, 3, height, width] of -1 … 1; its last row and column repeated until both sides are multiples of `factor`."""
    import torch

    tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = tensor.shape[2:]
    return torch.nn.functional.pad(tensor, (0, -width % factor, 0, -height % factor), mode="replicate")


def _shared_latent(model: Model, source: torch.Tensor | Encoder) -> torch.Tensor | None:
    """The latent that all decode; None where each makes its own."""
    if not isinstance(source, Encoder):
        return source
    if source.each:
        return None
    return encoded(model, None, to_tensor(source.picture, model.factor), _dtype(named_tensors(model.module)))


def _decoded(
    model: Model, source: torch.Tensor | Encoder, shared: torch.Tensor | None, candidate: Candidate
) -> Decoded:
    started = time.perf_counter()

    def failed(error: Message, *, nan: bool = False) -> Decoded:
        return Decoded(candidate.vae, None, time.perf_counter() - started, nan=nan, error=error)

    try:
        tensors = candidate.weights()
        started = time.perf_counter()
        with _memory(model.device) as memory:
            picture, note, nan = _picture(model, source, shared, tensors)
    except VaeManagerError as error:
        return failed(error.message)
    except RuntimeError as error:  # of torch
        reason = f"{type(error).__name__}: {error}"[:300]
        return failed(msg("This VAE cannot decode the picture ({error}).", error=reason))
    seconds = time.perf_counter() - started
    if not bool(picture.isfinite().all()):
        return failed(msg("This VAE gave no picture (NaN)."), nan=True)
    pixels = to_pixels(picture)
    if isinstance(source, Encoder):
        pixels = pixels[: source.picture.shape[0], : source.picture.shape[1]]
    return Decoded(candidate.vae, pixels, seconds, memory.peak, nan, note)


def _picture(
    model: Model, source: torch.Tensor | Encoder, shared: torch.Tensor | None, tensors: Tensors | None
) -> tuple[torch.Tensor, Message | None, bool]:
    """The picture, what is to be said of it, and whether there was NaN at first.

    The host looks at the first number alone, and converts the weights that it has: so the same is done here.
    """
    dtype = _dtype(tensors if tensors is not None else named_tensors(model.module))

    def made(tensors: Tensors | None, dtype: torch.dtype) -> tuple[torch.Tensor, Message | None]:
        latent = shared
        if latent is None:
            assert isinstance(source, Encoder)
            latent = encoded(model, tensors, to_tensor(source.picture, model.factor), dtype)
        return decoded(model, tensors, latent, dtype)

    picture, note = made(tensors, dtype)
    better = model.better
    if not bool(picture[0, 0, 0].isnan()) or better is None or better == dtype:
        return picture, note, False
    wider = {
        name: tensor.data.to(better) if tensor.is_floating_point() else tensor.data
        for name, tensor in (tensors if tensors is not None else named_tensors(model.module)).items()
    }
    picture, note = made(wider, better)
    return picture, note or msg("It gave no picture at first (NaN), and was decoded anew with more precision."), True


def _dtype(tensors: Tensors) -> torch.dtype:
    return next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point())


class _Memory:
    peak: int | None = None


@contextmanager
def _memory(device: torch.device) -> Iterator[_Memory]:
    """`peak`, afterwards: what was taken on top of what was in use, on a GPU of CUDA."""
    import torch

    memory = _Memory()
    if device.type != "cuda":
        yield memory
        return
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield memory
    memory.peak = torch.cuda.max_memory_allocated(device) - before
