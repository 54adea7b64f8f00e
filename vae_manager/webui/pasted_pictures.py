"""A pasted picture: the VAE that a generation uses for its infotext, and the notice that the page then shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..infotext import Finding, LocalFile, Match, NamedVae, Picture, match
from ..service import Service
from .hosts.host_values import Permission

if TYPE_CHECKING:
    from .hosts.host import Host


@dataclass(frozen=True)
class Pasted:
    """The last pasted picture, and the present match of its VAE."""

    picture: Picture
    match: Match

    @property
    def choosable(self) -> str | None:
        """The file that the page proposes, unless the pasting has set one: an override precedes any choice."""
        return self.match.use if self.picture.override is None and self.match.finding is not Finding.UNDECIDED else None

    @property
    def settled(self) -> bool:
        """True if no notice is needed: the VAE of the picture is there, and was used."""
        return self.match.finding is Finding.EXACT and self.picture.override is not None


def paste(host: Host, service: Service, named: NamedVae) -> str | None:
    """Return the WebUI's word for the VAE of the next generation; None to keep the present choice.

    The function is quick: unknown hashes are requested in the background, never waited for.
    """
    service.picture = None
    if host.refusal(Permission.CHOOSE_FOR_TAB) is not None:
        return named.name  # the returned word has no effect
    path = host.files().get(named.name)
    if path is None or not Path(path).is_file():
        host.refresh()
    found = _match(host, service, named)
    pasted = Pasted(Picture(named, found.use), found)
    service.picture = None if pasted.settled else pasted.picture
    return found.use


def local_word(host: Host, service: Service, named: NamedVae) -> str | None:
    """Return the WebUI's word for the local file that matches; None without one. The page shows no notice."""
    return _match(host, service, named).use


def read_pasted(host: Host, service: Service) -> Pasted | None:
    """Return the present notice for the last pasted picture; the picture is dropped once no notice is needed."""
    picture = service.picture
    if picture is None:
        return None
    pasted = Pasted(picture, _match(host, service, picture.named))
    if pasted.settled or (pasted.choosable is not None and pasted.choosable == host.choice().word):
        dismiss(service, picture)
        return None
    return pasted


def dismiss(service: Service, picture: Picture) -> None:
    """Drop the notice for `picture`; another picture may have been pasted meanwhile."""
    if service.picture is picture:
        service.picture = None


def chosen_for_tab(host: Host, service: Service, word: str) -> None:
    """Drop the notice if the tab has chosen `word`, the file that the page proposed."""
    pasted = read_pasted(host, service)
    if pasted is not None and pasted.choosable == word:
        dismiss(service, pasted.picture)


def _match(host: Host, service: Service, named: NamedVae) -> Match:
    files = host.files()
    found = match(
        named, [_local_file(host, service, name, Path(path)) for name, path in files.items()], service.catalogue
    )
    service.hash_in_background([Path(files[name]) for name in found.to_hash])
    return found


def _local_file(host: Host, service: Service, name: str, path: Path) -> LocalFile:
    sha256 = service.stores.hashes.known(path)
    if sha256 is not None:
        return LocalFile(name, sha256)
    can_be_hashed = host.may_hash() and service.can_be_hashed(path)
    try:
        size = path.stat().st_size
    except OSError:
        size = None
    return LocalFile(name, service.stores.hashes.known(path), size, can_be_hashed)  # it may have become known meanwhile
