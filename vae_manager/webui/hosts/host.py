"""What the page asks of a WebUI, in the project's words. Each host answers in a folder of its own.

Imported for types alone: a Protocol of this size is slow to make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ...choice import Choice, Resolution
from ...library import Folder
from ...sentences import Sentence
from ..admission import Listening
from .permissions import Act, InUse

if TYPE_CHECKING:
    from ...records.capability import HostCapability, VaeSignature
    from ...swap import LatentTest
    from .comparison_protocol import Comparing

Result = TypeVar("Result")


class Host(Protocol):
    """One WebUI. Methods may be called from any thread unless they say otherwise."""

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

    @property
    def capability(self) -> HostCapability:
        """What this WebUI can do with VAE files."""
        ...

    def signature(self) -> VaeSignature:
        """The VAE of the checkpoint that is loaded, or will be for the next picture."""
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

    def refusal(self, act: Act, *, remote: bool = False) -> Sentence | None:
        """The reason why this WebUI does not allow `act`; None if it does. `remote`: asked from another machine."""
        ...

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

    def follow_setting(self) -> None:
        """Put into the model what the present choice means for it, if that is another VAE. Waits and raises as `choose`
        does."""
        ...

    def in_use(self) -> InUse: ...

    def generating(self) -> bool:
        """A picture is being made now."""
        ...

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """Run `work` while nothing else touches the model. Not reentrant; never from inside a generation."""
        ...

    def may_hash(self) -> bool:
        """False when the person asked the WebUI not to hash files."""
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
