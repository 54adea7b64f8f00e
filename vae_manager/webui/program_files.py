"""Files, catalogue, components, choices and downloads for programs: what the page shows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..catalogue import Entry
from ..choice import AUTOMATIC, BUILTIN, Choice
from ..errors import NotFoundError, RefusedError, UsageError
from ..jobs import JobState
from ..library import scan
from ..library.needs import fields_of
from ..messages import Message, msg
from ..records.verdict import VERDICT_NAMES, Verdict
from . import program_models as models
from .program_jobs import failure, shown_path
from .ui import actions
from .ui.page_handlers import get, get_from, get_needs, managed
from .ui.vae_options import CHOICE_KEY, can_use, choose, judge, needs_conversion, read_options

if TYPE_CHECKING:
    from ..downloads import Download
    from ..service import Service
    from .hosts.host import Host

__all__ = [
    "begin_download",
    "begin_needs",
    "cancel_download",
    "catalogue",
    "choose_vae",
    "downloads",
    "needs",
    "status",
    "vaes",
]

UNKNOWN: Final = "unknown"
"""What is said of a file that was not read yet."""


# -- reading -------------------------------------------------------------------------------------------------------
def status(host: Host, service: Service, _: object) -> Any:
    """Return the VAE in the model, and why."""
    in_use, choice, resolution = host.in_use(), host.choice(), host.resolution()
    sha256 = service.stores.hashes.known(Path(in_use.path)) if in_use.path is not None else None
    entry = service.catalogue.recognise(sha256) if sha256 is not None else None
    files = scan(host.folders())
    service.maintenance.inspect(files)
    file = next((one for one in files if str(one.path) == in_use.path), None)
    answer = judge(host, service.maintenance.records(files).get(file.path)) if file is not None else None
    checked = service.stores.verifications.of(file) if file is not None else None
    return {
        "checkpoint": in_use.checkpoint,
        "vae": _name(in_use.path),
        "path": in_use.path if host.shows_paths else None,
        "sha256": sha256,
        "entry": entry.id if entry is not None else None,
        "dtype": in_use.dtype,
        "verdict": VERDICT_NAMES[type(answer)] if answer is not None else None,
        "verification": checked.outcome.value if checked is not None else None,
        "choice": choice.word,
        "resolves_to": _name(resolution.path),
        "rule": resolution.rule.value,
        "is_in_use": in_use.checkpoint is not None and in_use.path == resolution.path,
        "refused": failure(in_use.refusal.message if in_use.refusal is not None else None, host),
        "is_generating": host.generating(),
    }


def _name(path: str | None) -> str | None:
    return Path(path).name if path is not None else None


def vaes(host: Host, service: Service, _: object) -> Any:
    """Return the VAE files that the WebUI lists."""
    files = scan(host.folders())
    service.maintenance.inspect(files)
    in_use, listed = host.in_use().path, host.files()
    found = []
    for option in read_options(host, service, files, host.choice()):
        if option.file is None:
            continue
        record, path, answer = option.record, str(option.file.path), option.answer
        entry = record.entry if record is not None else option.entry
        checked = service.stores.verifications.of(option.file)
        found.append(
            {
                "name": option.word,
                "path": path if host.shows_paths else None,
                "size": option.file.size,
                "container": record.container if record is not None else UNKNOWN,
                "layout": record.layout if record is not None else UNKNOWN,
                "family": record.family.family if record is not None else None,
                "latent_channels": record.latent_channels if record is not None else None,
                "dtype": record.dtype if record is not None else None,
                "sha256": service.stores.hashes.known(option.file.path),
                "entry": entry.id if entry is not None else None,
                "verdict": VERDICT_NAMES[type(answer)] if answer is not None else UNKNOWN,
                "is_loadable": answer is not None and can_use(answer),
                "is_convertible": needs_conversion(answer),
                "reason": failure(_reason(answer), host),
                "verification": checked.outcome.value if checked is not None else None,
                "verification_reason": failure(checked.reason if checked is not None else None, host),
                "is_in_use": listed.get(option.word) == in_use and in_use is not None,
            }
        )
    return found


def _reason(verdict: Verdict | None) -> Message | None:
    return verdict.reason.message if verdict is not None and verdict.reason is not None else None


def catalogue(host: Host, service: Service, _: object) -> Any:
    """Return the published VAEs."""
    here = {
        sha256: file.path.name for file in scan(host.folders()) if (sha256 := service.stores.hashes.known(file.path))
    }
    return [_entry(entry, host, here) for entry in service.catalogue.entries]


def _entry(entry: Entry, host: Host, here: Mapping[str, str]) -> Any:
    return {
        **entry.fields(),
        "is_offered": entry.offered and host.capability.can_use(entry),
        "here": here.get(entry.sha256),
    }


def downloads(host: Host, service: Service, _: object) -> Any:
    """Return the downloads of this process."""
    return [_download(one, host) for one in service.downloads.views()]


def _download(one: Download, host: Host) -> Any:
    job = one.job
    return {
        "key": job.key,
        "name": job.title,
        "file_name": one.wanted.request.file_name,
        "sha256": one.wanted.request.sha256,
        "state": job.state.value,
        "done": job.done,
        "total": job.total,
        "speed": job.speed,
        "failure": failure(job.error, host),
    }


def _view(service: Service, key: str) -> Download:
    for one in service.downloads.views():
        if one.job.key == key:
            return one
    raise NotFoundError(msg("There is no such download.", code="no-such-download"))


def needs(host: Host, service: Service, _: object) -> Any:
    """Return the components of the checkpoint. Raises NotFoundError if they are not known."""
    from .ui.needs_view_model import is_checking, read_needs

    files = scan(host.folders())
    service.maintenance.inspect(files)
    found = read_needs(host, service, files)
    if found is None or found.facts is None:
        raise NotFoundError(msg("The components of this checkpoint are not known.", code="unknown-engine"))
    fields = fields_of(found, lambda path: shown_path(host, path))
    return {**fields, "is_checking": is_checking(host, service, files, found)}


# -- acting --------------------------------------------------------------------------------------------------------
def choose_vae(host: Host, service: Service, asked: models.Choose) -> Any:
    """Choose a VAE, and return the status once it is in the model: a program makes a picture next."""
    if asked.vae not in (AUTOMATIC.word, BUILTIN.word, *host.files()):
        raise NotFoundError(msg("The WebUI lists no VAE file {file}.", code="no-such-vae", file=asked.vae))
    choose(host, service, Choice(asked.vae), sure=asked.sure)
    ended = service.choices.wait(CHOICE_KEY + asked.vae)
    if ended is None or ended.state is JobState.STOPPED:
        raise RefusedError(msg("Another VAE was chosen meanwhile.", code="choice-superseded"))
    if ended.error is not None:
        raise RefusedError(ended.error)
    return status(host, service, None)


def begin_download(host: Host, service: Service, asked: models.Get) -> Any:
    """Begin a download."""
    if (asked.entry is None) is (asked.address is None):
        raise UsageError(msg("Give “entry” or “address”, one of the two.", code="entry-or-address"))
    if asked.entry is not None:
        entry = service.catalogue.entry(asked.entry)
        key = get(host, service, entry, use=asked.use, accept=asked.accept)
    else:
        key = get_from(host, service, actions.GetFrom(asked.address or "", asked.name, asked.anyway))
    return _download(_view(service, key), host)


def cancel_download(host: Host, service: Service, asked: models.JobRequest) -> Any:
    """Stop a download, and discard what has arrived."""
    queue = managed(host, service)
    _view(service, asked.key)
    queue.cancel(asked.key)
    return _download(_view(service, asked.key), host)


def begin_needs(host: Host, service: Service, asked: models.GetNeeds) -> Any:
    """Begin the downloads of the components that the checkpoint lacks, which are used once all are there."""
    keys = get_needs(host, service, accept=asked.accept)
    return [_download(one, host) for one in service.downloads.views() if one.job.key in keys]
