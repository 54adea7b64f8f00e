"""The VAE of a pasted infotext, before the WebUI makes an override of it.

`connect_paste` reads the fields, then calls `infotext_pasted`, then fills the page and makes overrides of what is left
(generation_parameters_copypaste.py in 1.6, infotext_utils.py since 1.8). An override of a file that is not there would
be taken for Built-in, without a word (sd_vae.py resolve_vae).
"""

from __future__ import annotations

from typing import Any

from ....pasted import Named
from ....service import Service
from ...pasted_pictures import paste
from .webui import FamilyWebUI

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
