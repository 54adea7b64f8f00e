"""Comparisons of a host made of plain values: each VAE tints the picture in its own way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.webui.host import unfit
from vae_manager.compare import Checkpoint, ComparisonStep, Decoded, Encoder, FirstLook, RecentLatents, RecentPicture
from vae_manager.compare.pictures import with_vae
from vae_manager.errors import Cancelled, RefusedError
from vae_manager.files import FileRecord
from vae_manager.messages import Message, msg
from vae_manager.webui.hosts.host import ComparisonRequest, Offer

INFOTEXT = "a house\nSteps: 2, Sampler: Euler, Seed: 1, Size: 64x48, Model: demo, Version: v1"


class Latent:
    """Its size is all that is asked of it."""

    nbytes = 1000


def kept(id: str, *, why_not: Message | None = None) -> RecentPicture:
    latent: Any = Latent() if why_not is None else None
    checkpoint = Checkpoint("/models/demo.safetensors", None, "sd1")
    return RecentPicture(
        id, latent, (64, 48), 0.0, "txt2img", "job", 0, INFOTEXT, False, checkpoint, None, why_not=why_not
    )


class PlainComparing:
    """Does what the Protocol says and nothing else; `gate` holds each VAE up until it is set."""

    def __init__(self, folder: Path, vaes: Sequence[str], in_use: str = "None") -> None:
        self.kept = RecentLatents(lambda: 8, lambda: 10**6)
        self.gate = threading.Event()
        self.gate.set()
        self.waiting_for: Message | None = None
        self.foreign: Message | None = None
        """What is said of Built-in."""
        self._folder, self._vaes, self._in_use = folder, vaes, in_use

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        refusal = unfit("bad")
        own = Offer("None", None, self._in_use == "None", None)
        files = [
            Offer(vae, f"/vaes/{vae}", vae == self._in_use, refusal if "bad" in vae else None) for vae in self._vaes
        ]
        return [own, *files]

    def order(self, wanted: ComparisonRequest) -> Sequence[str]:
        if isinstance(wanted.source, RecentPicture) and wanted.source.why_not is not None:
            raise RefusedError(wanted.source.why_not)
        first = [self._in_use] if isinstance(wanted.source, RecentPicture) or self._in_use in wanted.vaes else []
        return list(dict.fromkeys([*first, *wanted.vaes]))

    def waits_for(self) -> Message | None:
        return self.waiting_for

    def compare(
        self,
        wanted: ComparisonRequest,
        vaes: Sequence[str],
        *,
        began: Callable[[], None],
        show: Callable[[Decoded], None],
        report: Callable[[ComparisonStep], None],
        look: Callable[[FirstLook], None] | None = None,
        stop: threading.Event,
    ) -> None:
        began()
        for done, vae in enumerate(vaes):
            report(ComparisonStep(done, len(vaes), vae))
            self.gate.wait()
            if stop.is_set():
                raise Cancelled(msg("Stopped.", code="comparison-stopped"))
            show(self._decoded(wanted, vae, done))

    def _decoded(self, wanted: ComparisonRequest, vae: str, number: int) -> Decoded:
        if "bad" in vae:
            return Decoded(vae, None, 0.0, error=unfit(vae))
        encoded = isinstance(wanted.source, Encoder)
        start = wanted.source.picture if isinstance(wanted.source, Encoder) else slope(48, 64)
        if "foreign" in vae:
            start = 255 - start
        pixels = np.clip(start.astype(int) + 20 * (number + encoded), 0, 255).astype(np.uint8)
        return Decoded(vae, pixels, 0.1, foreign=self.foreign if vae == "None" else None)

    def save_folder(self) -> Path:
        return self._folder

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        return with_vae(infotext, None if vae == "None" else vae, "0123456789" if hashed and vae != "None" else None)


def slope(height: int, width: int) -> Any:
    """A picture that is neither plain nor at an end of the range."""
    values = np.linspace(40, 160, height * width).reshape(height, width, 1)
    return np.repeat(values, 3, axis=2).astype(np.uint8)
