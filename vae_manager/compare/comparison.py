"""One latent, several VAEs, one picture after the other; the VAE in the model is the same afterwards, and proven to be.

The proof is a checksum of every tensor in the module, before and after: it reads each byte twice, some 20 ms a time for
the 335 MB of an SD 1.x VAE in a PC's memory (`swap.weights.checksums`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from ..errors import Cancelled, IntegrityError, VaeManagerError
from ..sentences import Sentence, say
from ..swap.weights import checksums, places
from .comparison_values import Candidate, Decoded, Encoder, Model, Step
from .decoding import decoded, encoded

if TYPE_CHECKING:
    import torch

    from ..swap.weights import Tensors
    from .comparison_values import Pixels

    Report = Callable[[Step], None]

__all__ = ["decode_all", "to_pixels", "unchanged"]


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
                raise Cancelled(say("The comparison was stopped. The VAE in use is unchanged."))
            report(Step(done, len(candidates), candidate.vae))
            yield _decoded(model, source, shared, candidate)
        report(Step(len(candidates), len(candidates), ""))


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Raise IntegrityError where the module has other weights afterwards, even if what is done inside raises too."""
    before = checksums(places(model.module))
    try:
        yield
    finally:
        if checksums(places(model.module)) != before:
            raise IntegrityError(
                say("The VAE in use is not what it was before the comparison. Choose it again, or load the checkpoint.")
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
    return encoded(model, None, to_tensor(source.picture, model.factor), _dtype(places(model.module)))


def _decoded(
    model: Model, source: torch.Tensor | Encoder, shared: torch.Tensor | None, candidate: Candidate
) -> Decoded:
    started = time.perf_counter()

    def failed(error: Sentence, *, nan: bool = False) -> Decoded:
        return Decoded(candidate.vae, None, time.perf_counter() - started, nan=nan, error=error)

    try:
        tensors = candidate.weights()
        started = time.perf_counter()
        with _memory(model.device) as memory:
            picture, note, nan = _picture(model, source, shared, tensors)
    except VaeManagerError as error:
        return failed(error.sentence)
    except RuntimeError as error:  # of torch
        reason = f"{type(error).__name__}: {error}"[:300]
        return failed(say("This VAE cannot decode the picture ({error}).", error=reason))
    seconds = time.perf_counter() - started
    if not bool(picture.isfinite().all()):
        return failed(say("This VAE gave no picture (NaN)."), nan=True)
    pixels = to_pixels(picture)
    if isinstance(source, Encoder):
        pixels = pixels[: source.picture.shape[0], : source.picture.shape[1]]
    return Decoded(candidate.vae, pixels, seconds, memory.peak, nan, note)


def _picture(
    model: Model, source: torch.Tensor | Encoder, shared: torch.Tensor | None, tensors: Tensors | None
) -> tuple[torch.Tensor, Sentence | None, bool]:
    """The picture, what is to be said of it, and whether there was NaN at first.

    The host looks at the first number alone, and converts the weights that it has: so the same is done here.
    """
    dtype = _dtype(tensors if tensors is not None else places(model.module))

    def made(tensors: Tensors | None, dtype: torch.dtype) -> tuple[torch.Tensor, Sentence | None]:
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
        for name, tensor in (tensors if tensors is not None else places(model.module)).items()
    }
    picture, note = made(wider, better)
    return picture, note or say("It gave no picture at first (NaN), and was decoded anew with more precision."), True


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
