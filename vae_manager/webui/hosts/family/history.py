"""params.txt, the infotext of the last picture: the WebUI writes it before the picture is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import host_values

if TYPE_CHECKING:
    from .webui import FamilyWebUI

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
