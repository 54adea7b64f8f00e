"""The ways by which a VAE comes into the WebUI's model: each follows the setting, and each its own rules of failing.

    apply              the page's: the setting is written only once the VAE is in
    before_generation  follows what has changed on the disk; the picture is made with the old VAE where that fails
    reload             the WebUI's, for its setting, an override, X/Y/Z and cards: raises, so that it takes it back
    load               the WebUI's, for a checkpoint that has been loaded: never raises, the checkpoint has its own VAE

All are called under the WebUI's queue lock, or in the thread that loads the first model.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import sd_vae

from ....choice import Choice
from ....errors import VaeManagerError
from ....service import the_service
from ....swap import Swapper
from .. import host_values
from ..common import options
from ..common.loaded import LoadedVae

if TYPE_CHECKING:
    from ..common.books import Books
    from .adapter import A1111


class WaysIn:
    def __init__(self, host: A1111, books: Books) -> None:
        self._host = host
        swapper = Swapper(options.memory_for_vaes, options.memory_on_device, host.capability, host.note_damage)
        self.vae = LoadedVae(swapper, books)
        self._followed: str | None = None
        """The setting, in the WebUI's word, that was followed last; the WebUI puts it back after a refusal."""

    def apply(self, model: Any, choice: Choice) -> bool:
        """Put the VAE that `choice` means into the loaded model; False where it is there already."""
        swapped = self._put(model, self._host.resolution_of(choice, model).path, mend=True)
        self._followed = choice.word
        return swapped

    def before_generation(self, model: Any) -> None:
        """Follow what has changed on the disk: a missing file that is back, a file replaced under its name."""
        choice = self._host.written_choice()
        if self._host.resolution_of(choice, model).missing is not None:
            self._host.add_new_files()
        if self.apply(model, choice):
            self._host.announce(model)

    def load(self, model: Any, path: str | None) -> None:
        """A checkpoint has been loaded into `model`: give it its VAE."""
        if sd_vae.loaded_vae_file is not None or sd_vae.get_base_vae(model) is not None:
            self._put(model, path, by_setting=False)  # another extension's call
            return
        self.vae.fresh(model)
        choice = self._host.written_choice()
        with suppress(VaeManagerError):  # noted: the status says it
            # The WebUI knows no default for a family, and calls what that is for "none".
            self._put(model, path or self._host.resolution_of(choice, model).path)
            self._followed = choice.word

    def reload(self, model: Any, path_of: Callable[[Any], str | None] | None = None) -> Any:
        """Follow the setting, which may be an override; the model where another VAE is in it now, else None.

        Raises a VaeManagerError, the old VAE being in use still. Not for a `model` that the WebUI names: it is changing
        checkpoints then. Nor at the end of an override, when a picture would be lost because somebody has meanwhile
        set what cannot be used. The checkpoint has its own VAE then.
        """
        switching = model is not None
        model = model if switching else host_values.needed("modules.shared", "sd_model")
        if model is None:
            return None
        choice = self._host.written_choice()
        path = path_of(model) if path_of is not None else self._host.resolution_of(choice, model).path
        ends = self._host.override.ends_with(choice.word)
        by_setting = path_of is None and (ends or not self._host.override.is_in_force)
        if by_setting and not switching and not ends and choice.word != self._followed:
            self.vae.refusal = None  # another choice is made; other options lead here too, with the same one
        try:
            swapped = self._put(model, path, mend=not switching, by_setting=by_setting)
        except VaeManagerError:
            if not switching and not ends:
                raise
            swapped = self._put(model, None)
        else:
            self._followed = choice.word if by_setting else self._followed
        if swapped:
            self._host.announce(model)
        return model if swapped else None

    def _put(self, model: Any, path: str | None, *, mend: bool = False, by_setting: bool = True) -> bool:
        swapped = self.vae.put(model, path, anew=mend and self.vae.heal(model), by_setting=by_setting)
        if swapped and path is not None and self._host.may_hash():
            the_service(self._host.data_folder).hash_in_background([Path(path)])
        return swapped
