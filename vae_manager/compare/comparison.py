"""Comparison of VAEs: decoding one latent with each of them, and the result.

A comparison decodes one latent with several VAEs, one after the other, by weights that the model borrows for that time.
Afterwards the model has its own VAE again, and a checksum of every tensor in the module, before and after, proves it.
The checksum reads each byte twice, some 20 ms a time for the 335 MB of an SD 1.x VAE in a PC's memory
(`swap.weights.checksums`).

If the memory does not suffice, the latent is decoded in tiles. Each pixel of a whole decode depends on all of the
latent (the attention in the middle, the means of every GroupNorm), so tiles give a nearly equal picture, which is
marked as approximate. Its error cannot be measured without the whole picture. The reported error is the largest one on
a part that was decoded both ways, with tiles of half the size, which err at least as much as the larger tiles.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import Cancelled, IntegrityError, OutOfMemoryError, VaeManagerError
from ..messages import Message, msg
from ..swap.swapper import is_out_of_memory
from ..swap.weights import checksums, named_tensors, temporary_weights
from .comparison_store import Candidate, ComparisonStep, Decoded, Encoder, Model

if TYPE_CHECKING:
    import torch

    from ..swap.weights import Tensors

    Decode = Callable[[torch.Tensor], torch.Tensor]
    from .comparison_store import FirstLook, Pixels

    Report = Callable[[ComparisonStep], None]
    Look = Callable[[FirstLook], None]

__all__ = ["Picture", "decode_all", "decoded", "encoded", "in_tiles", "largest_error", "to_pixels", "unchanged"]


TILES: Final = (96, 64, 48, 32, 24, 16)
"""Sides of tiles in pixels of the latent, largest first: 768 to 128 pixels of the picture."""
OVERLAP: Final = 8
"""Pixels of the latent that two neighbours share: 64 of the picture, over which they are blended."""
WORTH_S: Final = 8.0
"""Expected seconds of all whole decodes from which on first looks are worth the second reading of each file."""
LEVELS: Final = 127.5
"""Levels of a picture's 255 in one unit of -1 … 1."""


class Picture(NamedTuple):
    """A decoded picture, with a note if it falls short of the request."""

    tensor: torch.Tensor
    """[3, height, width], of about -1 … 1, on the CPU, unchanged from the decoder."""
    note: Message | None
    """The way in which the picture falls short of the request."""


def decoded(model: Model, tensors: Tensors | None, latent: torch.Tensor, dtype: torch.dtype) -> Picture:
    """Return the picture of `latent` ([1, channels, h, w]) by `tensors` of `dtype` (None: those in the module).

    The module has its own weights again afterwards, even after an exception. Raises OutOfMemoryError if even the
    smallest tiles are too large.
    """
    import torch

    decode = _decoder(model, dtype)
    with torch.no_grad(), _lending(model, tensors, dtype):
        try:
            return Picture(decode(latent), None)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        return _by_tiles(decode, latent, model.wraps)


def _decoder(model: Model, dtype: torch.dtype) -> Decode:
    def decode(latent: torch.Tensor) -> torch.Tensor:
        return model.decode(latent.to(model.device, dtype if model.casts else None))[0].to("cpu")

    return decode


def encoded(model: Model, tensors: Tensors | None, picture: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the latent of `picture` ([1, 3, height, width], -1 … 1), on the CPU. As `decoded`, but never in tiles."""
    import torch

    with torch.no_grad(), _lending(model, tensors, dtype):
        try:
            return model.encode(picture.to(model.device).to(dtype)).to("cpu")
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
    _give_back()
    raise OutOfMemoryError(
        msg("There is not enough memory to encode this picture. Take a smaller one.", code="out-of-memory")
    )


@contextmanager
def _lending(model: Model, tensors: Tensors | None, dtype: torch.dtype) -> Iterator[None]:
    if tensors is None:
        yield
        return
    with temporary_weights(named_tensors(model.module), tensors), model.running_in(dtype):
        yield


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
                code="tiled",
                error=error,
            ),
        )
    _give_back()
    raise OutOfMemoryError(
        msg("There is not enough memory to decode this picture, not even in tiles.", code="not-even-in-tiles")
    )


def in_tiles(decode: Decode, latent: torch.Tensor, side: int, wraps: bool = False) -> torch.Tensor:
    """Return [3, 8 h, 8 w] of a latent [1, channels, h, w], decoded in blended tiles of `side` at most.

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
    """Return the start of each tile; the last one ends at the end of the picture."""
    return [*range(0, max(length - side, 0), side - OVERLAP), max(length - side, 0)]


def _share(length: int, start: int, last: int, factor: int) -> torch.Tensor:
    """Return the weight of each of a tile's pixels along one side, which falls towards an edge that has a neighbour."""
    import torch

    ramp = (torch.arange(OVERLAP * factor) + 0.5) / (OVERLAP * factor)
    share = torch.ones(length)
    if start > 0:
        share[: len(ramp)] *= ramp
    if start < last:
        share[-len(ramp) :] *= ramp.flip(0)
    return share


def largest_error(decode: Decode, latent: torch.Tensor, side: int) -> int:
    """Return the error in levels of 255, rounded up, of tiles of half of `side` on the middle part of that side."""
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
    look: Look | None = None,
    until_good: bool = False,
    stop: Event | None = None,
) -> Generator[Decoded, None, None]:
    """Yield the decoded picture of each candidate for `source`, a latent [1, channels, h, w] or a picture.

    The failure of one candidate is recorded in its `Decoded` and does not stop the others. With `look`, each decodes
    the part with the most detail first, if the whole takes much longer. With `until_good`, the first picture of more
    than one colour is the last one.

    Raises:
        Cancelled: `stop` was set, between two candidates.
        IntegrityError: The module does not have its previous weights afterwards.
        OutOfMemoryError: The picture cannot be encoded for all of them.
    """
    with unchanged(model):
        shared = _shared_latent(model, source)
        if look is not None and shared is not None:
            _look(model, shared, candidates, look, stop)
        for done, candidate in enumerate(candidates):
            _check(stop)
            report(ComparisonStep(done, len(candidates), candidate.vae))
            decoded = _decoded(model, source, shared, candidate)
            yield decoded
            if until_good and decoded.pixels is not None and decoded.pixels.min() != decoded.pixels.max():
                break
        report(ComparisonStep(len(candidates), len(candidates), ""))


def _check(stop: Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Cancelled(msg("The comparison was stopped. The VAE in use is unchanged.", code="comparison-stopped"))


def _look(model: Model, latent: torch.Tensor, candidates: Sequence[Candidate], look: Look, stop: Event | None) -> None:
    """Give `look` the first look of each candidate; end after the first if the whole pictures take little longer."""
    import torch

    from .first_look import look_at, part_of

    part = part_of(latent)
    if part is None:
        return
    for candidate in candidates:
        _check(stop)
        try:
            tensors = candidate.weights()
            dtype = _dtype(tensors if tensors is not None else named_tensors(model.module))
            with torch.no_grad(), _lending(model, tensors, dtype):
                seen = look_at(candidate.vae, _decoder(model, dtype), latent, part)
        except (VaeManagerError, RuntimeError, MemoryError):  # the whole decode fails likewise, and its error is shown
            continue
        if seen is None:
            continue
        look(seen)
        if seen.seconds * part.gain(latent) * len(candidates) < WORTH_S:
            return


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Raise IntegrityError if the module has other weights afterwards, even if the body raises too."""
    before = checksums(named_tensors(model.module))
    try:
        yield
    finally:
        if checksums(named_tensors(model.module)) != before:
            raise IntegrityError(
                msg(
                    "The VAE in use is not what it was before the comparison. Choose it again, or load the checkpoint.",
                    code="vae-not-restored",
                )
            )


def to_pixels(picture: torch.Tensor) -> Pixels:
    """Return uint8 [height, width, 3] of a decoder's [3, height, width].

    The result equals that of AUTOMATIC1111's WebUI bit for bit (processing.py:975), which truncates instead of
    rounding.
    """
    import numpy as np
    import torch

    unit = torch.clamp((picture.float() + 1.0) / 2.0, min=0.0, max=1.0)
    return (255.0 * np.moveaxis(unit.numpy(), 0, 2)).astype(np.uint8)


def to_tensor(picture: Pixels, factor: int) -> torch.Tensor:
    """Return [1, 3, height, width] of -1 … 1, padded to sides that are multiples of `factor`.

    The padding repeats the last row and column.
    """
    import torch

    tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = tensor.shape[2:]
    return torch.nn.functional.pad(tensor, (0, -width % factor, 0, -height % factor), mode="replicate")


def _shared_latent(model: Model, source: torch.Tensor | Encoder) -> torch.Tensor | None:
    """Return the latent that all decode; None if each encodes its own."""
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
        return failed(msg("This VAE cannot decode the picture ({error}).", code="cannot-decode", error=reason))
    seconds = time.perf_counter() - started
    if not bool(picture.isfinite().all()):
        return failed(msg("This VAE gave no picture (NaN).", code="no-picture"), nan=True)
    pixels = to_pixels(picture)
    if isinstance(source, Encoder):
        pixels = pixels[: source.picture.shape[0], : source.picture.shape[1]]
    return Decoded(candidate.vae, pixels, seconds, memory.peak, nan, note)


def _picture(
    model: Model, source: torch.Tensor | Encoder, shared: torch.Tensor | None, tensors: Tensors | None
) -> tuple[torch.Tensor, Message | None, bool]:
    """Return the picture, its note, and True if the first decode gave NaN.

    The host tests only the first number and converts its own weights; this function does the same.
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
    """Yield a record whose `peak` is, afterwards, the CUDA memory in bytes taken on top of what was in use."""
    import torch

    memory = _Memory()
    if device.type != "cuda":
        yield memory
        return
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield memory
    memory.peak = torch.cuda.max_memory_allocated(device) - before
