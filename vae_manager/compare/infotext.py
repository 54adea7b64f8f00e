"""What a picture's infotext says of the VAE, in the form of AUTOMATIC1111's WebUI. Pure."""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["with_vae"]

_FIELD: Final = re.compile(r'\s*([\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""As the WebUI reads it (infotext_utils.py:23)."""
_HASH, _NAME, _DECODER = "VAE hash", "VAE", "VAE Decoder"
_BEFORE_VAE: Final = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Face restoration", "Size"),
    *("Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA"),
)
"""What stands before them where it stands there (processing.py:744)."""


def with_vae(infotext: str, name: str | None, short_hash: str | None) -> str:
    """`infotext` of a picture that the VAE of this file name and hash decoded; None: is not told.

    What is no infotext stays as it is.
    """
    head, newline, line = infotext.rpartition("\n")
    fields = [(key, value) for key, value in _fields(line) if key not in (_HASH, _NAME, _DECODER)]
    if not fields or fields[0][0] != "Steps":
        return infotext
    place = 0
    while place < len(fields) and fields[place][0] in _BEFORE_VAE:
        place += 1
    told = [(key, _quoted(value)) for key, value in ((_HASH, short_hash), (_NAME, name)) if value is not None]
    fields[place:place] = told
    return head + newline + ", ".join(key if value is None else f"{key}: {value}" for key, value in fields)


def _fields(line: str) -> list[tuple[str, str | None]]:
    """Name and value, as it is written, of each part; of one without a colon, no value."""
    fields: list[tuple[str, str | None]] = []
    at = 0
    while at < len(line):
        found = _FIELD.match(line, at)
        if found is None:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            fields.append((line[at:end].strip(), None))
            at = end + 1
        else:
            fields.append((found[1].strip(), found[2]))
            at = found.end()
    return fields


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",\n:") else value
