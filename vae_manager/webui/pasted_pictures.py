"""A pasted picture: what a generation takes for the VAE that it names, and what the page says of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..infotext import Finding, Here, Match, Named, Picture, match
from ..service import Service
from .hosts.host_values import Permission

if TYPE_CHECKING:
    from .hosts.host import Host


@dataclass(frozen=True)
class Pasted:
    """The last pasted picture, and what is known of its VAE by now."""

    picture: Picture
    match: Match

    @property
    def choosable(self) -> str | None:
        """The file to choose, where the pasting has set none: what it has set goes before any choice."""
        return self.match.use if self.picture.taken is None and self.match.finding is not Finding.UNTOLD else None

    @property
    def settled(self) -> bool:
        """There is nothing to say: what the picture names was here, and was taken."""
        return self.match.finding is Finding.AS_NAMED and self.picture.taken is not None


def paste(host: Host, service: Service, named: Named) -> str | None:
    """The WebUI's word for what a generation is to take; None where it is to take nothing but the present choice.

    Quick: hashes that are not known are asked for, and never waited for.
    """
    service.picture = None
    if host.refusal(Permission.CHOOSE_FOR_TAB) is not None:
        return named.name  # whatever is taken changes nothing
    path = host.files().get(named.name)
    if path is None or not Path(path).is_file():
        host.refresh()
    found = _look(host, service, named)
    pasted = Pasted(Picture(named, found.use), found)
    service.picture = None if pasted.settled else pasted.picture
    return found.use


def read_pasted(host: Host, service: Service) -> Pasted | None:
    """What there is to say of the last pasted picture now; it is forgotten once there is nothing."""
    picture = service.picture
    if picture is None:
        return None
    pasted = Pasted(picture, _look(host, service, picture.named))
    if pasted.settled or (pasted.choosable is not None and pasted.choosable == host.choice().word):
        dismiss(service, picture)
        return None
    return pasted


def dismiss(service: Service, picture: Picture) -> None:
    """Say nothing more of `picture`; another one may have been pasted meanwhile."""
    if service.picture is picture:
        service.picture = None


def chosen_for_tab(host: Host, service: Service, word: str) -> None:
    """A tab has chosen `word` for itself: that may be what the page had proposed."""
    pasted = read_pasted(host, service)
    if pasted is not None and pasted.choosable == word:
        dismiss(service, pasted.picture)


def _look(host: Host, service: Service, named: Named) -> Match:
    files = host.files()
    found = match(named, [_here(host, service, name, Path(path)) for name, path in files.items()], service.catalogue)
    service.hash_in_background([Path(files[name]) for name in found.to_learn])
    return found


def _here(host: Host, service: Service, name: str, path: Path) -> Here:
    sha256 = service.stores.hashes.known(path)
    if sha256 is not None:
        return Here(name, sha256)
    learnable = host.may_hash() and service.can_be_hashed(path)
    try:
        size = path.stat().st_size
    except OSError:
        size = None
    return Here(name, service.stores.hashes.known(path), size, learnable)  # it may have become known meanwhile
