"""Protocols of a host, in the project's terms: the page and the API call a WebUI through these alone.

Each host implements them in a folder of its own. Import this module for types alone: a Protocol of this size is slow to
make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ...choice import Choice, Resolution
from ...compare import ComparisonStep, Decoded, Encoder, FirstLook, RecentLatents, RecentPicture
from ...errors import RefusedError
from ...files import FileRecord
from ...library import Folder
from ...messages import Message
from ..admission import Listening
from .host_values import InUse, Permission

if TYPE_CHECKING:
    from ...records.verdict import HostCapability, VaeSignature
    from ...swap import LatentTest


MAX_PIXELS: Final = 4096 * 4096
"""The most pixels of a picture that is to be encoded."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Offer:
    """A VAE that a comparison can use."""

    vae: str
    """The name of the choice."""
    path: str | None
    """None: the checkpoint's own."""
    in_use: bool
    refusal: Message | None
    """The reason that it cannot be used; None: it can."""


@dataclass(frozen=True, eq=False)
class ComparisonRequest:
    """A request for one comparison."""

    source: RecentPicture | Encoder
    """A kept picture, or one that is to be encoded."""
    vaes: Sequence[str]
    """Names of choices; the one in use is added in front if a kept picture is compared."""
    is_rescue: bool = False
    """Decode a kept picture until it is one: by the VAE in use, with more precision, then by others. No `vaes`."""


class Comparing(Protocol):
    """Comparisons of a host. Methods may be called from any thread, never from inside a generation."""

    @property
    def kept(self) -> RecentLatents:
        """The last pictures, as the latents that they were decoded from; empty on a host that cannot compare."""
        ...

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Return every VAE file and the checkpoint's own, Built-in first.

        No file is opened: one without a record is offered.
        """
        ...

    def order(self, request: ComparisonRequest) -> Sequence[str]:
        """Return the VAEs in decoding order. Raises RefusedError if the picture cannot be compared."""
        ...

    def waits_for(self) -> Message | None:
        """Return the event that a comparison would wait for now; None: it would begin."""
        ...

    def compare(
        self,
        request: ComparisonRequest,
        vaes: Sequence[str],
        *,
        began: Callable[[], None],
        show: Callable[[Decoded], None],
        report: Callable[[ComparisonStep], None],
        look: Callable[[FirstLook], None] | None = None,
        stop: Event,
    ) -> None:
        """Decode by each of `vaes` in turn. The VAE in use is the same afterwards.

        The error of a VAE that cannot decode is shown in its place.

        Args:
            request: The request.
            vaes: Names of choices.
            began: Called after the wait for a running generation.
            show: Receives each picture.
            report: Receives the progress.
            look: Receives the part with the most detail by each VAE, before all whole pictures, if those take much
                longer; None: no part is decoded first.
            stop: Cancels the comparison.

        Raises:
            Cancelled: `stop` was set.
            RefusedError: The picture cannot be compared.
            VaeManagerError: Another failure.
        """
        ...

    def save_folder(self) -> Path:
        """Return the folder for pictures that a person saves."""
        ...

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        """Return `infotext` for the picture that this choice has decoded.

        With `hashed`, a file without a known hash is hashed first, which takes a moment.
        """
        ...


class NoComparing:
    """Comparisons of a WebUI that cannot compare: no picture is kept, and each action is refused."""

    def __init__(self, why_not: Message) -> None:
        self._why_not = why_not
        self.kept = RecentLatents(lambda: 0, lambda: 0)

    def offers(self, records: Mapping[Path, FileRecord]) -> Sequence[Offer]:
        """Implement `Comparing.offers`: empty, so that the page shows no comparison."""
        return []

    def order(self, request: ComparisonRequest) -> Sequence[str]:
        """Raise RefusedError with the reason why this WebUI cannot compare."""
        raise RefusedError(self._why_not)

    def waits_for(self) -> Message | None:
        """Implement `Comparing.waits_for`: None, since `compare` is refused at once."""
        return None

    def compare(self, request: ComparisonRequest, vaes: Sequence[str], **_: object) -> None:
        """Raise RefusedError with the reason why this WebUI cannot compare; no callback is called."""
        raise RefusedError(self._why_not)

    def save_folder(self) -> Path:
        """Raise RefusedError: no picture can be saved."""
        raise RefusedError(self._why_not)

    def infotext(self, infotext: str, vae: str, *, hashed: bool = False) -> str:
        """Raise RefusedError: there is no picture to describe."""
        raise RefusedError(self._why_not)


class HostFiles(Protocol):
    """Files of the WebUI: its folders, its list of VAE files, and how they are downloaded."""

    @property
    def data_folder(self) -> Path:
        """Folder for the project's own state. It is created at the first write."""
        ...

    def folders(self) -> Sequence[Folder]:
        """Return the VAE folders and the checkpoint folders, in the host's order."""
        ...

    def download_folder(self) -> Path:
        """Return the VAE folder for new files: the one that the person set, else the host's; it need not exist."""
        ...

    def encoder_folders(self) -> Sequence[Path]:
        """Return the folders of text encoders, the one for downloads last; empty on a WebUI without such folders."""
        ...

    def other_folders(self) -> Sequence[Path]:
        """Return folders of other programs that may have VAE files: those that the owner named, by setting or flag.

        They need not exist. On a shared WebUI, a change of the setting counts from the next start.
        """
        ...

    def endpoint(self) -> str | None:
        """Return the hub or mirror that the person set; None for the hub library's own."""
        ...

    def token_hosts(self) -> frozenset[str]:
        """Return the hosts of hubs, besides huggingface.co, that get the token saved for it."""
        ...

    def http_hosts(self) -> frozenset[str]:
        """Return the hosts that downloads may ask over plain http."""
        ...

    def connections(self) -> int:
        """Return the most connections that one download may use."""
        ...

    def bandwidth(self) -> float | None:
        """Return the bytes per second that downloads may take; None for no limit."""
        ...

    def converts(self) -> bool:
        """Return True if a download that this host cannot load is converted automatically."""
        ...

    def files(self) -> Mapping[str, str]:
        """Return the host's own list of VAE files: base name -> path."""
        ...

    def refresh(self, gone: Path | None = None) -> None:
        """Reread the host's VAE folders, so that all its dropdowns are current.

        `gone` is a file that was just removed.
        """
        ...

    def may_hash(self) -> bool:
        """Return False if the person asked the WebUI not to hash files."""
        ...


class HostChoice(Protocol):
    """Choice of a VAE: the setting, what it means for the loaded checkpoint, and the preferences of checkpoints."""

    def choice(self) -> Choice:
        """Return the person's own setting, also while a picture is made with an override of it."""
        ...

    def check(self, choice: Choice) -> None:
        """Raise RefusedError if the choice's file cannot go into the loaded model, which stays untouched."""
        ...

    def choose(self, choice: Choice, still_wanted: Callable[[], bool]) -> None:
        """Make `choice` the setting, put its VAE into the model, and save it. Waits for a running generation.

        Raises Cancelled if it is not `still_wanted` after the wait, RefusedError (the model is unchanged) or another
        VaeManagerError (the old VAE is back).
        """
        ...

    def resolution(self) -> Resolution:
        """Return the VAE that the present choice resolves to for the loaded checkpoint."""
        ...

    def follow_setting(self) -> None:
        """Put into the model the VAE that the present choice resolves to, if that is another one.

        Waits and raises as `choose` does.
        """
        ...

    def components(self) -> Sequence[Path]:
        """Return the files beside the checkpoint that the next picture is made with; empty without such a list."""
        ...

    def component_lists(self, presets: Sequence[str]) -> Mapping[str, Sequence[Path]]:
        """Return the lists of files beside a checkpoint: the one in force, and those of these presets of the WebUI.

        By the names of their options; empty on a WebUI without such a list.
        """
        ...

    def use_components(self, lists: Mapping[str, Sequence[Path]]) -> None:
        """Put files into each list, by the names of `component_lists`; the next picture is made with them.

        A VAE replaces the one in its list; everything else in a list stays. Waits for a running generation. Raises
        RefusedError, before any change, on a WebUI without such a list and for a file whose name the WebUI lists for
        another one; DiskError if a list cannot be saved.
        """
        ...

    def checkpoints(self) -> Sequence[str]:
        """Return the files of the checkpoints that the host lists."""
        ...

    def preference(self, checkpoint_file: str) -> str | None:
        """Return the preference in a checkpoint's metadata, in the WebUI's words; None without one."""
        ...

    def prefer(self, checkpoint: str, choice: Choice) -> None:
        """Make `choice` the preference in the loaded checkpoint's metadata; Automatic removes the preference.

        `follow_setting` applies the resulting VAE to the model. `checkpoint` is the name that the person saw. Raises
        RefusedError, also if another one is loaded by now, or DiskError; the metadata is then unchanged.
        """
        ...


class HostModel(Protocol):
    """Model that is loaded, and the VAE in it."""

    @property
    def capability(self) -> HostCapability:
        """The layouts and containers of VAE files that this WebUI can load."""
        ...

    def next_checkpoint(self) -> Path | None:
        """Return the file of the checkpoint that is loaded, or will be for the next picture; None if it is unknown."""
        ...

    def signature(self) -> VaeSignature:
        """Return the VAE of the checkpoint that is loaded, or will be for the next picture."""
        ...

    def in_use(self) -> InUse:
        """Return the VAE in the model at this moment, not the chosen one. Loads no model and waits for no picture."""
        ...

    def generating(self) -> bool:
        """Return True while a picture is being generated."""
        ...

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """Run `work` while no other code touches the model. Not reentrant; never from inside a generation."""
        ...

    def try_out(self, path: Path) -> LatentTest:
        """Test if the VAE file at `path` has the latent space of the loaded checkpoint's own VAE.

        The result is a guess, with its figures. The VAE in use stays. Waits for a running generation, and takes the
        time of three decodes. Raises RefusedError if the file cannot go into the model, or another VaeManagerError.
        """
        ...

    @property
    def comparing(self) -> Comparing:
        """Comparisons: the last pictures, decoded anew by other VAEs."""
        ...


class HostSettings(Protocol):
    """Settings of the WebUI: its visitors, its permissions, its language and its page."""

    @property
    def name(self) -> str:
        """The WebUI's name for messages."""
        ...

    @property
    def version(self) -> str:
        """The version in the WebUI's own words; empty if it is unknown."""
        ...

    @property
    def shared_with_others(self) -> bool:
        """True if the server is reachable from other machines."""
        ...

    @property
    def shows_paths(self) -> bool:
        """True if the reader may see paths of this machine."""
        ...

    def listening(self) -> Listening:
        """Return the reach of the server, and the names that the owner has added."""
        ...

    def refusal(self, permission: Permission, *, remote: bool = False) -> Message | None:
        """Return the reason why this WebUI does not allow `permission`; None if it does.

        `remote`: sent from another machine.
        """
        ...

    def quick_settings(self) -> Sequence[str] | None:
        """Return the names of the options in the quick settings, in order.

        None if the WebUI has no such list, or if it cannot be read.
        """
        ...

    def set_quick_settings(self, names: Sequence[str]) -> None:
        """Save the names of the quick settings, in order; *Reload UI* shows them. Raises RefusedError, DiskError."""
        ...

    def reload_page(self) -> None:
        """Run the WebUI's own *Reload UI*."""
        ...

    def language(self) -> str:
        """Return the name of the WebUI's chosen localization; "None" for English."""
        ...

    def translations(self) -> Mapping[str, str]:
        """Return the WebUI's own table for that language."""
        ...


class Host(HostFiles, HostChoice, HostModel, HostSettings, Protocol):
    """One WebUI. Methods may be called from any thread unless their docstring restricts it."""
