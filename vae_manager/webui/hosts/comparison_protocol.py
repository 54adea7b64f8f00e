"""What a comparison asks of a WebUI, and what it may be asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from ...compare import Decoded, Encoder, Kept, KeptLatents, Step
from ...errors import RefusedError
from ...files import FileRecord
from ...sentences import Sentence

MOST_PIXELS: Final = 4096 * 4096
"""Of a picture that is to be encoded."""


@dataclass(frozen=True)
class Offer:
    """A VAE that could decode."""

    vae: str
    """The choice's word."""
    path: str | None
    """None: the checkpoint's own."""
    in_use: bool
    refusal: Sentence | None
    """Why it cannot; None: nothing speaks against it."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be compared."""

    source: Kept | Encoder
    """A kept picture, or one that is to be encoded."""
    vaes: Sequence[str]
    """Words of choices; the one in use is added in front where a kept picture is compared."""


class Comparing(Protocol):
    """Methods may be called from any thread, never from inside a generation."""

    @property
    def kept(self) -> KeptLatents: ...

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Return every VAE file and the checkpoint's own, Built-in first. No file is opened: one without a record is
        offered."""
        ...

    def order(self, wanted: Wanted) -> Sequence[str]:
        """The words that will decode, as they will. Raises RefusedError where the picture cannot be compared."""
        ...

    def waits_for(self) -> Sentence | None:
        """What a comparison would wait for now; None: it would begin."""
        ...

    def compare(
        self,
        wanted: Wanted,
        vaes: Sequence[str],
        *,
        began: Callable[[], None],
        show: Callable[[Decoded], None],
        report: Callable[[Step], None],
        stop: Event,
    ) -> None:
        """Decode by each of `vaes` in turn; `show` gets each picture as it comes. Waits for a running generation, then
        `began` is called. The VAE in use is the same afterwards.

        What cannot decode is shown with its error. Raises Cancelled, RefusedError, or another VaeManagerError.
        """
        ...

    def save_folder(self) -> Path:
        """Where pictures go that a person saves."""
        ...

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        """`infotext` of the picture that this choice has decoded. `hashed`: its file is hashed where that is not known
        yet, which takes a moment."""
        ...


class NoComparing:
    """Comparison of a WebUI that cannot compare: no picture is kept, and each action is refused."""

    def __init__(self, why_not: Sentence) -> None:
        self._why_not = why_not
        self.kept = KeptLatents(lambda: 0, lambda: 0)

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        return []

    def order(self, wanted: Wanted) -> Sequence[str]:
        raise RefusedError(self._why_not)

    def waits_for(self) -> Sentence | None:
        return None

    def compare(self, wanted: Wanted, vaes: Sequence[str], **_: object) -> None:
        raise RefusedError(self._why_not)

    def save_folder(self) -> Path:
        raise RefusedError(self._why_not)

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        raise RefusedError(self._why_not)
