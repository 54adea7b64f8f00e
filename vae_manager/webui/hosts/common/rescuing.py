"""Rescue of pictures inside a WebUI: a final decode that failed is done again at once, before the picture is shown.

    begin    a generation begins: what was said of the one before is dropped
    decode   around each final decode (processing.decode_latent_batch): looks at what the WebUI has decoded, and decodes
             the pictures again that are none
    named    around each infotext: a picture that another VAE has decoded names that one

`compare.rescue` decides, and `compare.comparison.decoded` decodes by weights that the model borrows, as for a
comparison: the model, its VAE and their dtype are afterwards as before. Left alone are interrupted pictures, those that
no VAE decodes (TAESD), and decodes outside of a generation. If a rescue fails, the WebUI's own result stands, or its
own exception goes on.

All methods are called in the thread that generates, under the queue lock; `notice` may be read from any thread.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....choice import BUILTIN
from ....compare import Candidate
from ....compare.rescue import (
    MAX_OTHERS,
    Attempt,
    Fault,
    Origin,
    Situation,
    attempts,
    faults,
    is_finite,
    is_meant,
    name_of,
)
from ....errors import RefusedError, VaeManagerError
from ....messages import Message, msg
from ....service import the_service
from ...faults import FAULTS
from .. import host_values
from . import checkpoint_metadata, options

if TYPE_CHECKING:
    import torch

    from ....compare import Model
    from ....swap.weights import Tensors
    from .adapter import FamilyWebUI

logger = logging.getLogger(__name__)

FUNCTION: Final = msg("Decoding a failed picture again")
DIMENSIONS: Final = 4
"""Of a batch of latents of pictures; those of videos have five."""
AMPERE: Final = 8
"""Major number of the compute capability of the first GPUs of NVIDIA's that compute in bf16."""
SHORT_HASH: Final = 10
"""Digits."""
_DECODERS: Final = "vae_manager_rescued"


@dataclass(frozen=True)
class _Rescued:
    """One picture of a batch after its rescue."""

    picture: torch.Tensor
    attempt: Attempt
    note: Message | None


class Rescuing:
    """The rescue of failed decodes, one object for the process."""

    def __init__(self, host: FamilyWebUI) -> None:
        self._host = host
        self.notice: Message | None = None
        """What was done in the last generation; None if all its pictures were good."""

    def begin(self, p: Any) -> None:
        """Begin the generation `p`, which may be one whose object is used again."""
        self.notice = None
        setattr(p, _DECODERS, {})

    def decode(self, by_host: Callable[[Any], Any], model: Any, batch: Any, target_device: Any = None) -> Any:
        """Return the pictures of `batch` that `by_host` decodes, with good ones in place of failed ones.

        Raises the host's own exception if no picture can be rescued from it.
        """
        p = self._host.pass_vaes.running
        if not _is_wanted(p, batch):
            return by_host(batch)
        samples, error = None, None
        try:
            samples = by_host(batch)
        except Exception as raised:
            if _fault_of(raised) is None:
                raise
            error = raised
        with FAULTS.suppressed(FUNCTION):  # whatever fails here, the host's own result stands
            import torch

            with torch.no_grad():
                if error is None:
                    self._mend(p, model, batch, samples)
                else:
                    samples = self._made_anew(p, model, batch, error, by_host, target_device)
        if samples is None and error is not None:
            raise error
        return samples

    def named(self, p: Any, text: str, create: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """Return `text`, the infotext that `create` made of these arguments, with the VAE that decoded its picture."""
        decoders = getattr(p, _DECODERS, None)
        if not decoders:
            return text
        given = inspect.signature(create).bind(p, *args, **kwargs).arguments
        index = given.get("index")
        if index is not None:  # in the batch that is being saved
            number = p.iteration * p.batch_size + index
        else:
            number = given.get("iteration", 0) * p.batch_size + given.get("position_in_batch", 0)
        decoder = decoders.get(number)
        return self._host.infotext_of(text, *decoder) if decoder is not None else text

    def decoder(self, p: Any) -> tuple[str | None, str | None] | None:
        """Return path and short hash of the VAE that decoded all pictures of the present batch; None for the usual."""
        decoders = getattr(p, _DECODERS, None) or {}
        numbers = range(p.iteration * p.batch_size, p.iteration * p.batch_size + len(p.prompts or [None]))
        found = {decoders.get(number) for number in numbers}
        return found.pop() if len(found) == 1 else None

    def others(self, model: Any) -> Sequence[str | None]:
        """Return the VAEs, None for the checkpoint's own, that a rescue tries after that of the model."""
        path = self._host.vae.path(model)
        return [other for other in self._others(model, path) if other != path][:MAX_OTHERS]

    def candidates(self, model: Any, ready: Model) -> Sequence[tuple[Candidate, str]]:
        """Return what decodes a kept latent when a person asks for its rescue, each with the name of its dtype.

        The first is the model as it is: the picture may have been lost in another way.
        """
        now = self._situation(model, ready)
        wanted = [Attempt(now.path, Origin.MODEL, now.dtype), *attempts(Fault.NAN, now)]
        return [(Candidate(_word(one.path), partial(self._tensors, model, ready, one)), one.dtype) for one in wanted]

    # -- internal ------------------------------------------------------------------------------------------------------
    def _mend(self, p: Any, model: Any, batch: Any, samples: Any) -> None:
        """Replace the failed pictures among `samples`."""
        self._forget(p, len(batch))
        if len(samples) != len(batch):
            return  # another extension's
        found = faults(list(samples))
        if not any(found):
            return
        for place, rescued in self._rescue(p, model, batch, found, samples).items():
            samples[place] = rescued.picture.to(samples[place])

    def _made_anew(
        self, p: Any, model: Any, batch: Any, error: Exception, by_host: Callable[[Any], Any], target_device: Any
    ) -> Any:
        """Return the pictures of a batch for which the host has raised `error`; None if none of them can be made.

        One that cannot be made is black: it must not cost the others.
        """
        import torch

        self._forget(p, len(batch))
        traceback.clear_frames(error.__traceback__)  # they hold what the decode had made, on the device
        fault = _fault_of(error)
        pictures: list[Any] = [None] * len(batch)
        found: list[Fault | None] = [fault] * len(batch)
        if len(batch) > 1:  # the host itself may decode most of them
            for place in range(len(batch)):
                pictures[place], found[place] = _alone(by_host, batch[place : place + 1])
        rescued = self._rescue(p, model, batch, found, pictures) if any(found) else {}
        made = {place: rescued[place].picture if place in rescued else pictures[place] for place in range(len(batch))}
        first = next((picture for picture in made.values() if picture is not None), None)
        if first is None:
            return None
        if not any(found):
            self._tell(
                p,
                msg(
                    "The memory did not suffice to decode all pictures of the batch at once: they were decoded one "
                    "after the other.",
                    code="rescue-one-by-one",
                ),
            )
        samples = host_values.needed("modules.processing", "DecodedSamples")()
        device = target_device if target_device is not None else batch.device
        black = torch.full_like(first, -1)  # as a lost picture is shown where nothing is looked for
        samples.extend((picture if picture is not None else black).to(device).float() for picture in made.values())
        return samples

    def _rescue(
        self, p: Any, model: Any, batch: Any, found: Sequence[Fault | None], by_host: Sequence[Any]
    ) -> dict[int, _Rescued]:
        """Return the pictures that were decoded again, by their places in the batch, and tell of each.

        `by_host` are the pictures of the host's own decode, None for those that it did not give.
        """
        lost = [(place, fault) for place, fault in enumerate(found) if fault is not None]
        hopeless = {place for place, _ in lost if not is_finite([batch[place]])}
        if hopeless:
            self._tell(p, _LATENT)
        rescued: dict[int, _Rescued] = {}
        if len(hopeless) == len(lost):
            return rescued
        with self._host.decoding.ready(model, bool(p.tiling)) as ready:
            now = self._situation(model, ready)
            for place, fault in lost:
                if place in hopeless:
                    continue
                flat = by_host[place] if fault is Fault.FLAT else None
                made = self._attempted(model, ready, batch[place : place + 1], fault, now, flat)
                if made is not None:
                    rescued[place] = made
                    self._note_decoder(p, place, made.attempt)
                    self._tell(p, _sentence(now, fault, made))
                elif fault is not Fault.FLAT:  # which a picture of one colour may be by right
                    self._tell(p, _failure(now, fault))
        return rescued

    def _situation(self, model: Any, ready: Model) -> Situation:
        from ....swap import named_tensors

        tensors, path = named_tensors(ready.module), self._host.vae.path(model)
        dtype = next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point())
        return Situation(
            path=path,
            dtype=checkpoint_metadata.dtype_name(dtype),
            is_sound=is_finite(tensors.values()),
            has_bf16=_has_bf16(ready.device),
            others=self._others(model, path),
        )

    def _others(self, model: Any, path: str | None) -> Sequence[str | None]:
        """Return the checkpoint's own VAE, then the files that the catalogue knows for the family, in its order."""
        own: list[str | None] = [None] if path is not None else []
        family, service = checkpoint_metadata.family(model), the_service(self._host.data_folder)
        order = {entry.id: place for place, entry in enumerate(service.catalogue.entries)}
        known = [(service.recognise(file), file) for file in self._host.files().values() if file != path]
        fitting = [(order[entry.id], file) for entry, file in known if entry is not None and entry.family == family]
        return [*own, *(file for _, file in sorted(fitting))]

    def _attempted(
        self, model: Any, ready: Model, latent: Any, fault: Fault, now: Situation, flat: Any
    ) -> _Rescued | None:
        """Return the first good picture; None without one, and if it is as `flat` by right."""
        from ....compare.comparison import decoded

        for attempt in attempts(fault, now):
            try:
                tensors, dtype = self._weights(model, ready, attempt)
                picture = decoded(ready, tensors, latent, dtype)
            except VaeManagerError as refused:
                logger.info("%s", refused)
                continue
            except (MemoryError, RuntimeError) as error:  # of torch: the next attempt may succeed
                logger.info("%s: %s", type(error).__name__, error)
                continue
            if faults([picture.tensor]) != [None]:
                continue
            if flat is not None and is_meant(picture.tensor, flat):
                return None
            return _Rescued(picture.tensor, attempt, picture.note)
        return None

    def _weights(self, model: Any, ready: Model, attempt: Attempt) -> tuple[Tensors | None, torch.dtype]:
        """Return the weights for an attempt, None for those in the model as they are, and their dtype."""
        from ....swap import named_tensors
        from ....swap.weights import fitted

        dtype = _dtype(attempt.dtype)
        if attempt.origin is not Origin.MODEL:
            return self._host.vae.weights(model, attempt.path, dtype), dtype
        places = named_tensors(ready.module)
        if all(place.dtype == dtype for place in places.values() if place.is_floating_point()):
            return None, dtype
        return {name: fitted(place.data, place, dtype) for name, place in places.items()}, dtype

    def _tensors(self, model: Any, ready: Model, attempt: Attempt) -> Tensors | None:
        return self._weights(model, ready, attempt)[0]

    def _forget(self, p: Any, count: int) -> None:
        """Drop the decoders of the batch: the first pass of hires fix may have had others."""
        for place in range(count):
            getattr(p, _DECODERS, {}).pop(p.iteration * p.batch_size + place, None)

    def _note_decoder(self, p: Any, place: int, attempt: Attempt) -> None:
        if attempt.origin is not Origin.OTHER:
            return
        sha256 = None
        if attempt.path is not None and self._host.may_hash():
            sha256 = the_service(self._host.data_folder).stores.hashes.known(Path(attempt.path))
        decoder = attempt.path, sha256[:SHORT_HASH] if sha256 is not None else None
        getattr(p, _DECODERS)[p.iteration * p.batch_size + place] = decoder

    def _tell(self, p: Any, message: Message) -> None:
        self.notice = message
        if str(message) not in p.comments:
            logger.warning("%s", message)  # the API returns no comments
            p.comment(str(message))


def _is_wanted(p: Any, batch: Any) -> bool:
    """Return True for a final decode by a VAE, inside a generation that nobody has interrupted."""
    return (
        p is not None
        and options.rescues()
        and getattr(batch, "ndim", 0) == DIMENSIONS
        and options.read("sd_vae_decode_method", "Full") == "Full"
        and not host_values.state("interrupted", False)
        and not host_values.state("skipped", False)
    )


def _fault_of(error: Exception) -> Fault | None:
    """Return the fault for an exception of the host's decode; None for any other exception."""
    from ....swap.swapper import is_out_of_memory

    if is_out_of_memory(error):
        return Fault.MEMORY
    nan_error = host_values.value("modules.devices", "NansException")
    return Fault.NAN if nan_error is not None and isinstance(error, nan_error) else None


def _alone(by_host: Callable[[Any], Any], latent: Any) -> tuple[Any, Fault | None]:
    """Return the picture of one latent and its fault, as the host decodes it by itself."""
    try:
        [picture] = by_host(latent)
    except Exception as error:
        fault = _fault_of(error)
        if fault is None:
            raise
        traceback.clear_frames(error.__traceback__)
        return None, fault
    return picture, faults([picture])[0]


def _has_bf16(device: torch.device) -> bool:
    """Return True for a GPU that computes in bf16; others emulate it, if at all."""
    import torch

    if device.type != "cuda":
        return False
    return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= AMPERE


def _dtype(name: str) -> torch.dtype:
    import torch

    by_name = {checkpoint_metadata.dtype_name(dtype): dtype for dtype in (torch.float32, torch.bfloat16, torch.float16)}
    return by_name[name]


_LATENT: Final = msg(
    "The sampler gave NaN or infinite values, which no VAE can decode. The usual causes: the UNet overflows in half "
    "precision (start the WebUI with --upcast-sampling or --no-half), a damaged checkpoint or LoRA, too high a CFG "
    "scale.",
    code="rescue-latent",
)


def check_latent(latent: torch.Tensor) -> None:
    """Raise RefusedError for a latent with NaN or infinite values, which no VAE decodes."""
    if not is_finite([latent]):
        raise RefusedError(_LATENT)


def _word(path: str | None) -> str:
    return Path(path).name if path is not None else BUILTIN.word


def _vae(path: str | None) -> str | Message:
    return Path(path).name if path is not None else msg("Built-in")


def _sentence(now: Situation, fault: Fault, made: _Rescued) -> Message:
    fields = {
        "vae": _vae(now.path),
        "before": now.dtype,
        "fault": name_of(fault),
        "by": _vae(made.attempt.path),
        "now": made.attempt.dtype,
    }
    if made.note is None:
        return msg(
            "{vae} gave no picture in {before} ({fault}). The one shown was decoded again, by {by} in {now}.",
            code="rescued",
            **fields,
        )
    return msg(
        "{vae} gave no picture in {before} ({fault}). The one shown was decoded again, by {by} in {now}. {note}",
        code="rescued",
        note=made.note,
        **fields,
    )


def _failure(now: Situation, fault: Fault) -> Message:
    return msg(
        "{vae} gave no picture in {before} ({fault}), and no VAE that is here did better. Choose another VAE for the "
        "next picture.",
        code="rescue-failed",
        vae=_vae(now.path),
        before=now.dtype,
        fault=name_of(fault),
    )
