"""Hooks of A1111's functions that load a VAE, and every patch of that WebUI.

A VAE comes into the WebUI's model in four ways. Each follows the setting, and each handles failures differently:

    apply              the page's: the setting is written only once the VAE is in
    before_generation  follows changes on the disk; after a failure the picture is made with the old VAE
    reload             the WebUI's, for its setting, an override, X/Y/Z and cards: raises, so that it takes it back
    load               the WebUI's, for a checkpoint that has been loaded: never raises, the checkpoint has its own VAE

All are called under the WebUI's queue lock, or in the thread that loads the first model.

All code of the WebUI that puts a VAE into the model ends in `sd_vae.load_vae` (a checkpoint is loaded) or
`sd_vae.reload_vae_weights` (the rest: any change of the setting, an override, X/Y/Z, a checkpoint card). Both are
replaced by the project's swap: it refuses unusable files before it touches the model, and after any exception the old
VAE is still in use. The patches are:

    sd_vae.load_vae                     never raises while a checkpoint loads: it starts with its own VAE
    sd_vae.reload_vae_weights           no round trip of the model; raises a sentence
    sd_vae.load_vae_dict                the checkpoint merger's way to a VAE file: read by the project's own reader
    sd_vae.get_loaded_vae_hash          the hash of the weights in the model, or None; never hashes
    processing.decode_latent_batch      every final decode: its latents are kept, for comparisons, the pass that they
                                        belong to may have a VAE of its own, and a picture that is none is rescued
    processing.create_infotext          names the VAE that has rescued a picture
    processing.process_images_inner             knows the generation that decodes
    StableDiffusionProcessingTxt2Img.sample_hr_pass     hires fix may have a VAE of its own
    devices.test_for_nans               names the VAE in its message
    CheckpointUserMetadataEditor.update_vae     waits for a running generation
    process_images of X/Y/Z plot                a cell whose VAE is refused shows the reason

An option removes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import devices, processing, sd_vae

from ....choice import Choice
from ....errors import RefusedError, VaeManagerError
from ....service import the_service
from ....swap import Swapper, read_vae
from .. import host_values
from ..common import options, patches
from ..common.patches import Function, Patch, refuse_pickles
from ..common.vae_state import LoadedVae

if TYPE_CHECKING:
    from ..common.vae_state import VaeState
    from .adapter import A1111

logger = logging.getLogger(__name__)

CARD_EDITOR = "modules.ui_extra_networks_checkpoints_user_metadata:CheckpointUserMetadataEditor"


class LoadHooks:
    """The project's functions for the four ways in which a VAE is loaded."""

    def __init__(self, host: A1111, vae_state: VaeState) -> None:
        self._host = host
        swapper = Swapper(options.memory_for_vaes, options.memory_on_device, host.capability, host.note_damage)
        self.vae = LoadedVae(swapper, vae_state)
        self._followed: str | None = None
        """The setting, in the WebUI's word, that was applied last; the WebUI restores it after a refusal."""

    def apply(self, model: Any, choice: Choice) -> bool:
        """Put the VAE that `choice` means into the loaded model; return False if it is there already."""
        swapped = self._put(model, self._host.resolution_of(choice, model).path, repair=True)
        self._followed = choice.word
        return swapped

    def before_generation(self, model: Any) -> None:
        """Follow changes on the disk: a missing file that is back, a file replaced under its name."""
        choice = self._host.written_choice()
        if self._host.resolution_of(choice, model).missing is not None:
            self._host.add_new_files()
        if self.apply(model, choice):
            self._host.announce(model)

    def load(self, model: Any, path: str | None) -> None:
        """Put the VAE of the setting into `model`, into which a checkpoint has been loaded."""
        if sd_vae.loaded_vae_file is not None or sd_vae.get_base_vae(model) is not None:
            self._put(model, path, by_setting=False)  # a call of another extension
            return
        self.vae.fresh(model)
        choice = self._host.written_choice()
        with suppress(VaeManagerError):  # recorded: the status shows it
            # The WebUI has no default for a family, and its path for one is None.
            self._put(model, path or self._host.resolution_of(choice, model).path)
            self._followed = choice.word

    def reload(self, model: Any, path_of: Callable[[Any], str | None] | None = None) -> Any:
        """Follow the setting, which may be an override; return the model if another VAE is in it now, else None.

        Raises a VaeManagerError, with the old VAE still in use. It does not raise for a `model` that the WebUI passes,
        because it is changing checkpoints then. Nor does it raise at the end of an override: a picture would be lost
        because another user has set an unusable file meanwhile. In both cases the checkpoint has its own VAE
        afterwards.
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
            self.vae.refusal = None  # another choice is made; other options call this too, with the same one
        try:
            swapped = self._put(model, path, repair=not switching, by_setting=by_setting)
        except VaeManagerError:
            if not switching and not ends:
                raise
            swapped = self._put(model, None)
        else:
            self._followed = choice.word if by_setting else self._followed
        if swapped:
            self._host.announce(model)
        return model if swapped else None

    def _put(self, model: Any, path: str | None, *, repair: bool = False, by_setting: bool = True) -> bool:
        swapped = self.vae.put(model, path, anew=repair and self.vae.repair(model), by_setting=by_setting)
        if swapped and path is not None and self._host.may_hash():
            the_service(self._host.data_folder).hash_in_background([Path(path)])
        return swapped


def all_patches() -> Iterator[Patch]:
    """Yield the shared patches, and that of the check for NaN, whose message names the VAE."""
    yield from shared_patches()
    yield Patch(devices, "test_for_nans", _test_for_nans)


def shared_patches() -> Iterator[Patch]:
    """Yield the patches that a fork with the same functions can share."""
    yield Patch(sd_vae, "load_vae", _load_vae, _load_no_pickle)
    yield Patch(sd_vae, "reload_vae_weights", _reload_vae_weights)
    yield Patch(sd_vae, "load_vae_dict", _load_vae_dict, _read_no_pickle)
    yield Patch(sd_vae, "get_loaded_vae_hash", _get_loaded_vae_hash)
    yield Patch(processing, "decode_latent_batch", _decode_latent_batch)
    yield Patch(CARD_EDITOR, "update_vae", _update_vae)
    yield from patches.infotext_patch()
    yield from patches.pass_patches()
    yield from patches.plot_patches()


def _load_vae(host: A1111, _: Function) -> Function:
    def load_vae(model: Any, vae_file: str | None = None, vae_source: str = "from unknown source") -> None:
        host.load_hooks.load(model, vae_file)

    return load_vae


def _load_no_pickle(original: Function) -> Function:
    """Wrap `load_vae` so that a checkpoint that is being loaded starts with its own VAE instead of a pickle."""

    def load_vae(model: Any, vae_file: str | None = None, vae_source: str = "from unknown source") -> None:
        try:
            refuse_pickles(vae_file)
        except RefusedError as refusal:
            logger.warning("%s", refusal)
            vae_file = None
        original(model, vae_file, vae_source)

    return load_vae


def _reload_vae_weights(host: A1111, _: Function) -> Function:
    def reload_vae_weights(sd_model: Any = None, vae_file: Any = sd_vae.unspecified) -> Any:
        if vae_file is sd_vae.unspecified:
            return host.load_hooks.reload(sd_model)
        return host.load_hooks.reload(sd_model, lambda _: vae_file)

    return reload_vae_weights


def _load_vae_dict(host: A1111, _: Function) -> Function:
    def load_vae_dict(filename: str, map_location: Any = None) -> dict[str, Any]:
        return {name: tensor.to(map_location or "cpu") for name, tensor in read_vae(Path(filename)).items()}

    return load_vae_dict


def _read_no_pickle(original: Function) -> Function:
    def load_vae_dict(filename: str, map_location: Any = None) -> Any:
        refuse_pickles(filename)
        return original(filename, map_location)

    return load_vae_dict


def _get_loaded_vae_hash(host: A1111, _: Function) -> Function:
    def get_loaded_vae_hash() -> str | None:
        return patches.short_hash(host)

    return get_loaded_vae_hash


def _decode_latent_batch(host: A1111, original: Function) -> Function:
    def decode_latent_batch(model: Any, batch: Any, target_device: Any = None, check_for_nans: bool = False) -> Any:
        def by_host(part: Any) -> Any:
            return original(model, part, target_device=target_device, check_for_nans=check_for_nans)

        with host.pass_vaes.decoding():
            host.latents.note(model, batch)
            return host.rescuing.decode(by_host, model, batch, target_device)

    return decode_latent_batch


def _test_for_nans(host: A1111, original: Function) -> Function:
    def test_for_nans(x: Any, where: str) -> None:
        try:
            original(x, where)
        except devices.NansException as error:
            if where != "vae" or options.read("sd_vae_decode_method", "Full") != "Full":  # TAESD uses no VAE
                raise
            raise devices.NansException(f"{host.precision.blame()} {error}") from None

    return test_for_nans


def _update_vae(host: A1111, original: Function) -> Function:
    def update_vae(self: Any, name: str) -> None:
        host.run_exclusive(lambda: original(self, name))

    return update_vae
