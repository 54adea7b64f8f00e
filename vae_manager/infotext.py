"""Match of a pasted picture's VAE with the local files. Pure: it touches and hashes no file.

Infotext has `VAE: name.safetensors, VAE hash: 0123456789`. The WebUI uses the name; the hash identifies the bytes.
Other programs write the name without its extension, with folders before it, or in other case. A WebUI without the
extension keeps one hash for all VAEs (modules/hashes.py, always with the title "vae") until it finds a younger file, so
a picture may have the hash of another VAE than the one it was made with.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .catalogue import Catalogue, Entry
from .catalogue.entry import VAE_SUFFIXES
from .choice import Choice

__all__ = ["Finding", "Here", "Match", "Named", "Picture", "match"]

_DIGITS: Final = re.compile(r"[0-9a-f]{10,64}")
_FOLDERS: Final = re.compile(r"^.*[/\\]")


@dataclass(frozen=True)
class Named:
    """The VAE in a picture's infotext."""

    name: str
    """A file's base name, or the WebUI's word for Automatic or Built-in."""
    hash: str | None = None
    """The first digits of the file's SHA-256; None if the picture has no valid ones."""

    @classmethod
    def read(cls, name: str, hash: str | None) -> Named:
        digits = (hash or "").strip().lower()
        return cls(name.strip(), digits if _DIGITS.fullmatch(digits) else None)


@dataclass(frozen=True)
class Here:
    """A VAE file that can be chosen."""

    name: str
    sha256: str | None
    """None if it is not known yet."""
    size: int | None = None
    learnable: bool = True
    """Its hash can still be computed."""


class Finding(enum.Enum):
    """The result of a match."""

    AS_NAMED = "as named"
    BY_NAME = "by name"
    """A file has this name except for case, folder or extension, and no hash is decisive."""
    OTHER_NAME = "other name"
    """A file with these bytes has another name."""
    OTHER_BYTES = "other bytes"
    """A file with this name has another hash than the picture's."""
    OFFERED = "offered"
    """The file is missing, and the catalogue offers it."""
    RECOGNISED = "recognised"
    """The file is missing, and the catalogue only recognises it."""
    UNKNOWN = "unknown"
    NOT_HERE = "not here"
    """The picture has no hash, and no file has the name."""
    UNTOLD = "untold"
    """The result depends on hashes that are not known yet."""


@dataclass(frozen=True)
class Match:
    """The local file or catalogue entry for a picture's VAE."""

    finding: Finding
    use: str | None
    """The WebUI's word for the generation; None if no file matches, and the choice stays."""
    holder: Here | None = None
    """The local file that has the picture's hash."""
    name_clash: Here | None = None
    """The local file that has the picture's name, perhaps in another spelling."""
    entry: Entry | None = None
    """The catalogue's entry with the picture's hash, or, for `OTHER_BYTES` with a holder, that of the file with its
    name."""
    to_learn: tuple[str, ...] = ()
    """Files whose hashes would decide, likeliest first."""
    in_the_dark: bool = False
    """There are files whose hashes cannot be computed."""

    @property
    def offer(self) -> Entry | None:
        """The entry that can be downloaded to get the picture's VAE."""
        settled = self.finding in (Finding.OFFERED, Finding.OTHER_BYTES) and self.holder is None
        return self.entry if settled and self.entry is not None and self.entry.offered else None


@dataclass(frozen=True)
class Picture:
    """The last pasted picture with a notice."""

    named: Named
    taken: str | None
    """The override that the pasting has set; None if the choice stayed."""


def match(named: Named, here: Sequence[Here], catalogue: Catalogue) -> Match:
    """Find the picture's VAE among the files that are `here`, in the WebUI's order."""
    if Choice(named.name).file_name is None:
        return Match(Finding.AS_NAMED, named.name)
    name_clash = _namesake(named.name, here)
    own = name_clash.name if name_clash is not None else None
    if named.hash is None:
        return Match(_by_name_alone(named, name_clash), own, name_clash=name_clash)
    if name_clash is not None and _has(name_clash, named.hash):
        return Match(Finding.AS_NAMED, own, holder=name_clash, name_clash=name_clash)
    holder = next((file for file in here if _has(file, named.hash)), None)
    if holder is not None:
        published = _as_published(name_clash, catalogue) if name_clash is not None else None
        if published is not None:  # other bytes under a published name are less likely than a wrong hash of a WebUI
            return Match(Finding.OTHER_BYTES, own, holder, name_clash, published)
        return Match(Finding.OTHER_NAME, holder.name, holder, name_clash)
    return _not_among_known(named, named.hash, name_clash, here, catalogue)


def _by_name_alone(named: Named, name_clash: Here | None) -> Finding:
    if name_clash is None:
        return Finding.NOT_HERE
    return Finding.AS_NAMED if name_clash.name == named.name else Finding.BY_NAME


def _namesake(name: str, here: Sequence[Here]) -> Here | None:
    """Return the file of that name; else the one whose name differs in its case, its folders or its extension alone."""
    exact = next((file for file in here if file.name == name), None)
    if exact is not None:
        return exact
    base = _FOLDERS.sub("", name).casefold()
    has_extension = base.endswith(VAE_SUFFIXES)
    found = [file for file in here if base == (file.name if has_extension else _stem(file.name)).casefold()]
    return min(found, key=_place, default=None)


def _stem(name: str) -> str:
    """Return `name` without an extension of a VAE file; other points belong to the name."""
    extension = next((one for one in VAE_SUFFIXES if name.lower().endswith(one)), "")
    return name[: len(name) - len(extension)]


def _place(file: Here) -> int:
    """Order files that differ in their extensions alone."""
    return next(place for place, one in enumerate((*VAE_SUFFIXES, "")) if file.name.lower().endswith(one))


def _not_among_known(
    named: Named, digits: str, name_clash: Here | None, here: Sequence[Here], catalogue: Catalogue
) -> Match:
    own = name_clash.name if name_clash is not None else None
    entry = _entry(digits, catalogue)
    unknown = [file for file in here if file.sha256 is None and _may_be(file, entry)]
    if name_clash is not None and name_clash in unknown:
        if not name_clash.learnable:  # then only the name is left
            return Match(_by_name_alone(named, name_clash), own, name_clash=name_clash)
        return Match(Finding.UNTOLD, own, name_clash=name_clash, entry=entry, to_learn=(name_clash.name,))
    to_learn = tuple(file.name for file in unknown if file.learnable)
    if to_learn:
        return Match(Finding.UNTOLD, own, name_clash=name_clash, entry=entry, to_learn=to_learn)
    if name_clash is not None:
        finding = Finding.OTHER_BYTES
    elif entry is not None:
        finding = Finding.OFFERED if entry.offered else Finding.RECOGNISED
    else:
        finding = Finding.UNKNOWN
    return Match(finding, own, name_clash=name_clash, entry=entry, in_the_dark=bool(unknown))


def _has(file: Here, digits: str) -> bool:
    return file.sha256 is not None and file.sha256.startswith(digits)


def _may_be(file: Here, entry: Entry | None) -> bool:
    """Return False if the size rules the file out."""
    return entry is None or entry.size is None or file.size in (None, entry.size)


def _entry(digits: str, catalogue: Catalogue) -> Entry | None:
    found = [entry for entry in catalogue.entries if entry.sha256.startswith(digits)]
    return next((entry for entry in found if entry.offered), found[0] if found else None)


def _as_published(file: Here, catalogue: Catalogue) -> Entry | None:
    """Return the entry with the file's bytes, if the file also has a name under which they are published."""
    entry = catalogue.recognise(file.sha256) if file.sha256 is not None else None
    if entry is None or file.name.lower() not in {name.lower() for name in (entry.file_name, *entry.aliases)}:
        return None
    return entry
