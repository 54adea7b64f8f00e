"""VAEs of single passes: one that encodes and decodes the pass of hires fix, and one that decodes after the refiner.

    wish         the accordion's values reach a generation, before it starts
    generation   around the WebUI's loop over the batches (processing.process_images_inner)
    hires        around the pass of hires fix (StableDiffusionProcessingTxt2Img.sample_hr_pass), which begins with an
                 encode if its upscaler works on pictures. One that works on latents may begin with a decode, to save
                 the picture before hires fix: that belongs to the pass before
    decoding     around each final decode (processing.decode_latent_batch)

The VAE goes into the model at the beginning of a part, and the previous one goes back at its end, whatever happens in
between. A VAE that cannot be put in is named in the comments of the picture, which is then made without it. The stage
that began last decides: a refiner with a VAE of its own precedes hires fix, since its model made the latents.

The fields of infotext are those of the last decode, and of the parts around it.

All methods but `wish` are called in the thread that generates, under the queue lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....choice import BUILTIN, Choice
from ....errors import VaeManagerError
from ....infotext import BASE_VAE, HIRES_VAE, REFINER_VAE
from . import options

if TYPE_CHECKING:
    from .adapter import FamilyWebUI

logger = logging.getLogger(__name__)

_WISH: Final = "vae_manager_pass_vaes"
_NAMED: Final = "vae_manager_named_before"
_FIELDS: Final = (BASE_VAE, HIRES_VAE, REFINER_VAE)


@dataclass(frozen=True)
class Wish:
    """The VAEs that a generation asks for; None for a pass without a VAE of its own."""

    hires: Choice | None
    refiner: Choice | None


@dataclass(frozen=True)
class _Part:
    """A VAE that is in the model for a part of a picture."""

    field: str
    """Its field of infotext."""
    path: str | None
    before: str | None
    """The VAE that was there before it."""


class PassVaes:
    """The VAEs of single passes, one object for the process."""

    def __init__(self, host: FamilyWebUI) -> None:
        self._host = host
        self._running: list[Any] = []
        """The generations that run now: an extension may start one inside another."""
        self._parts: list[_Part] = []
        """Those that are in force, the outermost first."""
        self._decoded = 0
        """The number of decodes of generations with a wish."""

    @property
    def in_force(self) -> bool:
        """True while the VAE of a single pass is in the model."""
        return bool(self._parts)

    @property
    def running(self) -> Any:
        """The generation that runs now, the innermost of several; None outside of all."""
        return self._running[-1] if self._running else None

    def wish(self, p: Any, hires: str = "", refiner: str = "") -> None:
        """Note the WebUI's words for the VAEs of the generation `p`; an empty word asks for none.

        The cells of a plot share the fields of infotext, so those of an earlier one are removed.
        """
        chosen = Wish(*(Choice(word) if word else None for word in (hires, refiner)))
        setattr(p, _WISH, chosen if chosen.hires or chosen.refiner else None)
        _remove_fields(p)

    @staticmethod
    def has_wish(p: Any) -> bool:
        """Return True if a pass of `p` asks for a VAE of its own."""
        return getattr(p, _WISH, None) is not None

    @contextmanager
    def generation(self, p: Any) -> Iterator[None]:
        """Let the decodes in the body of the `with` statement belong to `p`."""
        self._running.append(p)
        try:
            yield
        finally:
            self._running.pop()

    @contextmanager
    def hires(self, p: Any) -> Iterator[None]:
        """Put the VAE of hires fix in for the body of the `with` statement, if `p` asks for one."""
        wish: Wish | None = getattr(p, _WISH, None)
        encodes = getattr(p, "latent_scale_mode", None) is None  # the upscaler works on pictures
        before = self._decoded
        with self._in_model(p, HIRES_VAE, wish.hires if wish is not None and encodes else None):
            yield
            if self.in_force and self._decoded == before:  # the guards were switched off meanwhile
                self._name(p)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Put the VAE of the present pass in for a final decode, and let infotext name it."""
        p: Any = self.running
        wish: Wish | None = getattr(p, _WISH, None)
        if wish is None:
            yield
            return
        field, choice = self._stage(p, wish)
        with self._in_model(p, field, choice):
            yield
            self._decoded += 1
            self._name(p)

    @staticmethod
    def fields(p: Any) -> dict[str, str]:
        """Return the fields of infotext that tell of the VAEs of single passes."""
        written = p.extra_generation_params
        return {name: str(written[name]) for name in _FIELDS if name in written}

    def named_before(self, p: Any) -> tuple[str | None, str | None] | None:
        """Return name and hash that the WebUI noted before the batch, once; None if no decode has named another VAE.

        If they are returned, the fields of `p` name the VAE of the last decode, which may not be in the model now.
        """
        named: tuple[str | None, str | None] | None = p.__dict__.pop(_NAMED, None)
        return named

    def _name(self, p: Any) -> None:
        """Let infotext name the VAE in the model, and those of the parts in force."""
        if not hasattr(p, _NAMED):
            setattr(p, _NAMED, (p.sd_vae_name, p.sd_vae_hash))
        self._host.name_decoder(p)
        _remove_fields(p)
        if self._parts:
            p.extra_generation_params[BASE_VAE] = _name(self._parts[0].before)
            p.extra_generation_params.update({part.field: _name(part.path) for part in self._parts})

    def _stage(self, p: Any, wish: Wish) -> tuple[str, Choice | None]:
        if options.read("sd_vae_decode_method", "Full") != "Full":
            return HIRES_VAE, None  # no VAE decodes
        refiner = getattr(p, "refiner_checkpoint_info", None)
        has_switched = "Refiner" in p.extra_generation_params  # the WebUI's own field, written when it takes over
        if wish.refiner is not None and refiner is not None and has_switched and self._is_loaded(refiner):
            return REFINER_VAE, wish.refiner
        return HIRES_VAE, wish.hires if getattr(p, "is_hr_pass", False) else None

    def _is_loaded(self, checkpoint: Any) -> bool:
        """Return True if the model is of this checkpoint: a refreshed list has other objects for the same files."""
        loaded = getattr(self._host.model(), "sd_checkpoint_info", None)
        return loaded is not None and loaded.filename == checkpoint.filename

    @contextmanager
    def _in_model(self, p: Any, field: str, choice: Choice | None) -> Iterator[None]:
        if choice is None:
            yield
            return
        model, vae = self._host.model(), self._host.vae
        before, checkpoint = vae.path(model), model.sd_checkpoint_info
        try:
            path = self._host.path_of(choice) if choice != BUILTIN else None
            self._host.put_for_picture(model, path)
        except VaeManagerError as error:
            if str(error.message) not in p.comments:
                p.comment(str(error.message))
            logger.warning("%s", error.message)
            yield
            return
        self._parts.append(_Part(field, path, before))
        try:
            yield
        finally:
            self._parts.pop()
            model = self._host.model()
            if model is not None and self._is_loaded(checkpoint) and vae.path(model) == path:
                self._put_back(model, before)

    def _put_back(self, model: Any, path: str | None) -> None:
        """Put the previous VAE in; if its file has gone meanwhile, the checkpoint's own."""
        try:
            self._host.put_for_picture(model, path)
        except VaeManagerError:  # the console has the reason, and the next picture follows the setting
            self._host.put_for_picture(model, None)


def _remove_fields(p: Any) -> None:
    for name in _FIELDS:
        p.extra_generation_params.pop(name, None)


def _name(path: str | None) -> str:
    return Path(path).name if path is not None else BUILTIN.word
