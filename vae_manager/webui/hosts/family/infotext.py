"""What infotext says of the VAE: that of the weights which decode, or nothing. Nothing is hashed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ....service import the_service
from . import options

if TYPE_CHECKING:
    from .webui import FamilyWebUI

SHORT_HASH = 10
"""Digits."""


def decoder(host: FamilyWebUI) -> tuple[str | None, str | None]:
    """Name and short hash of the VAE file that decodes now; None for Built-in and where TAESD decodes."""
    if options.read("sd_vae_decode_method", "Full") != "Full":
        return None, None
    model = host.model()
    path = host.vae.path(model) if model is not None else None
    return (Path(path).name if path is not None else None), short_hash(host)


def short_hash(host: FamilyWebUI) -> str | None:
    """The first digits of the SHA-256 of the file whose weights are in the model; None where it is not known yet."""
    model = host.model()
    file = host.vae.path(model) if model is not None else None
    if file is None:
        return None
    hashes = the_service(host.data_folder).hashes
    identity = host.vae.identity(model)
    sha256 = hashes.known_of(identity) if identity is not None else hashes.known(Path(file))
    return sha256[:SHORT_HASH] if sha256 is not None else None
