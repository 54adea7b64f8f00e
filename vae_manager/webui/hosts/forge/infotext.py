"""What Forge's infotext says of the VAE: `Module 1: name` among the text encoders, without suffix; with its hash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules_forge import main_entry

from ....compare.picture_infotext import with_modules
from ....infotext_match import Named
from ....service import Service
from ...pasted_pictures import paste
from ..common import infotext
from . import modules_list

if TYPE_CHECKING:
    from .adapter import Forge

DECODED_BY = "vae_manager_decoded_by"
"""On a generation: path and short hash of the VAE that decoded its last batch."""
PASTED = "VAE/TE"
"""The field in which Forge gathers what is to be overridden (infotext_utils.py:459): base names, or stems of files that
are not there."""
HASH = "VAE hash"


def decoder(host: Forge) -> tuple[str | None, str | None]:
    """Path and short hash of the VAE file that decodes now; None for Built-in and where TAESD decodes."""
    name, short_hash = infotext.decoder(host)
    return (host.vae.path(host.model()) if name is not None else None), short_hash


def with_decoder(text: str, files: Sequence[str] | None, path: str | None, short_hash: str | None) -> str:
    """`text` with the VAE at `path` in the place of those that stand there. `files` are the modules that it names; None
    where they are to be found by their stems."""
    named = files if files is not None else list(main_entry.module_list.values())
    vaes = [Path(file).stem for file in modules_list.sort_out(named).vaes]
    return with_modules(text, vaes, Path(path).stem if path is not None else None, short_hash)


def into_fields(host: Forge, service: Service, fields: dict[str, Any]) -> None:
    """Let a pasted picture name the file that has its VAE's bytes, whatever that is called here."""
    asked = fields.get(PASTED)
    service.picture = None
    if not isinstance(asked, list):
        return
    kept = []
    for name in asked:
        path = modules_list.found(name)
        if path is not None and not modules_list.is_vae(path):
            kept.append(name)
            continue
        word = paste(host, service, Named.read(name, fields.get(HASH)))
        if word is not None:
            kept.append(word)
    fields[PASTED] = kept
