"""What infotext says of the VAE: that of the weights which decode, or nothing. Nothing is hashed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules import sd_models, sd_vae

from ....service import the_service
from . import options

if TYPE_CHECKING:
    from .adapter import A1111

SHORT_HASH = 10
"""Digits."""


def decoder(host: A1111) -> tuple[str | None, str | None]:
    """Name and short hash of the VAE file that decodes now; None for Built-in and where TAESD decodes."""
    if options.read("sd_vae_decode_method", "Full") != "Full":
        return None, None
    return sd_vae.get_loaded_vae_name(), short_hash(host)


def short_hash(host: A1111) -> str | None:
    """The first digits of the SHA-256 of the file whose weights are in the model; None where it is not known yet."""
    model, file = sd_models.model_data.sd_model, sd_vae.loaded_vae_file
    if model is None or file is None:
        return None
    hashes = the_service(host.data_folder).hashes
    identity = host.vae.identity(model)
    sha256 = hashes.known_of(identity) if identity is not None else hashes.known(Path(file))
    return sha256[:SHORT_HASH] if sha256 is not None else None
