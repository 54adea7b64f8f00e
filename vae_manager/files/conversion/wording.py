"""What was done to a VAE, as people read it."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from ...sentences import Sentence, say

__all__ = ["described"]

_SENTENCES: Final = MappingProxyType(
    {
        "from-checkpoint": say("taken out of a checkpoint"),
        "prefix": say("the prefix of all names taken away"),
        "from-diffusers": say("names changed from diffusers to the WebUI's"),
        "to-diffusers": say("names changed from the WebUI's to diffusers"),
        "names": say("some names changed to the usual ones"),
        "shapes": say("shapes of some weights changed to the WebUI's"),
        "dropped": say("what is no part of the VAE left out"),
        "safetensors": say("a pickle turned into a safetensors file"),
        "fp32": say("numbers changed to fp32"),
        "fp16": say("numbers rounded to fp16"),
        "bf16": say("numbers rounded to bf16"),
    }
)


def described(done: Iterable[str]) -> tuple[Sentence, ...]:
    """The words of `Plan.done` or of a file's metadata as sentences; unknown ones are left out."""
    return tuple(_SENTENCES[word] for word in done if word in _SENTENCES)
