"""Handlers of the library's actions. Long work becomes a job of `Maintenance`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue.local_path import local_path
from ...choice import Choice
from ...errors import NameTakenError, NotFoundError, RefusedError, UsageError
from ...library import VaeFile, scan
from ...messages import Message, megabytes, msg
from ...service import Service
from ..hosts.host_values import Permission
from . import actions
from .actions import handles
from .library_view_model import file_of, vae_folders
from .rendering import Question
from .vae_options import LOOK_ALIKE, allow, choose, family_label, is_listed, judge, needs_conversion

if TYPE_CHECKING:
    from ...library.family_evidence import LatentTestGuess
    from ...library.moving import LibraryContext
    from ...swap import LatentTest
    from ..hosts.host import Host


def use(host: Host, service: Service, file: VaeFile) -> None:
    """Choose the file, if its name means this file to the WebUI."""
    host.refresh()
    is_listed(host, file.path)
    choose(host, service, Choice(file.name))


# -- files ---------------------------------------------------------------------------------------------------------
def _around(host: Host, service: Service) -> LibraryContext:
    """Return the context for an action on one file. In use are the file in the model and the file of the setting."""
    from ...library.moving import LibraryContext
    from ...records.verdict import verdict

    service.recover(folder.path for folder in host.folders())
    busy = {host.in_use().path, host.files().get(host.choice().word)}
    return LibraryContext(
        files=scan(host.folders()),
        folders=host.folders(),
        in_use=lambda path: str(path) in busy,
        renaming=service.maintenance.renamed,
        memories=service.maintenance.memories(),
        judge=lambda record: verdict(record, host.capability, host.signature()),
        journal=service.stores.journal,
    )


@handles(actions.RenameFile)
def _rename(host: Host, service: Service, action: actions.RenameFile) -> None:
    from ...library import moving

    allow(host, Permission.CHANGE_FILES)
    path = file_of(host, service, action.file).path
    moving.rename(path, action.name.strip(), _around(host, service))
    host.refresh(gone=path)


@handles(actions.MoveFile)
def _move(host: Host, service: Service, action: actions.MoveFile) -> None:
    from ...library import moving

    allow(host, Permission.CHANGE_FILES)
    path, folder = file_of(host, service, action.file).path, _folder(host, action.folder)
    moving.move(path, folder, _around(host, service))
    host.refresh(gone=path)


def _folder(host: Host, number: str) -> Path:
    """Return a VAE folder by its number: a message names no path."""
    folders = vae_folders(host)
    if number not in map(str, range(len(folders))):
        raise UsageError(msg("The page is out of date. Reload it."))
    return folders[int(number)]


@handles(actions.DeleteFile)
def _delete(host: Host, service: Service, action: actions.DeleteFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    path = file_of(host, service, action.file).path
    service.maintenance.remove(path, _around(host, service))
    host.refresh(gone=path)


@handles(actions.RestoreFile)
def _restore(host: Host, service: Service, action: actions.RestoreFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    entry = action.entry
    try:
        service.maintenance.restore(entry, _around(host, service), action.name or None)
    except NameTakenError as error:
        if error.free_name is None:
            raise
        label = msg("Restore as {file}", file=error.free_name)
        again = actions.RestoreFile(entry, error.free_name)
        raise Question(error.message, label, again.as_dict()) from error
    host.refresh()


@handles(actions.EmptyTrash)
def _empty_trash(host: Host, service: Service, action: actions.EmptyTrash) -> None:
    allow(host, Permission.CHANGE_FILES)
    removed = [size for gone, size in service.maintenance.removed.all() if gone.is_noted]
    if not removed:
        raise NotFoundError(msg("Nothing is in the trash."))
    if not action.sure:
        size = megabytes(sum(removed))
        message = (
            msg("1 deleted file, {size}, will be gone for good.", size=size)
            if len(removed) == 1
            else msg("{count} deleted files, {size}, will be gone for good.", count=len(removed), size=size)
        )
        label = msg("Empty the trash · {size}", size=size)
        raise Question(message, label, actions.EmptyTrash(sure=True).as_dict())
    service.maintenance.empty_trash()


@handles(actions.AdoptFile)
def _adopt(host: Host, service: Service, action: actions.AdoptFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    allow(host, Permission.ADOPT_FILES)
    source = local_path(action.path.strip().strip('"'))  # in quotes, as file managers copy a path
    folder, around = _folder(host, action.folder), _around(host, service)
    service.maintenance.adopt(source, folder, action.how, around, lambda path: host.refresh())


# -- conversion ----------------------------------------------------------------------------------------------------
def convert(host: Host, service: Service, path: Path, *, use_it: bool) -> None:
    """Convert in the background, into a second file beside the first; with `use_it`, choose the result afterwards."""

    def then(target: Path) -> None:
        host.refresh()
        if use_it:
            is_listed(host, target)
            choose(host, service, Choice(target.name))

    service.maintenance.convert(path, scan(host.folders()), then)


def convert_fetched(host: Host, service: Service, path: Path, *, use: bool) -> bool:
    """Convert a downloaded file if this WebUI cannot load it and the user has not switched conversions off."""
    from ...files import inspect

    if not host.converts() or not needs_conversion(judge(host, inspect(path))):
        return False
    convert(host, service, path, use_it=use)
    return True


@handles(actions.ConvertFile)
def _convert(host: Host, service: Service, action: actions.ConvertFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    if action.use:
        allow(host, Permission.CHOOSE)
    convert(host, service, file_of(host, service, action.file).path, use_it=action.use)


# -- looking -------------------------------------------------------------------------------------------------------
@handles(actions.VerifyFile)
def _verify(host: Host, service: Service, action: actions.VerifyFile) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.verify(file_of(host, service, action.file), host.capability)


@handles(actions.KeepFile)
def _keep(host: Host, service: Service, action: actions.KeepFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    service.maintenance.keep(file_of(host, service, action.file), host.capability)


@handles(actions.VerifyAll)
def _verify_all(host: Host, service: Service, action: actions.VerifyAll) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.verify_all(scan(host.folders()), host.capability)


@handles(actions.FindDuplicates)
def _find_duplicates(host: Host, service: Service, action: actions.FindDuplicates) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.find_duplicates(scan(host.folders()))


@handles(actions.SetFamily)
def _set_family(host: Host, service: Service, action: actions.SetFamily) -> None:
    allow(host, Permission.CHANGE_FILES)
    service.maintenance.set_family(file_of(host, service, action.file), action.family or None)


@handles(actions.TryFile)
def _try_out(host: Host, service: Service, action: actions.TryFile) -> None:
    allow(host, Permission.CHANGE_FILES)
    family = host.in_use().family
    if family not in LOOK_ALIKE:
        raise RefusedError(
            msg("Only a checkpoint of SD 1.x, SD 2.x or SDXL can tell the two families apart. Load one.")
        )
    file = file_of(host, service, action.file)
    service.maintenance.try_out(file, lambda: _guess(host.try_out(file.path), file, family))


def _guess(result: LatentTest, file: VaeFile, family: str) -> tuple[LatentTestGuess, Message]:
    """Return the family that follows from the latent test, of the two possible ones, with a notice."""
    from ...library.family_evidence import LatentTestGuess

    guessed = family if result.is_same_space else next(other for other in LOOK_ALIKE if other != family)
    told = msg(
        "{file} is probably made for {family}, which is a guess: from a test picture it gives {found} dB, where the "
        "checkpoint's own VAE gives {own} dB.",
        code="probably-made-for",
        file=file.name,
        family=family_label(guessed),
        found=f"{result.found_db:.1f}",
        own=f"{result.own_db:.1f}",
    )
    return LatentTestGuess(guessed, round(result.found_db, 1)), told


@handles(actions.ForgetTold)
def _forget_told(host: Host, service: Service, action: actions.ForgetTold) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.notice = None


@handles(actions.StopWork)
def _stop_work(host: Host, service: Service, action: actions.StopWork) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.stop(action.job)


@handles(actions.ForgetWork)
def _forget_work(host: Host, service: Service, action: actions.ForgetWork) -> None:
    allow(host, Permission.CHECK_FILES)
    service.maintenance.forget(action.job)


@handles(actions.UseFile)
def _use(host: Host, service: Service, action: actions.UseFile) -> None:
    use(host, service, file_of(host, service, action.file))


@handles(actions.RefreshFiles)
def _refresh(host: Host, service: Service, action: actions.RefreshFiles) -> None:
    host.refresh()
