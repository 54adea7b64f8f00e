"""The trial on the page: which VAE suits a person's pictures. Its actions and its view model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...catalogue.local_path import local_path
from ...choice import BUILTIN
from ...compare import RecentPicture
from ...compare.trial_state import TrialState
from ...errors import NotFoundError, UsageError
from ...messages import Message, msg
from ...service import Service
from ..hosts.host_values import Permission
from ..trial_job import TrialRequest, begin_trial
from . import actions
from .actions import handles
from .vae_options import allow

if TYPE_CHECKING:
    from ...compare.comparison_store import Pixels
    from ...compare.picture_folder import Sample
    from ..hosts.host import Host

__all__ = ["TrialSection", "crop_pixels", "last_generations", "read_trial", "trial_of"]

MOST: Final = 100
"""Pictures of a folder that are measured, taken evenly from it."""


@dataclass(frozen=True)
class TrialSection:
    """The facts that the section shows."""

    now: TrialState | None
    in_use: str
    """The name of the choice whose VAE is in the model."""
    choose_refused: Message | None


def read_trial(host: Host, service: Service) -> TrialSection:
    """Read all facts once."""
    path = host.in_use().path
    return TrialSection(
        service.trials.now, Path(path).name if path is not None else BUILTIN.word, host.refusal(Permission.CHOOSE)
    )


@handles(actions.FindBest)
def _find_best(host: Host, service: Service, action: actions.FindBest) -> None:
    title, pictures = _source(host, service, action)
    begin_trial(host, service, TrialRequest(title, list(dict.fromkeys(action.vaes)), pictures))


def _source(
    host: Host, service: Service, action: actions.FindBest
) -> tuple[Message, Callable[[], Sequence[Sample | RecentPicture]]]:
    if action.source == "folder":
        return _folder(host, action.folder)
    if action.source == "dropped":
        dropped = service.basket.samples()
        if not dropped:
            raise UsageError(msg("Choose or drop pictures first.", code="no-picture-given"))
        return msg("{count} pictures of your own", code="own-pictures", count=len(dropped)), lambda: dropped
    title, kept = last_generations(host)
    return title, lambda: kept


def last_generations(host: Host) -> tuple[Message, Sequence[RecentPicture]]:
    """Return the last pictures that can be decoded again, with their title. Raises NotFoundError if there is none."""
    kept = [one for one in host.comparing.kept.all() if one.latent is not None and one.why_not is None]
    if not kept:
        raise NotFoundError(
            msg("No picture has been made yet. Make one, or take your own image.", code="no-picture-yet")
        )
    return msg("The last {count} generations", code="last-generations", count=len(kept)), kept


def _folder(host: Host, text: str) -> tuple[Message, Callable[[], Sequence[Sample]]]:
    """Return the pictures of a folder of this machine, which only its owner may name."""
    allow(host, Permission.ADOPT_FILES)
    text = text.strip().strip('"')  # in quotes, as file managers copy a path
    if not text:
        raise UsageError(msg("Type the folder of your pictures first.", code="no-folder-given"))
    path = local_path(text)

    def pictures() -> Sequence[Sample]:
        from ...compare.picture_folder import files_below, spread

        return spread(files_below(path), MOST)

    return msg("The pictures in {folder}", code="pictures-in-folder", folder=path), pictures


@handles(actions.StopTrial)
def _stop(host: Host, service: Service, action: actions.StopTrial) -> None:
    service.comparing.stop(action.id)


@handles(actions.ForgetTrial)
def _forget(host: Host, service: Service, action: actions.ForgetTrial) -> None:
    service.trials.forget()


def trial_of(service: Service, id: str) -> TrialState:
    """Return the trial of that id. Raises NotFoundError."""
    now = service.trials.now
    if now is None or now.id != id:
        raise NotFoundError(msg("This comparison is no longer kept.", code="no-longer-kept"))
    return now


def crop_pixels(trial: TrialState, number: int, part: int) -> Pixels:
    """Return the pixels of a part of a crop. Raises NotFoundError."""
    try:
        pixels = trial.crops[number].parts[part][1]
    except IndexError:
        pixels = None
    if pixels is None:
        raise NotFoundError(msg("This picture is not there."))
    return pixels
