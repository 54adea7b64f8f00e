"""The latents of the last pictures, captured at every final decode (`processing.decode_latent_batch`).

    begin    a generation begins
    note     a decode begins: a copy on the CPU, which the next one replaces
    claim    a batch has become pictures: the last decode belongs to them. With hires fix and an upscaler of pictures
             the first pass is decoded too; the second one's latents have replaced it by then
    finish   the generation has ended: its infotexts are known, and its latents are kept

The captured latents of a generation are an attribute of `p`, so one that fails, or runs inside another, leaves no
latents behind.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ....compare import Checkpoint, RecentLatents, RecentPicture
from ....messages import Message, msg
from .. import host_values
from . import checkpoint_metadata, options

GATHERED = "vae_manager_latents"
FACTOR = 8
"""Pixels of a picture along one side of a pixel of its latent."""


@dataclass(frozen=True)
class _Batch:
    """The input of a decode."""

    latents: Any
    checkpoint: Checkpoint
    vae: str | None


@dataclass(frozen=True)
class _Taken:
    """The part of a batch for one picture."""

    number: int
    """Index in its generation."""
    size: tuple[int, int]
    latent: Any
    batch: _Batch | None
    note: Message | None
    why_not: Message | None


class Latents:
    """The capture of latents, one object for the process.

    All methods are called in the thread that generates, under the queue lock; `kept` may be used from any thread.
    """

    def __init__(self, vae_in: Callable[[Any], str | None]) -> None:
        """Make an empty store; `vae_in` returns the VAE file in a model."""
        self._vae_in = vae_in
        self.kept = RecentLatents(options.kept_count, options.kept_bytes)
        self._batch: _Batch | None = None
        self._ids = itertools.count(1)

    def begin(self, p: Any) -> None:
        """Begin a generation: what an earlier one has left, which failed or has run inside this one, is dropped."""
        self._batch = None
        setattr(p, GATHERED, [])

    def note(self, model: Any, batch: Any) -> None:
        """Copy the latents of a decode, [n, channels, h, w], to the CPU, if the person keeps any."""
        info = getattr(model, "sd_checkpoint_info", None)
        if not self.kept.wanted or info is None or not hasattr(batch, "detach"):
            return  # an unexpected model or batch of another extension is no reason to lose its picture
        checkpoint = Checkpoint(info.filename, info.sha256, checkpoint_metadata.family(model))
        self._batch = _Batch(batch.detach().to("cpu", copy=True), checkpoint, self._vae_in(model))

    def claim(self, p: Any, pictures: Any) -> None:
        """Attach the last latents to `pictures`, which are [n, 3, height, width]."""
        batch, self._batch = self._batch, None
        gathered = getattr(p, GATHERED, None)
        if gathered is None or not self.kept.wanted:
            return
        height, width = pictures.shape[2:]
        if batch is not None and batch.latents.shape[2:] != (height // FACTOR, width // FACTOR):
            batch = None
        if batch is not None and len(batch.latents) != len(pictures):
            batch = None
        for place in range(len(pictures)):
            why_not = _why_not(p, place, batch)
            latent = batch.latents[place : place + 1].clone() if batch is not None and why_not is None else None
            number = p.iteration * p.batch_size + place
            gathered.append(_Taken(number, (width, height), latent, batch, _note(p, place), why_not))
        del gathered[: -options.kept_count()]

    def finish(self, p: Any, processed: Any, tab: str) -> None:
        """Keep the latents of a generation with the infotexts of `processed`; `tab` is `txt2img` or `img2img`."""
        gathered: list[_Taken] = getattr(p, GATHERED, [])
        setattr(p, GATHERED, [])
        infotexts = processed.infotexts[processed.index_of_first_image :]
        if not gathered or len(infotexts) <= gathered[-1].number:
            return  # another extension has changed the number of pictures
        self.kept.put(self._finished(p, taken, processed, infotexts[taken.number], tab) for taken in gathered)

    def _finished(self, p: Any, taken: _Taken, processed: Any, infotext: str, tab: str) -> RecentPicture:
        batch = taken.batch
        return RecentPicture(
            id=str(next(self._ids)),
            latent=taken.latent,
            size=taken.size,
            when=time.time(),
            tab=tab,
            job=str(processed.job_timestamp),
            number=taken.number,
            infotext=infotext,
            tiling=bool(p.tiling),
            checkpoint=batch.checkpoint if batch is not None else Checkpoint("", None, None),
            vae=batch.vae if batch is not None else None,
            note=taken.note,
            why_not=taken.why_not,
        )


def _why_not(p: Any, place: int, batch: _Batch | None) -> Message | None:
    if _has(p, "overlay_images", place) and options.read("overlay_inpaint", True):
        return msg(
            "This picture cannot be compared: inpainting has laid the original over it, which the VAE did not decode.",
            code="inpainted",
        )
    if batch is None:
        return msg("This picture cannot be compared: an extension has decoded or replaced it by itself.")
    return None


def _note(p: Any, place: int) -> Message | None:
    """Return the note, before any processing of the decoded picture: `color_corrections` are gone at the end."""
    if options.read("sd_vae_decode_method", "Full") != "Full":
        return msg("The picture that you saw was decoded by TAESD; here the VAEs decode it.", code="decoded-by-taesd")
    if host_values.state("interrupted", False) and options.read("live_preview_fast_interrupt", False):
        return msg("The picture that you saw was decoded roughly, since it was interrupted; here the VAEs decode it.")
    if p.restore_faces:
        return msg("Faces were restored after the picture had been decoded; here it is without that.")
    if _has(p, "color_corrections", place):
        return msg("Colours were corrected after the picture had been decoded; here it is without that.")
    return None


def _has(p: Any, name: str, place: int) -> bool:
    return place < len(getattr(p, name, None) or ())
