"""File names that come from somebody else: a server, an address, a catalogue.

POSIX *and* Windows rules hold on every system: a models folder is often shared between machines.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import RefusedError
from ..sentences import Sentence, say

__all__ = ["COMPANIONS", "VAE_SUFFIXES", "is_vae_file_name", "safe_file_name"]


VAE_SUFFIXES: Final = (".safetensors", ".ckpt", ".pt")
"""What the WebUI lists in a VAE folder (modules/sd_vae.py refresh_vae_list)."""

COMPANIONS: Final = (".aria2", ".part", ".crdownload", ".download", ".opdownload", ".partial")
"""Endings that download programs add to the name of a file while it is not whole, for a file of their own beside it."""

LONGEST: Final = 200
"""Bytes in UTF-8. File systems take 255; the partial file and the journal beside it add to the name."""

_FORBIDDEN: Final = frozenset('<>:"/\\|?*')
# A device whatever follows the first dot: "nul.safetensors" opens the null device on Windows.
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE)


def safe_file_name(name: str) -> str:
    """`name`, if a file of this name can be made inside a folder on any system and nowhere else.

    Raises `RefusedError`; nothing is repaired, since a changed name would be somebody else's file.
    """
    problem = _problem(name)
    if problem is not None:
        raise RefusedError(say("The file name “{name}” cannot be used: {reason}", name=_shown(name), reason=problem))
    return name


def is_vae_file_name(name: str) -> bool:
    """Whether the WebUI would list a file of this name in a VAE folder."""
    return name.lower().endswith(VAE_SUFFIXES)


def _problem(name: str) -> Sentence | None:
    if not name.strip(". "):
        return say("it is empty or only dots.")
    if any(not character.isprintable() for character in name):
        return say("it has a character that cannot be seen.")
    forbidden = sorted(_FORBIDDEN.intersection(name))
    if forbidden:
        return say("it must not have {characters} in it.", characters=" ".join(forbidden))
    if name != name.strip(" ") or name.endswith("."):
        return say("it begins or ends with a space, or ends with a dot.")
    if name.startswith(("-", ".")):
        return say("it begins with a dash or a dot.")
    if _DEVICE.fullmatch(name):
        return say("Windows reserves this name.")
    if len(name.encode()) > LONGEST:
        return say("it is longer than {count} bytes.", count=LONGEST)
    return None


def _shown(name: str) -> str:
    """`name` as one short printable line."""
    return "".join(character if character.isprintable() else "�" for character in name[:80])
