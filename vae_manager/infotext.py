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

__all__ = ["BASE_VAE", "HIRES_VAE", "REFINER_VAE", "Finding", "LocalFile", "Match", "NamedVae", "Picture", "match"]

BASE_VAE: Final = "Base VAE"
"""Field of a picture of which one pass had a VAE of its own: the file name of the VAE of the other passes, or `None`
for the checkpoint's own. The fields `VAE` and `VAE hash` are those of the VAE that decoded the picture."""
HIRES_VAE: Final = "Hires VAE"
"""The VAE of the pass of hires fix, if it had one of its own."""
REFINER_VAE: Final = "Refiner VAE"
"""The VAE that decoded after the refiner, if it had one of its own."""

_DIGITS: Final = re.compile(r"[0-9a-f]{10,64}")
_FOLDERS: Final = re.compile(r"^.*[/\\]")


@dataclass(frozen=True)
class NamedVae:
    """The VAE in a picture's infotext."""

    name: str
    """A file's base name, or the WebUI's word for Automatic or Built-in."""
    hash: str | None = None
    """The first digits of the file's SHA-256; None if the picture has no valid ones."""

    @classmethod
    def read(cls, name: str, hash: str | None) -> NamedVae:
        """Read the raw values of an infotext; a `hash` that is not 10 to 64 hexadecimal digits counts as absent."""
        digits = (hash or "").strip().lower()
        return cls(name.strip(), digits if _DIGITS.fullmatch(digits) else None)


@dataclass(frozen=True)
class LocalFile:
    """A VAE file that can be chosen."""

    name: str
    sha256: str | None
    """None if it is not known yet."""
    size: int | None = None
    can_be_hashed: bool = True
    """Its hash can still be computed."""


class Finding(enum.Enum):
    """The result of a match."""

    EXACT = "exact"
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
    MISSING = "missing"
    """The picture has no hash, and no file has the name."""
    UNDECIDED = "undecided"
    """The result depends on hashes that are not known yet."""


@dataclass(frozen=True)
class Match:
    """The local file or catalogue entry for a picture's VAE."""

    finding: Finding
    use: str | None
    """The WebUI's word for the generation; None if no file matches, and the choice stays."""
    same_hash: LocalFile | None = None
    """The local file that has the picture's hash."""
    same_name: LocalFile | None = None
    """The local file that has the picture's name, perhaps in another spelling."""
    entry: Entry | None = None
    """The catalogue's entry with the picture's hash, or, for `OTHER_BYTES` with a holder, that of the file with its
    name."""
    to_hash: tuple[str, ...] = ()
    """Files whose hashes would decide, likeliest first."""
    has_unhashable: bool = False
    """There are files whose hashes cannot be computed."""

    @property
    def offer(self) -> Entry | None:
        """The entry that can be downloaded to get the picture's VAE."""
        settled = self.finding in (Finding.OFFERED, Finding.OTHER_BYTES) and self.same_hash is None
        return self.entry if settled and self.entry is not None and self.entry.offered else None


@dataclass(frozen=True)
class Picture:
    """The last pasted picture with a notice."""

    named: NamedVae
    override: str | None
    """The override that the pasting has set; None if the choice stayed."""


def match(named: NamedVae, files: Sequence[LocalFile], catalogue: Catalogue) -> Match:
    """Find the picture's VAE among the local `files`, in the WebUI's order."""
    if Choice(named.name).file_name is None:
        return Match(Finding.EXACT, named.name)
    same_name = _find_by_name(named.name, files)
    own = same_name.name if same_name is not None else None
    if named.hash is None:
        return Match(_finding_by_name(named, same_name), own, same_name=same_name)
    if same_name is not None and _has_hash(same_name, named.hash):
        return Match(Finding.EXACT, own, same_hash=same_name, same_name=same_name)
    same_hash = next((file for file in files if _has_hash(file, named.hash)), None)
    if same_hash is not None:
        published = _published_entry(same_name, catalogue) if same_name is not None else None
        if published is not None:  # other bytes under a published name are less likely than a wrong hash of a WebUI
            return Match(Finding.OTHER_BYTES, own, same_hash, same_name, published)
        return Match(Finding.OTHER_NAME, same_hash.name, same_hash, same_name)
    return _match_unknown_hash(named, named.hash, same_name, files, catalogue)


def _finding_by_name(named: NamedVae, same_name: LocalFile | None) -> Finding:
    if same_name is None:
        return Finding.MISSING
    return Finding.EXACT if same_name.name == named.name else Finding.BY_NAME


def _find_by_name(name: str, files: Sequence[LocalFile]) -> LocalFile | None:
    """Return the file of that name; else the one whose name differs in its case, its folders or its extension alone."""
    exact = next((file for file in files if file.name == name), None)
    if exact is not None:
        return exact
    base = _FOLDERS.sub("", name).casefold()
    has_extension = base.endswith(VAE_SUFFIXES)
    found = [file for file in files if base == (file.name if has_extension else _stem(file.name)).casefold()]
    return min(found, key=_suffix_rank, default=None)


def _stem(name: str) -> str:
    """Return `name` without an extension of a VAE file; other points belong to the name."""
    extension = next((one for one in VAE_SUFFIXES if name.lower().endswith(one)), "")
    return name[: len(name) - len(extension)]


def _suffix_rank(file: LocalFile) -> int:
    """Order files that differ in their extensions alone."""
    return next(place for place, one in enumerate((*VAE_SUFFIXES, "")) if file.name.lower().endswith(one))


def _match_unknown_hash(
    named: NamedVae, digits: str, same_name: LocalFile | None, files: Sequence[LocalFile], catalogue: Catalogue
) -> Match:
    own = same_name.name if same_name is not None else None
    entry = _find_entry(digits, catalogue)
    unknown = [file for file in files if file.sha256 is None and _may_be(file, entry)]
    if same_name is not None and same_name in unknown:
        if not same_name.can_be_hashed:  # then only the name is left
            return Match(_finding_by_name(named, same_name), own, same_name=same_name)
        return Match(Finding.UNDECIDED, own, same_name=same_name, entry=entry, to_hash=(same_name.name,))
    to_hash = tuple(file.name for file in unknown if file.can_be_hashed)
    if to_hash:
        return Match(Finding.UNDECIDED, own, same_name=same_name, entry=entry, to_hash=to_hash)
    if same_name is not None:
        finding = Finding.OTHER_BYTES
    elif entry is not None:
        finding = Finding.OFFERED if entry.offered else Finding.RECOGNISED
    else:
        finding = Finding.UNKNOWN
    return Match(finding, own, same_name=same_name, entry=entry, has_unhashable=bool(unknown))


def _has_hash(file: LocalFile, digits: str) -> bool:
    return file.sha256 is not None and file.sha256.startswith(digits)


def _may_be(file: LocalFile, entry: Entry | None) -> bool:
    """Return False if the size rules the file out."""
    return entry is None or entry.size is None or file.size in (None, entry.size)


def _find_entry(digits: str, catalogue: Catalogue) -> Entry | None:
    found = [entry for entry in catalogue.entries if entry.sha256.startswith(digits)]
    return next((entry for entry in found if entry.offered), found[0] if found else None)


def _published_entry(file: LocalFile, catalogue: Catalogue) -> Entry | None:
    """Return the entry with the file's bytes, if the file also has a name under which they are published."""
    entry = catalogue.recognise(file.sha256) if file.sha256 is not None else None
    if entry is None or file.name.lower() not in {name.lower() for name in (entry.file_name, *entry.aliases)}:
        return None
    return entry
