"""Every patch of the WebUI, in one place.

Whatever puts a VAE into the model ends in `sd_vae.load_vae` (a checkpoint is loaded) or `sd_vae.reload_vae_weights`
(all else: the setting by whatever way, an override, X/Y/Z, a checkpoint card). Both are replaced by the project's swap:
what cannot work is refused before anything is touched, and whatever raises, the old VAE still is in use.

    sd_vae.load_vae                     never raises while a checkpoint loads: it comes up with its own VAE
    sd_vae.reload_vae_weights           no round trip of the model; raises a sentence
    sd_vae.load_vae_dict                the checkpoint merger's way to a VAE file: read by the project's own reader
    sd_vae.get_loaded_vae_hash          the hash of the weights in the model, or none; never hashes
    processing.decode_latent_batch      every final decode: its latents are kept, for comparisons
    devices.test_for_nans               says which VAE it was
    CheckpointUserMetadataEditor.update_vae     waits for a running generation
    process_images of X/Y/Z plot                a cell whose VAE is refused says so

An option takes them off.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import devices, processing, sd_vae

from ....errors import RefusedError
from ....swap import read_vae
from ..common import infotext, plot
from ..common.patching import Function, Patch, refuse_pickles

if TYPE_CHECKING:
    from .adapter import A1111


logger = logging.getLogger(__name__)

CARD_EDITOR = "modules.ui_extra_networks_checkpoints_user_metadata:CheckpointUserMetadataEditor"


def all_patches() -> Iterator[Patch]:
    yield from shared_patches()
    yield Patch(devices, "test_for_nans", _test_for_nans)


def shared_patches() -> Iterator[Patch]:
    """Those that a fork with the same functions can have as they are."""
    yield Patch(sd_vae, "load_vae", _load_vae, _load_no_pickle)
    yield Patch(sd_vae, "reload_vae_weights", _reload_vae_weights)
    yield Patch(sd_vae, "load_vae_dict", _load_vae_dict, _read_no_pickle)
    yield Patch(sd_vae, "get_loaded_vae_hash", _get_loaded_vae_hash)
    yield Patch(processing, "decode_latent_batch", _decode_latent_batch)
    yield Patch(CARD_EDITOR, "update_vae", _update_vae)
    yield from plot.patches()


def _load_vae(host: A1111, _: Function) -> Function:
    def load_vae(model: Any, vae_file: str | None = None, vae_source: str = "from unknown source") -> None:
        host.ways_in.load(model, vae_file)

    return load_vae


def _load_no_pickle(original: Function) -> Function:
    """A checkpoint that is being loaded comes up with its own VAE instead."""

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
            return host.ways_in.reload(sd_model)
        return host.ways_in.reload(sd_model, lambda _: vae_file)

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
        return infotext.short_hash(host)

    return get_loaded_vae_hash


def _decode_latent_batch(host: A1111, original: Function) -> Function:
    def decode_latent_batch(model: Any, batch: Any, target_device: Any = None, check_for_nans: bool = False) -> Any:
        host.latents.note(model, batch)
        return original(model, batch, target_device=target_device, check_for_nans=check_for_nans)

    return decode_latent_batch


def _test_for_nans(host: A1111, original: Function) -> Function:
    def test_for_nans(x: Any, where: str) -> None:
        try:
            original(x, where)
        except devices.NansException as error:
            if where != "vae":
                raise
            raise devices.NansException(f"{host.precision.blame()} {error}") from None

    return test_for_nans


def _update_vae(host: A1111, original: Function) -> Function:
    def update_vae(self: Any, name: str) -> None:
        host.run_exclusive(lambda: original(self, name))

    return update_vae
