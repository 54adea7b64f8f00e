"""Adapter of a WebUI that no other adapter fits, or a newer one, without the functions that touch its model."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....choice import AUTOMATIC, Choice
from ....errors import RefusedError
from ....library import scan
from ....messages import Message, msg
from .. import host_values
from ..common.adapter import Decoding, FamilyWebUI
from ..host import Comparing, NoComparing
from ..host_values import Permission, lacking_here

if TYPE_CHECKING:
    from ....service import Service
    from ..common.latents import Latents
    from ..common.vae_state import LoadedVae


class UnknownWebUI(FamilyWebUI):
    """A WebUI whose model is left alone."""

    name = "unknown"

    def __init__(self) -> None:
        super().__init__()
        self._lacking = lacking_here()

    @property
    def vae(self) -> LoadedVae:
        """Raise RefusedError on access: the VAE in the model of this WebUI is unknown."""
        raise RefusedError(self.why_not)

    @property
    def comparing(self) -> Comparing:
        """Comparisons that are all refused, for the reason `why_not`."""
        return NoComparing(self.why_not)

    @property
    def decoding(self) -> Decoding:
        """Raise `why_not`: nothing is decoded here."""
        raise RefusedError(self.why_not)

    @functools.cached_property
    def latents(self) -> Latents:
        """An empty store: no decode is captured."""
        from ..common.latents import Latents

        latents = Latents(lambda model: None)
        latents.kept = NoComparing(self.why_not).kept
        return latents

    @property
    def why_not(self) -> Message:
        """The reason why no VAE can be put into the model here."""
        return msg(
            "VAE Manager does not know this WebUI, or this version of it: it lacks {names}. VAEs can be fetched and "
            "looked at here; choose them in the WebUI's own settings.",
            names=", ".join(self._lacking) or "—",
        )

    def vae_folders(self) -> Sequence[Path]:
        """Return the family's folders, then those of `--vae-dirs`, the flag of some forks."""
        lists = (host_values.flag(name) for name in ("vae_dirs",))
        return [*super().vae_folders(), *(Path(path) for found in lists for path in found or ())]

    def files(self) -> Mapping[str, str]:
        """Return the files on the disk, read anew each time, since the WebUI's own list may have any form."""
        return {file.name: str(file.path) for file in scan(self.folders())}

    def lists(self) -> Sequence[dict[str, str]]:
        """Return no list, so that no list of the WebUI is changed."""
        return []

    def refresh(self, gone: Path | None = None) -> None:
        """Do no work: the files are listed each time."""

    def reread(self) -> None:
        """Do no work, as `refresh`."""

    def add_new_files(self) -> None:
        """Do no work, as `refresh`."""

    def choice_frozen(self) -> Message | None:
        """Return `why_not`, so that the page offers no choice."""
        return self.why_not

    def refusal(self, permission: Permission, *, remote: bool = False) -> Message | None:
        """Refuse changes of the quick settings too; files can be managed as on any other host."""
        if permission is Permission.CHANGE_QUICK_SETTINGS:
            return self.why_not
        return super().refusal(permission, remote=remote)

    def written_choice(self) -> Choice:
        """Return Automatic: the WebUI's own setting is unknown."""
        return AUTOMATIC

    def write_choice(self, choice: Choice) -> None:
        """Raise RefusedError; no option is written."""
        raise RefusedError(self.why_not)

    def apply(self, model: Any, choice: Choice) -> bool:
        """Raise RefusedError; the model is left alone."""
        raise RefusedError(self.why_not)

    def check(self, choice: Choice) -> None:
        """Raise RefusedError for every choice, Automatic included."""
        raise RefusedError(self.why_not)

    def model(self) -> Any:
        """Return None, as if no checkpoint were loaded: its model may have any form."""
        return None

    def before_generation(self) -> None:
        """Leave the model as the WebUI has made it."""

    # Methods for the WebUI's callbacks

    def prepare(self) -> None:
        """Leave the options alone."""

    def guard(self) -> None:
        """Patch no function."""

    def unguard(self) -> None:
        """Do no work: there is no patch."""

    def override_of(self, p: Any) -> str | None:
        """Return None: overrides stay with the WebUI itself."""
        return None

    def set_override(self, p: Any, word: str) -> None:
        """Leave the generation as it is; `choice_frozen` keeps a tab's choice from getting here."""

    def name_decoder(self, p: Any) -> None:
        """Leave the infotext to the WebUI."""

    def infotext_of(self, text: str, path: str | None, short_hash: str | None) -> str:
        """Return `text` unchanged."""
        return text

    def picker(self, component: Any, elem_id: str) -> Any:
        """Return None: no component of the WebUI is updated."""
        return None

    def picker_values(self, words: Sequence[str], chosen: Choice) -> Mapping[str, Any]:
        """Return no values, since `picker` finds no component."""
        return {}

    def name_pasted(self, service: Service, fields: dict[str, Any]) -> None:
        """Leave the pasted fields to the WebUI."""


@functools.cache
def the_host() -> UnknownWebUI:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return UnknownWebUI()
