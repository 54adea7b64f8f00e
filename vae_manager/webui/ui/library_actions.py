"""What a click in the tab "VAE" does. What takes time becomes work of `Maintenance`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...choice import Choice
from ...errors import NameTakenError, NotFoundError, RefusedError, UsageError
from ...library import VaeFile, scan
from ...messages import Message, megabytes, msg
from ...service import Service
from ..hosts.host_values import Permission
from .library_view_model import file_of, vae_folders
from .vae_options import LOOK_ALIKE, allow, choose, family_label, is_listed, judge, needs_conversion
from .views.components import Question

if TYPE_CHECKING:
    from ...library.family_evidence import Guess
    from ...library.moving import LibraryContext
    from ...swap import LatentTest
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
def _around(host: Host, service: Service) -> LibraryContext:
    """The library, for what acts on one of its files. In use is what is in the model, and what the setting says."""
    from ...library.moving import LibraryContext
    from ...records.verdict import verdict

    service.recover(folder.path for folder in host.folders())
    busy = {host.in_use().path, host.files().get(host.choice().word)}
    return LibraryContext(
        files=scan(host.folders()),
        folders=host.folders(),
        in_use=lambda path: str(path) in busy,
        memories=service.maintenance.memories(),
        judge=lambda record: verdict(record, host.capability, host.signature()),
        journal=service.stores.journal,
    )


def _rename(host: Host, service: Service, action: Action) -> None:
    from ...library import moving

    allow(host, Permission.CHANGE_FILES)
    path = file_of(host, service, action["file"]).path
    service.maintenance.renamed(path, moving.rename(path, action["name"].strip(), _around(host, service)))
    host.refresh(gone=path)


def _move(host: Host, service: Service, action: Action) -> None:
    from ...library import moving

    allow(host, Permission.CHANGE_FILES)
    path, folder = file_of(host, service, action["file"]).path, _folder(host, action)
    service.maintenance.renamed(path, moving.move(path, folder, _around(host, service)))
    host.refresh(gone=path)


def _folder(host: Host, action: Action) -> Path:
    """A VAE folder, by its number: a message names no path."""
    folders = vae_folders(host)
    number = action["folder"]
    if number not in map(str, range(len(folders))):
        raise UsageError(msg("The page is out of date. Reload it."))
    return folders[int(number)]


def _delete(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    path = file_of(host, service, action["file"]).path
    service.maintenance.remove(path, _around(host, service))
    host.refresh(gone=path)


def _restore(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    entry = action["entry"]
    try:
        service.maintenance.restore(entry, _around(host, service), action["name"] or None)
    except NameTakenError as error:
        if error.free_name is None:
            raise
        label = msg("Restore as {file}", file=error.free_name)
        again: Action = {"do": "restore-file", "entry": entry, "name": error.free_name}
        raise Question(error.message, label, again) from error
    host.refresh()


def _empty_trash(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    removed = [size for gone, size in service.maintenance.removed.all() if gone.is_noted]
    if not removed:
        raise NotFoundError(msg("Nothing is in the trash."))
    if not action["sure"]:
        size = megabytes(sum(removed))
        message = (
            msg("1 deleted file, {size}, will be gone for good.", size=size)
            if len(removed) == 1
            else msg("{count} deleted files, {size}, will be gone for good.", count=len(removed), size=size)
        )
        label = msg("Empty the trash · {size}", size=size)
        raise Question(message, label, {"do": "empty-trash", "sure": True})
    service.maintenance.empty_trash()


def _adopt(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    allow(host, Permission.ADOPT_FILES)
    if action["how"] not in HOW:
        raise UsageError(msg("The page is out of date. Reload it."))
    source = Path(action["path"].strip().strip('"')).expanduser()  # in quotes, as file managers copy a path
    folder, around = _folder(host, action), _around(host, service)
    service.maintenance.adopt(source, folder, action["how"], around, lambda path: host.refresh())


# -- conversion ----------------------------------------------------------------------------------------------------
def convert(host: Host, service: Service, path: Path, *, use_it: bool) -> None:
    """Convert in the background, into a second file beside; with `use_it`, choose that once it is there."""

    def then(target: Path) -> None:
        host.refresh()
        if use_it:
            is_listed(host, target)
            choose(host, service, Choice(target.name))

    service.maintenance.convert(path, scan(host.folders()), then)


def convert_fetched(host: Host, service: Service, path: Path, *, use: bool) -> bool:
    """Convert what was downloaded, where this WebUI cannot load it and the person has not switched that off."""
    from ...files import inspect

    if not host.converts() or not needs_conversion(judge(host, inspect(path))):
        return False
    convert(host, service, path, use_it=use)
    return True


def _convert(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    if action["use"]:
        allow(host, Permission.CHOOSE)
    convert(host, service, file_of(host, service, action["file"]).path, use_it=action["use"])


# -- looking -------------------------------------------------------------------------------------------------------
def _verify(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.verify(file_of(host, service, action["file"]), host.capability)


def _verify_all(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.verify_all(scan(host.folders()), host.capability)


def _find_duplicates(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.find_duplicates(scan(host.folders()))


def _set_family(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    service.maintenance.set_family(file_of(host, service, action["file"]), action["family"] or None)


def _try_out(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_FILES)
    family = host.in_use().family
    if family not in LOOK_ALIKE:
        raise RefusedError(
            msg("Only a checkpoint of SD 1.x, SD 2.x or SDXL can tell the two families apart. Load one.")
        )
    file = file_of(host, service, action["file"])
    service.maintenance.try_out(file, lambda: _guess(host.try_out(file.path), file, family))


def _guess(result: LatentTest, file: VaeFile, family: str) -> tuple[Guess, Message]:
    """What the latent test says of the family, where there are two."""
    from ...library.family_evidence import Guess

    guessed = family if result.is_same_space else next(other for other in LOOK_ALIKE if other != family)
    told = msg(
        "{file} is probably made for {family}, which is a guess: from a test picture it gives {found} dB, where the "
        "checkpoint's own VAE gives {own} dB.",
        file=file.name,
        family=family_label(guessed),
        found=f"{result.found_db:.1f}",
        own=f"{result.own_db:.1f}",
    )
    return Guess(guessed, round(result.found_db, 1)), told


def _forget_told(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.told = None


def _stop_work(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.stop(action["job"])


def _forget_work(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.forget(action["job"])


def _use(host: Host, service: Service, action: Action) -> None:
    use(host, service, file_of(host, service, action["file"]))


LIBRARY_ACTIONS: Final[dict[str, tuple[Do, dict[str, type]]]] = {
    "use-file": (_use, {"file": str}),
    "convert-file": (_convert, {"file": str, "use": bool}),
    "rename-file": (_rename, {"file": str, "name": str}),
    "move-file": (_move, {"file": str, "folder": str}),
    "delete-file": (_delete, {"file": str}),
    "restore-file": (_restore, {"entry": str, "name": str}),
    "empty-trash": (_empty_trash, {"sure": bool}),
    "forget-told": (_forget_told, {}),
    "adopt-file": (_adopt, {"path": str, "how": str, "folder": str}),
    "verify-file": (_verify, {"file": str}),
    "verify-all": (_verify_all, {}),
    "find-duplicates": (_find_duplicates, {}),
    "refresh-files": (lambda host, service, action: host.refresh(), {}),
    "set-family": (_set_family, {"file": str, "family": str}),
    "try-file": (_try_out, {"file": str}),
    "stop-work": (_stop_work, {"job": str}),
    "forget-work": (_forget_work, {"job": str}),
}
"""What a message may ask for, and the fields that it must bring."""
