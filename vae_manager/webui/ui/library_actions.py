"""What a click in the tab "VAE" does. What takes time becomes work of `Upkeep`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ...choice import Choice
from ...errors import RefusedError, UsageError
from ...library import VaeFile, scan
from ...sentences import say
from ...service import Service
from ..hosts.acts import Act
from .choosing import allow, choose, is_listed
from .library_facts import file_of

if TYPE_CHECKING:
    from ..hosts.host import Host

Action = dict[str, Any]
Do = Callable[["Host", Service, Action], None]

HOW: Final = ("copy", "move", "link")


def use(host: Host, service: Service, file: VaeFile) -> None:
    """Choose the file, if the WebUI means it by its name."""
    host.refresh()
    is_listed(host, file.path)
    choose(host, service, Choice(file.name))


# -- files ---------------------------------------------------------------------------------------------------------
def _changeable(host: Host, service: Service, action: Action) -> VaeFile:
    """The file that is to be renamed, moved or deleted. Raises RefusedError while it is in use or chosen."""
    allow(host, Act.CHANGE_FILES)
    file = file_of(host, service, action["file"])
    if host.in_use().path is not None and Path(str(host.in_use().path)) == file.path:
        raise RefusedError(say("{file} is in use. Choose another VAE first. Nothing was changed.", file=file.name))
    if host.choice().file_name == file.name and host.files().get(file.name) == str(file.path):
        raise RefusedError(
            say("{file} is what the setting SD VAE says. Choose another VAE first. Nothing was changed.",
                file=file.name)
        )  # fmt: skip
    return file


def _rename(host: Host, service: Service, action: Action) -> None:
    from ...library import moving

    file = _changeable(host, service, action)
    service.upkeep.renamed(file.path, moving.rename(file.path, action["name"]))
    host.refresh()


def _move(host: Host, service: Service, action: Action) -> None:
    from ...library import moving

    file = _changeable(host, service, action)
    service.upkeep.renamed(file.path, moving.move(file.path, _folder(host, action)))
    host.refresh()


def _folder(host: Host, action: Action) -> Path:
    """A VAE folder, by its number: a message names no path."""
    folders = list(dict.fromkeys(folder.path for folder in host.folders() if folder.purpose == "vae"))
    number = action["folder"]
    if not number.isdecimal() or int(number) >= len(folders):
        raise UsageError(say("The page is out of date. Reload it."))
    return folders[int(number)]


def _delete(host: Host, service: Service, action: Action) -> None:
    file = _changeable(host, service, action)
    service.upkeep.remove(file.path)
    host.refresh()


def _undo(host: Host, service: Service, action: Action) -> None:
    allow(host, Act.CHANGE_FILES)
    service.upkeep.undo()
    host.refresh()


def _adopt(host: Host, service: Service, action: Action) -> None:
    allow(host, Act.CHANGE_FILES)
    allow(host, Act.ADOPT_FILES)
    if action["how"] not in HOW:
        raise UsageError(say("The page is out of date. Reload it."))
    source = Path(action["path"].strip().strip('"')).expanduser()  # as file managers copy a path
    how = cast(Literal["copy", "move", "link"], action["how"])
    service.upkeep.adopt(source, _folder(host, action), how, lambda path: host.refresh())


# -- conversion ----------------------------------------------------------------------------------------------------
def convert(host: Host, service: Service, path: Path, *, use_it: bool) -> None:
    """Convert in the background, into a second file beside; with `use_it`, choose that once it is there."""

    def then(target: Path) -> None:
        host.refresh()
        if use_it:
            is_listed(host, target)
            choose(host, service, Choice(target.name))

    service.upkeep.convert(path, then)


def convert_fetched(host: Host, service: Service, path: Path, *, use: bool) -> bool:
    """Convert what was downloaded, where this WebUI cannot load it and the person has not switched that off."""
    from ...files import inspect

    if not host.converts() or not inspect(path).convertible:
        return False
    convert(host, service, path, use_it=use)
    return True


def _convert(host: Host, service: Service, action: Action) -> None:
    allow(host, Act.CHANGE_FILES)
    if action["use"]:
        allow(host, Act.CHOOSE)
    convert(host, service, file_of(host, service, action["file"]).path, use_it=action["use"])


# -- looking -------------------------------------------------------------------------------------------------------
def _verify(host: Host, service: Service, action: Action) -> None:
    service.upkeep.verify(file_of(host, service, action["file"]))


def _verify_all(host: Host, service: Service, action: Action) -> None:
    service.upkeep.verify_all(scan(host.folders()))


def _find_duplicates(host: Host, service: Service, action: Action) -> None:
    service.upkeep.find_duplicates(scan(host.folders()))


def _set_family(host: Host, service: Service, action: Action) -> None:
    allow(host, Act.CHANGE_FILES)
    service.upkeep.set_family(file_of(host, service, action["file"]), action["family"] or None)


def _forget_told(host: Host, service: Service, action: Action) -> None:
    service.upkeep.told = None


LIBRARY_ACTIONS: Final[dict[str, tuple[Do, dict[str, type]]]] = {
    "use-file": (lambda host, service, action: use(host, service, file_of(host, service, action["file"])), {"file": str}),
    "convert-file": (_convert, {"file": str, "use": bool}),
    "rename-file": (_rename, {"file": str, "name": str}),
    "move-file": (_move, {"file": str, "folder": str}),
    "delete-file": (_delete, {"file": str}),
    "undo-delete": (_undo, {}),
    "forget-delete": (lambda host, service, action: service.upkeep.forget_removed(), {}),
    "forget-told": (_forget_told, {}),
    "adopt-file": (_adopt, {"path": str, "how": str, "folder": str}),
    "verify-file": (_verify, {"file": str}),
    "verify-all": (_verify_all, {}),
    "find-duplicates": (_find_duplicates, {}),
    "refresh-files": (lambda host, service, action: host.refresh(), {}),
    "set-family": (_set_family, {"file": str, "family": str}),
    "stop-work": (lambda host, service, action: service.upkeep.stop(action["job"]), {"job": str}),
    "forget-work": (lambda host, service, action: service.upkeep.forget(action["job"]), {"job": str}),
}
"""What a message may ask for, and the fields that it must bring."""
