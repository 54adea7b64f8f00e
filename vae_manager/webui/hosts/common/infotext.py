"""Infotext and the VAE: the one that decoded, and the one that a pasted infotext names. Nothing is hashed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....infotext_match import Named
from ....service import Service, the_service
from ...pasted_pictures import paste
from .. import host_values
from . import options
from .webui import FamilyWebUI

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


NAME, HASH = "VAE", "VAE hash"


def into_fields(host: FamilyWebUI, service: Service, fields: dict[str, Any]) -> None:
    """Let the fields of an infotext name the VAE that a generation is to take."""
    name = fields.get(NAME)
    if not name:  # made with Built-in, or the person has the WebUI skip it
        service.picture = None
        return
    word = paste(host, service, Named.read(str(name), fields.get(HASH)))
    if word is None:
        del fields[NAME]
    else:
        fields[NAME] = word


FILE: Final = "params.txt"


def follow(host: FamilyWebUI, p: Any) -> None:
    """Let the infotext of `p` name the VAE that has decoded its batch.

    params.txt, which is that of the first batch, follows if a refiner or a hires checkpoint has brought another VAE.
    """
    before = p.sd_vae_name, p.sd_vae_hash
    host.name_decoder(p)
    if (p.sd_vae_name, p.sd_vae_hash) == before or p.iteration or host_values.flag("no_prompt_history", False):
        return
    path = host_values.data_path() / FILE
    text = path.read_text(encoding="utf-8")
    model = host.model()
    file = host.vae.path(model) if p.sd_vae_name is not None else None
    named = host.infotext_of(text, file, p.sd_vae_hash)
    if named != text:
        path.write_text(named, encoding="utf-8")
