"""Verifications, comparisons and rankings for programs: they begin as those of the page, and are jobs of the service.

A job is named by its key. It is asked for until it has ended; its result is there as long as the page would show it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from ..compare import RecentPicture
from ..errors import NotFoundError
from ..jobs import JobView
from ..library import VaeFile, scan
from ..library.verification import outcome_text
from ..maintenance import VERIFY_ALL, key_of
from ..messages import Message, datum, msg
from ..service import Service
from . import program_models as models
from .hosts.host_values import Permission
from .program_comparisons import base64_bytes, begin_compare, comparison_fields
from .translation import english, plain
from .trial_job import TrialRequest, begin_trial
from .ui.vae_options import allow

if TYPE_CHECKING:
    from ..compare.picture_folder import Sample
    from .hosts.host import Host

__all__ = ["add_picture", "best", "cancel", "compare", "failure", "job", "jobs", "verify"]

Answer = dict[str, Any]
VERIFY: Final = "verify"
KEEP: Final = "keep"
COMPARE: Final = "compare"
BEST: Final = "best"
OTHER: Final = "other"
TRIAL: Final = "trial-"
"""Prefix of a ranking's key; the key of a comparison is a number."""
MAX_NAME: Final = 120


def failure(message: Message | None, host: Host) -> Answer | None:
    """Return the fields of `models.Failure`."""
    return {"error": english(message, host), "code": message.code} if message is not None else None


# -- begin ---------------------------------------------------------------------------------------------------------
def verify(host: Host, service: Service, asked: models.Verify) -> Answer:
    """Verify one file or all; `keep` accepts a changed file."""
    allow(host, Permission.CHANGE_FILES if asked.keep else Permission.CHECK_FILES)
    if asked.vae is None:
        if asked.keep:
            raise NotFoundError(msg("Name the file that is to be kept as it is.", code="no-such-vae"))
        service.maintenance.verify_all(scan(host.folders()), host.capability)
        return job(host, service, VERIFY_ALL)
    file = _listed(host, asked.vae)
    if asked.keep:
        service.maintenance.keep(file, host.capability)
    else:
        service.maintenance.verify(file, host.capability)
    return job(host, service, f"{KEEP if asked.keep else VERIFY} {key_of(file.path)}")


def _listed(host: Host, name: str) -> VaeFile:
    path = host.files().get(name)
    for file in scan(host.folders()) if path is not None else ():
        if str(file.path) == path:
            return file
    raise NotFoundError(msg("The WebUI lists no VAE file {file}.", code="no-such-vae", file=name))


def compare(host: Host, service: Service, asked: models.Compare) -> Answer:
    """Begin a comparison."""
    return job(host, service, begin_compare(host, service, asked))


def add_picture(host: Host, service: Service, asked: models.SendPicture) -> Answer:
    """Take a picture for a ranking into memory."""
    shown = PurePath(plain(asked.name)).name[:MAX_NAME]
    return {"count": service.sent_pictures.add(asked.batch, shown, base64_bytes(asked.picture))}


def best(host: Host, service: Service, asked: models.Best) -> Answer:
    """Begin a ranking."""
    title, pictures = _pictures(host, service, asked.batch)
    wanted = TrialRequest(title, list(dict.fromkeys(asked.vaes)), lambda: pictures)
    return job(host, service, begin_trial(host, service, wanted))


def _pictures(host: Host, service: Service, batch: str | None) -> tuple[Message, Sequence[Sample | RecentPicture]]:
    from .ui.trial_page import last_generations

    if batch is None:
        return last_generations(host)
    sent = service.sent_pictures.samples(batch)
    if not sent:
        raise NotFoundError(
            msg("No picture of this batch is here. Send some first; another batch replaces it.", code="no-such-batch")
        )
    return msg("{count} pictures of a program", code="sent-pictures", count=len(sent)), sent


# -- jobs ----------------------------------------------------------------------------------------------------------
def jobs(host: Host, service: Service, _: Any) -> Sequence[Answer]:
    """Return all jobs, without their results."""
    return [_fields(view, host) for view in (*service.maintenance.views(), *service.comparing.views())]


def job(host: Host, service: Service, key: str) -> Answer:
    """Return one job, with its result once it has ended. Raises NotFoundError."""
    view = _view(service, key)
    kind, has_ended = kind_of(view), view.state.ended
    return {
        **_fields(view, host),
        "verified": _verified(host, service, key) if has_ended and kind == VERIFY else None,
        "comparison": _comparison(host, service, key) if has_ended and kind == COMPARE else None,
        "ranking": _ranking(host, service, key) if has_ended and kind == BEST else None,
    }


def cancel(host: Host, service: Service, asked: models.JobRequest) -> Answer:
    """Stop a job for good."""
    view = _view(service, asked.key)
    if kind_of(view) in (COMPARE, BEST):
        service.comparing.stop(asked.key)
    else:
        allow(host, Permission.CHECK_FILES)
        service.maintenance.stop(asked.key)
    return job(host, service, asked.key)


def kind_of(view: JobView) -> str:
    """Return the kind of a job by its key."""
    if view.key.startswith(TRIAL):
        return BEST
    if view.key.isdecimal():
        return COMPARE
    is_verification = view.key == VERIFY_ALL or view.key.partition(" ")[0] in (VERIFY, KEEP)
    return VERIFY if is_verification else OTHER


def _view(service: Service, key: str) -> JobView:
    for view in (*service.maintenance.views(), *service.comparing.views()):
        if view.key == key:
            return view
    raise NotFoundError(msg("There is no such job.", code="no-such-job"))


def _fields(view: JobView, host: Host) -> Answer:
    return {
        "key": view.key,
        "kind": kind_of(view),
        "name": english(datum(view.title), host),
        "state": view.state.value,
        "done": view.done,
        "total": view.total,
        "failure": failure(view.error, host),
    }


# -- results -------------------------------------------------------------------------------------------------------
def _verified(host: Host, service: Service, key: str) -> Sequence[Answer]:
    """Return the last verification of the job's file, or of each file."""
    digest = key.partition(" ")[2]
    found = []
    for file in scan(host.folders()):
        one = service.stores.verifications.of(file) if digest in ("", key_of(file.path)) else None
        if one is None:
            continue
        sha256 = one.sha256 or service.stores.hashes.known(file.path)
        entry = one.entry or (service.catalogue.recognise(sha256) if sha256 is not None else None)
        found.append(
            {
                "name": file.name,
                "path": str(file.path) if host.shows_paths else None,
                "sha256": sha256,
                "entry": entry.id if entry is not None else None,
                "outcome": one.outcome.value,
                "text": english(one.reason, host) if one.reason is not None else outcome_text(one),
                "reason": failure(one.reason, host),
            }
        )
    return found


def _comparison(host: Host, service: Service, key: str) -> Answer | None:
    done = service.comparisons.get(key)
    return comparison_fields(done, host, has_sheet=True) if done is not None else None


def _ranking(host: Host, service: Service, key: str) -> Answer | None:
    from ..compare.findings import fields_of
    from ..compare.trial_card import card

    now = service.trials.now
    if now is None or now.id != key or now.finding is None:
        return None
    drawn = card(now.finding, when=now.when) if now.finding.ranking.rows else None
    return {
        **fields_of(now.finding, lambda message: english(message, host)),
        "note": english(now.note, host) if now.note is not None else None,
        "card": base64.b64encode(drawn).decode() if drawn is not None else None,
    }


def shown_path(host: Host, path: str | Path) -> str:
    """Return a path as the reader may see it."""
    return str(path) if host.shows_paths else Path(path).name
