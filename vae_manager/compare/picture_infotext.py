"""What a picture's infotext says of the VAE, in the forms of AUTOMATIC1111's WebUI and of Forge. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final

__all__ = ["with_modules", "with_vae"]

_FIELD: Final = re.compile(r'\s*([\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""As the WebUI reads it (infotext_utils.py:23)."""
_HASH, _NAME, _DECODER = "VAE hash", "VAE", "VAE Decoder"
_MODULE: Final = re.compile(r"Module \d+")
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


def with_modules(infotext: str, vaes: Collection[str], name: str | None, short_hash: str | None) -> str:
    """The same in Forge's form: `Module 1: …, Module 2: …`, VAEs and text encoders in one, without suffixes.

    `vaes` are the names that stand there for VAEs. The VAE comes first, as Forge lists it, and its hash last.
    """
    head, newline, line = infotext.rpartition("\n")
    fields = _fields(line)
    if not fields or fields[0][0] != "Steps":
        return infotext
    quoted = {_quoted(vae) for vae in vaes}
    modules = [value for key, value in fields if _MODULE.fullmatch(key) and value is not None and value not in quoted]
    kept = [(key, value) for key, value in fields if not _MODULE.fullmatch(key) and key not in (_HASH, _NAME)]
    told = [*([_quoted(name)] if name is not None else []), *modules]
    kept += [(f"Module {number}", value) for number, value in enumerate(told, 1)]
    kept += [(_HASH, short_hash)] if short_hash is not None else []
    return head + newline + ", ".join(key if value is None else f"{key}: {value}" for key, value in kept)


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
