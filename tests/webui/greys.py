"""Comparisons on a host of plain values: every VAE paints the whole picture in one grey."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae_manager.choice import BUILTIN
from vae_manager.compare import Checkpoint, ComparisonStep, Decoded, Encoder, FirstLook, RecentLatents, RecentPicture
from vae_manager.compare.pictures import with_vae
from vae_manager.errors import Cancelled, RefusedError
from vae_manager.files import FileRecord
from vae_manager.messages import Message, msg
from vae_manager.webui.hosts.host import ComparisonRequest, Offer

if TYPE_CHECKING:
    from tests.webui.host import PlainHost
    from vae_manager.compare.comparison_store import Pixels

INFOTEXT = "a <b>house</b>\nSteps: 20, Sampler: Euler, Seed: 1, Size: 16x16"


class GreyComparing:
    def __init__(self, host: PlainHost) -> None:
        self._host = host
        self.kept = RecentLatents(lambda: 8, lambda: 1_000_000)
        self.refused: dict[str, Message] = {}
        """By the VAE's word."""
        self.worked_out = 0
        """Times that somebody has asked what can decode."""
        self.greys: Mapping[str, int] = {}
        self.looks: Mapping[str, Pixels] = {}
        """First looks, whose first row is the fourth of the picture and whose first column the eighth."""
        self.may_go_on = threading.Event()
        """Waited for before each VAE but the first."""
        self.may_go_on.set()

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        self.worked_out += 1
        files = self._host.files()
        own = Offer(BUILTIN.word, None, self._host.loaded is None, None)
        return [own, *(Offer(n, p, p == self._host.loaded, self.refused.get(n)) for n, p in files.items())]

    def order(self, wanted: ComparisonRequest) -> Sequence[str]:
        if isinstance(wanted.source, RecentPicture) and wanted.source.why_not is not None:
            raise RefusedError(wanted.source.why_not)
        in_use = next((name for name, path in self._host.files().items() if path == self._host.loaded), BUILTIN.word)
        rescuing = sorted(self._host.files()) if wanted.is_rescue else []
        return list(dict.fromkeys([in_use, *wanted.vaes, *rescuing]))

    def waits_for(self) -> Message | None:
        return None

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
        for vae in vaes:
            if look is not None and vae in self.looks:
                look(FirstLook(vae, self.looks[vae], 4, 8, 0.1))
        shape = wanted.source.picture.shape if isinstance(wanted.source, Encoder) else (16, 16, 3)
        for number, vae in enumerate(vaes):
            report(ComparisonStep(number, len(vaes), vae))
            if number:
                self.may_go_on.wait(10)
            if stop.is_set():
                raise Cancelled(msg("Stopped.", code="comparison-stopped"))
            show(Decoded(vae, np.full(shape, self.greys.get(vae, 100), np.uint8), 0.5))
            if wanted.is_rescue and vae in self.greys:
                break

    def save_folder(self) -> Path:
        return self._host.root / "saved"

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        return with_vae(infotext, None if vae == BUILTIN.word else vae, "0123456789" if hashed else None)


def picture(id: str, *, prompt: str = INFOTEXT, tab: str = "txt2img", why_not: Message | None = None) -> RecentPicture:
    """One that was made, without its latent: nothing here decodes it."""
    checkpoint = Checkpoint("/models/demo.safetensors", None, "sd1")
    return RecentPicture(
        id, None, (16, 16), 1_800_000_000.0, tab, "1", 0, prompt, False, checkpoint, None, why_not=why_not
    )
