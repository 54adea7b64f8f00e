"""Protocols of a host: the page and the API call a WebUI through these alone.

What the page asks of a WebUI, in the project's words. Each host answers in a folder of its own.

Imported for types alone: a Protocol of this size is slow to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ...choice import Choice, Resolution
from ...compare import Decoded, Encoder, RecentLatents, RecentPicture, Step
from ...errors import RefusedError
from ...files import FileRecord
from ...library import Folder
from ...messages import Message
from ..admission import Listening
from .host_values import InUse, Permission

if TYPE_CHECKING:
    from ...records.verdict import HostCapability, VaeSignature
    from ...swap import LatentTest


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
    refusal: Message | None
    """Why it cannot; None: nothing speaks against it."""


@dataclass(frozen=True, eq=False)
class ComparisonRequest:
    """What is to be compared."""

    source: RecentPicture | Encoder
    """A kept picture, or one that is to be encoded."""
    vaes: Sequence[str]
    """Words of choices; the one in use is added in front where a kept picture is compared."""


class Comparing(Protocol):
    """Methods may be called from any thread, never from inside a generation."""

    @property
    def kept(self) -> RecentLatents: ...

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Return every VAE file and the checkpoint's own, Built-in first. No file is opened: one without a record is
        offered."""
        ...

    def order(self, wanted: ComparisonRequest) -> Sequence[str]:
        """The words that will decode, as they will. Raises RefusedError where the picture cannot be compared."""
        ...

    def waits_for(self) -> Message | None:
        """What a comparison would wait for now; None: it would begin."""
        ...

    def compare(
        self,
        wanted: ComparisonRequest,
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

    def __init__(self, why_not: Message) -> None:
        self._why_not = why_not
        self.kept = RecentLatents(lambda: 0, lambda: 0)

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        return []

    def order(self, wanted: ComparisonRequest) -> Sequence[str]:
        raise RefusedError(self._why_not)

    def waits_for(self) -> Message | None:
        return None

    def compare(self, wanted: ComparisonRequest, vaes: Sequence[str], **_: object) -> None:
        raise RefusedError(self._why_not)

    def save_folder(self) -> Path:
        raise RefusedError(self._why_not)

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        raise RefusedError(self._why_not)


Result = TypeVar("Result")


class HostFiles(Protocol):
    """Files of the WebUI: its folders, its list of VAE files, and how they are downloaded."""

    @property
    def data_folder(self) -> Path:
        """Where the project keeps its own state. Not created until something is written."""
        ...

    def folders(self) -> Sequence[Folder]:
        """The VAE folders and the checkpoint folders, in the host's order."""
        ...

    def download_folder(self) -> Path: ...

    def endpoint(self) -> str | None:
        """The hub or mirror that the person set; None for the hub library's own."""
        ...

    def connections(self) -> int:
        """The most connections that one download may use."""
        ...

    def bandwidth(self) -> float | None:
        """Bytes per second that downloads may take; None for no limit."""
        ...

    def converts(self) -> bool:
        """A download that this host cannot load as it is gets converted by itself."""
        ...

    def files(self) -> Mapping[str, str]:
        """The host's own list of VAE files: base name -> path."""
        ...

    def refresh(self, gone: Path | None = None) -> None:
        """Make the host read its VAE folders again, so that every dropdown of it shows what is there; `gone` is a file
        that has just been taken away."""
        ...

    def may_hash(self) -> bool:
        """False when the person asked the WebUI not to hash files."""
        ...


class HostChoice(Protocol):
    """Choice of a VAE: the setting, what it means for the loaded checkpoint, and the preferences of checkpoints."""

    def choice(self) -> Choice: ...

    def check(self, choice: Choice) -> None:
        """Raises RefusedError where the choice's file cannot go into the loaded model. Nothing is touched."""
        ...

    def choose(self, choice: Choice, still_wanted: Callable[[], bool]) -> None:
        """Make `choice` the setting, put its VAE into the model, and save it. Waits for a running generation.

        Raises Cancelled where it is not `still_wanted` after the waiting, RefusedError (nothing changed) or another
        VaeManagerError (the old VAE is back).
        """
        ...

    def resolution(self) -> Resolution:
        """What the present choice means for the loaded checkpoint."""
        ...

    def follow_setting(self) -> None:
        """Put into the model what the present choice means for it, if that is another VAE. Waits and raises as `choose`
        does."""
        ...

    def checkpoints(self) -> Sequence[str]:
        """The files of the checkpoints that the host lists."""
        ...

    def preference(self, checkpoint_file: str) -> str | None:
        """What the card of a checkpoint prefers, in the WebUI's words; None where it has no wish."""
        ...

    def prefer(self, checkpoint: str, choice: Choice) -> None:
        """Make `choice` the preference of the loaded checkpoint's card; Automatic takes the preference away. What then
        results is put into the model by `follow_setting`.

        `checkpoint` is the name that the person saw. Raises RefusedError, also where another one is loaded by now, or
        DiskError; the card is then as it was.
        """
        ...


class HostModel(Protocol):
    """Model that is loaded, and the VAE in it."""

    @property
    def capability(self) -> HostCapability:
        """What this WebUI can do with VAE files."""
        ...

    def signature(self) -> VaeSignature:
        """The VAE of the checkpoint that is loaded, or will be for the next picture."""
        ...

    def in_use(self) -> InUse: ...

    def generating(self) -> bool:
        """A picture is being made now."""
        ...

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """Run `work` while nothing else touches the model. Not reentrant; never from inside a generation."""
        ...

    def try_out(self, path: Path) -> LatentTest:
        """Whether the VAE file at `path` speaks of the latent space of the loaded checkpoint's own VAE: a guess, with
        its figures. The VAE in use stays. Waits for a running generation, and takes the time of three decodes.

        Raises RefusedError where it cannot go into the model, or another VaeManagerError.
        """
        ...

    @property
    def comparing(self) -> Comparing:
        """The last pictures, decoded anew by other VAEs."""
        ...


class HostSettings(Protocol):
    """Settings of the WebUI: its visitors, its permissions, its language and its page."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def shared_with_others(self) -> bool:
        """The server is reachable from other machines."""
        ...

    @property
    def shows_paths(self) -> bool:
        """True if the reader may see paths of this machine."""
        ...

    def listening(self) -> Listening:
        """The reach of the server, and the names that the owner has added."""
        ...

    def refusal(self, act: Permission, *, remote: bool = False) -> Message | None:
        """The reason why this WebUI does not allow `act`; None if it does. `remote`: asked from another machine."""
        ...

    def quick_settings(self) -> Sequence[str] | None:
        """Names of the options shown in the quick settings, in order; None if the WebUI has no such list, or if it
        cannot be read."""
        ...

    def set_quick_settings(self, names: Sequence[str]) -> None: ...

    def reload_page(self) -> None:
        """The WebUI's own *Reload UI*."""
        ...

    def language(self) -> str:
        """Name of the WebUI's chosen localization; "None" for English."""
        ...

    def translations(self) -> Mapping[str, str]:
        """The WebUI's own table for that language."""
        ...


class Host(HostFiles, HostChoice, HostModel, HostSettings, Protocol):
    """One WebUI. Methods may be called from any thread unless their docstring restricts it."""
