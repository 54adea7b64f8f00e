"""Weights of a VAE in memory, and the test of the latent space that they decode.

The test compares the latent spaces of two VAEs: one encodes a picture, the other decodes the latent. Names and shapes
cannot distinguish a VAE of SD 1.x from one of SDXL. Their latents can: a VAE decodes another family's latents to noise,
while fine-tunes of one family decode each other's to nearly the same picture. The similarity is a matter of degree, so
the answer is a guess with its figures, and never refuses a file by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..errors import IntegrityError, RefusedError
from ..files import Identity
from ..messages import msg

if TYPE_CHECKING:
    import torch


ALIGNMENT: Final = 64
"""Bytes: the alignment that torch uses for its own tensors."""
NARROW: Final = MappingProxyType({"torch.float16": "fp16", "torch.bfloat16": "bf16"})
"""Dtypes of torch that cannot represent every 32-bit number, with their usual short names."""

Tensors = Mapping[str, "torch.Tensor"]
"""Tensors by their names in `first_stage_model`, each with storage of its own."""

SIDE: Final = 256
"""Pixels along one side of the test picture: a multiple of the pixels of one latent in every family."""

SAME: Final = 0.55
"""Least part of the encoding VAE's decibels that a candidate of the same family reaches.

The value lies between the two clusters that `python tasks.py prove latent` measures.
"""


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights read from one file, ready to go into a model."""

    identity: Identity
    tensors: Tensors
    sums: tuple[int, ...]
    """One checksum for each tensor; see `checksums`."""

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, on any device; those that it shares with other weights count too."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def untouched(self) -> bool:
        """Return True if the tensors are as they were read. Reads every byte: some 20 ms for 335 MB."""
        return checksums(self.tensors) == self.sums

    def like(self, models: Tensors, dtype: torch.dtype) -> Weights:
        """Return these weights for the places of `models`, converted if device, dtype or memory format differ.

        Tensors that do not differ are shared with these; see `shares_with`. Raises RefusedError if a number becomes
        infinite.
        """
        tensors = {name: fitted(self.tensors[name], models[name], dtype) for name in models}
        if all(tensors[name] is self.tensors[name] for name in tensors):
            sums = dict(zip(self.tensors, self.sums, strict=True))  # the order of the file may differ
            return Weights(self.identity, tensors, tuple(sums[name] for name in tensors))
        self._require_finite(tensors)
        return Weights(self.identity, tensors, checksums(tensors))

    def converted(self, dtype: torch.dtype) -> Weights:
        """Return these weights in another dtype on their device; the same object if the dtype does not differ.

        Raises RefusedError if a number becomes infinite.
        """
        if all(tensor.dtype == dtype for tensor in self.tensors.values()):
            return self
        made = empty_together([(tensor.shape, dtype) for tensor in self.tensors.values()])
        tensors = {name: new.copy_(self.tensors[name]) for name, new in zip(self.tensors, made, strict=True)}
        self._require_finite(tensors)
        return Weights(self.identity, tensors, checksums(tensors))

    def _require_finite(self, tensors: Tensors) -> None:
        """Raise RefusedError if a number that is finite here is not in `tensors`, which are these in another dtype."""
        import torch

        for name, tensor in tensors.items():
            word = NARROW.get(str(tensor.dtype)) if tensor.dtype != self.tensors[name].dtype else None
            # A sum is quicker than a test of each value, and finite only if all are.
            if word is None or torch.isfinite(tensor.sum(dtype=torch.float32)) or torch.isfinite(tensor).all():
                continue
            raise RefusedError(
                msg(
                    "{file} holds numbers that do not fit into {dtype}, in which the model's VAE works: its pictures "
                    "would be black. Nothing was changed. Choose another VAE, or let the WebUI use 32 bits for it "
                    "(--no-half-vae).",
                    file=Path(self.identity.path).name,
                    dtype=word,
                )
            )

    def shares_with(self, other: Weights) -> bool:
        """Return True if a write to one could change the other."""
        return any(tensor is other.tensors.get(name) for name, tensor in self.tensors.items())


def empty_together(wanted: Sequence[tuple[Sequence[int], torch.dtype]]) -> list[torch.Tensor]:
    """Return uninitialised tensors of these shapes and dtypes on the CPU, in one piece of memory.

    numpy asks the system for large pages: allocation in small pages takes longer than reading a file that is in the
    page cache. The piece returns to the system together with the last tensor; the C library keeps freed small pieces.
    """
    import numpy
    import torch

    lengths = [math.prod(shape) * torch.empty(0, dtype=dtype).element_size() for shape, dtype in wanted]
    starts = list(accumulate((length + -length % ALIGNMENT for length in lengths), initial=0))
    memory = numpy.empty(starts[-1] + ALIGNMENT, numpy.uint8)
    memory = memory[-memory.ctypes.data % ALIGNMENT :]
    return [
        torch.from_numpy(memory[start : start + length]).view(dtype).view(tuple(shape))
        for (shape, dtype), start, length in zip(wanted, starts, lengths, strict=False)
    ]


def fitted(tensor: torch.Tensor, place: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return `tensor` itself if it already matches `place`, else a copy with storage of its own.

    The device and the memory format are those of `place` (--opt-channelslast changes the latter); so is the dtype of
    tensors of whole numbers. A model made in torch's inference mode accepts only tensors made in that mode.
    """
    dtype = dtype if place.is_floating_point() else place.dtype
    alike = tensor.device == place.device and tensor.dtype == dtype and tensor.stride() == place.stride()
    if alike and (tensor.is_inference() or not place.is_inference()):
        return tensor
    import torch

    with torch.inference_mode(place.is_inference()):
        return torch.empty_like(place, dtype=dtype, requires_grad=False).copy_(tensor)


def checksums(tensors: Tensors) -> tuple[int, ...]:
    """Return one number a tensor: the sum of its bytes, read eight at a time. It detects a write, not an attack."""
    import torch

    sums = [checksum(tensor) for tensor in tensors.values()]
    return tuple(torch.stack(sums).tolist()) if sums else ()


def checksum(tensor: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor's bytes, read eight at a time, as an int64 on its device, without a wait."""
    return _words(tensor).sum()


def _words(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor's bytes, in their order in memory, as whole numbers."""
    import torch

    flat = tensor.detach().as_strided((tensor.numel(),), (1,)).view(torch.uint8)
    return flat.view(torch.int64) if flat.numel() % 8 == 0 else flat.to(torch.int64)


def named_tensors(module: torch.nn.Module) -> Tensors:
    """Return the parameters and buffers of `module` themselves, by name: the tensors that a VAE file has to contain.

    The result equals `module.state_dict(keep_vars=True)`, which takes two to three times as long: it makes an entry of
    metadata and calls hooks for each of some 150 modules, and a swap calls this first.
    """
    found: dict[str, torch.Tensor] = {}
    _collect(module, "", found)
    return found


def _collect(module: torch.nn.Module, prefix: str, found: dict[str, torch.Tensor]) -> None:
    for name, parameter in module._parameters.items():
        if parameter is not None:
            found[prefix + name] = parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            found[prefix + name] = buffer
    for name, child in module._modules.items():
        if child is not None:
            _collect(child, f"{prefix}{name}.", found)


@contextmanager
def exchanged(models: Tensors, new: Tensors) -> Iterator[Tensors]:
    """Give each of a module's `named_tensors` the storage of `new`; yield the previous storage.

    No byte is copied and no object is replaced, so existing references to a parameter stay valid. The body of the
    `with` statement is part of the exchange: if it raises, an interrupt included, the module gets its previous storage
    back.
    """
    old: dict[str, torch.Tensor] = {}
    try:
        for name, place in models.items():
            old[name] = place.data
            place.data = new[name]
        yield old
    except BaseException:
        for name, data in old.items():
            models[name].data = data
        raise


@contextmanager
def temporary_weights(models: Tensors, tensors: Tensors) -> Iterator[None]:
    """Give each of a module's `named_tensors` the storage of `tensors` inside the `with` statement.

    The WebUI moves a model to the GPU part by part with --medvram. A module can therefore be on another device than
    when the tensors were fitted to it, and on another one again at the end: the temporary and the original tensors
    follow it.
    """
    here = {name: tensors[name].to(place.device) for name, place in models.items()}
    with exchanged(models, here) as old:
        try:
            yield
        finally:
            for name, data in old.items():
                models[name].data = data.to(models[name].device)


@dataclass(frozen=True)
class LatentTest:
    """Similarity of the decoded pictures: peak signal-to-noise ratios over all pixels, in decibels."""

    own_db: float
    """Of the VAE that encoded it."""
    found_db: float
    """Of the candidate."""

    @property
    def is_same_space(self) -> bool:
        """True if the candidate decodes well enough (`SAME`) to have the latent space of the encoding VAE."""
        return self.found_db >= SAME * self.own_db


def latent_test(module: torch.nn.Module, own: Tensors, candidate: Tensors, picture: torch.Tensor) -> LatentTest:
    """Encode `picture` with `module` and the weights `own`, decode it with those of `candidate`, and compare.

    `module` is an AutoencoderKL of ldm or sgm; both sets fit its places, each of one dtype. `picture` is [1, 3, height,
    width], -1 … 1, on the device that it decodes on. The module has its own weights again afterwards, even after an
    exception. Raises IntegrityError if the VAE that encodes returns NaN, so that no comparison is possible.
    """
    import torch

    models = named_tensors(module)
    with torch.no_grad():
        with temporary_weights(models, own):
            latent = _latent(module.encode(picture.to(_dtype_of(own))))  # type: ignore[operator]
            own_db = _psnr(picture, module.decode(latent))  # type: ignore[operator]
        if own_db is None:
            raise IntegrityError(
                msg(
                    "The checkpoint's own VAE gives no picture in this precision (NaN), so nothing can be compared.",
                    code="no-picture",
                )
            )
        with temporary_weights(models, candidate):
            found_db = _psnr(picture, module.decode(latent.to(_dtype_of(candidate))))  # type: ignore[operator]
    return LatentTest(own_db, found_db if found_db is not None else 0.0)


def _dtype_of(tensors: Tensors) -> torch.dtype:
    return tensors["decoder.conv_in.weight"].dtype


def sample_picture(side: int = SIDE) -> torch.Tensor:
    """Return [1, 3, side, side], -1 … 1, float32: slopes of colour, soft rings and sharp edges, always the same."""
    import torch

    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    slopes = torch.stack([x, y, -x * y])
    rings = torch.sin(9 * (x.square() + y.square())) * 0.4
    disc = ((x - 0.3).square() + (y + 0.25).square() < 0.12).float()
    bars = ((x + 0.45).abs() < 0.08).float() - ((y - 0.5).abs() < 0.06).float()
    colour = torch.tensor([0.9, -0.7, 0.2])[:, None, None]
    picture = 0.6 * slopes + rings + disc * colour - bars * colour.flip(0)
    return picture.clamp(-1, 1).unsqueeze(0)


def _latent(encoded: Any) -> Any:
    """Return the latent: ldm's encode returns a distribution, whose mode is deterministic, sgm's returns a latent."""
    return encoded if hasattr(encoded, "shape") else encoded.mode()


def _psnr(wanted: torch.Tensor, found: torch.Tensor) -> float | None:
    """Return decibels, for values from -1 to 1; None if `found` holds NaN or infinite values."""
    import torch

    error = (found.float().cpu().clamp(-1, 1) - wanted.float().cpu()).square().mean()
    return float(10 * torch.log10(4.0 / error.clamp_min(1e-10))) if torch.isfinite(error) else None
