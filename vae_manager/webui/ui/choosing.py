"""Choosing: what every way of choosing a VAE in the page comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...choice import Choice
from ...errors import RefusedError
from ...jobs import Handle, JobState, JobView
from ...library import scan
from ...sentences import Sentence, say
from ...service import Service
from ..hosts.acts import Act
from .options import CHOICE_KEY, option_of, question_of, read_options

if TYPE_CHECKING:
    from ..hosts.host import Host


def allow(host: Host, act: Act) -> None:
    """Raises RefusedError where the WebUI does not allow `act`."""
    refusal = host.refusal(act)
    if refusal is not None:
        raise RefusedError(refusal)


def is_listed(host: Host, path: Path) -> None:
    """The WebUI keeps one file a base name: choosing the name could mean another file than the one that was proven."""
    listed = host.files().get(path.name)
    if listed is not None and not Path(listed).samefile(path):
        raise RefusedError(
            say(
                "{file} is there twice under one name, and the WebUI lists the other one: {path}. Rename one of them.",
                file=path.name,
                path=listed,
            )
        )


def choose(host: Host, service: Service, choice: Choice, *, sure: bool = False) -> None:
    """Make `choice` the WebUI's. Waits, in the background, for a running generation; the newest choice wins.

    A VAE known or guessed to be made for another family is used only if the person is `sure`, or was so before.
    """
    allow(host, Act.CHOOSE)

    ours = {host.choice().word}
    for view in service.choices.views():
        if not view.state.ended:
            ours.add(view.key.removeprefix(CHOICE_KEY))  # may still be written, by an earlier choice of the page

    def work(handle: Handle) -> None:
        def still_wanted() -> bool:
            """Not when a newer choice was made meanwhile: here, or by the WebUI's own settings or API."""
            return not handle.stop.is_set() and host.choice().word in ours

        doubt = _doubt(host, service, choice)
        question = (choice.word, str(doubt))
        if doubt is not None and sure:
            service.confirmed.add(question)
        if doubt is not None and question not in service.confirmed:
            raise RefusedError(doubt)
        host.choose(choice, still_wanted)

    for view in service.choices.views():
        service.choices.stop(view.key)
        service.choices.forget(view.key)
    _start(host, service, choice.word, work)


def _start(host: Host, service: Service, word: str, work: Callable[[Handle], None]) -> None:
    def noting(handle: Handle) -> None:
        try:
            work(handle)
        except Exception:
            service.choice_at_refusal = _state_of_choice(host)
            raise

    service.choices.start(CHOICE_KEY + word, word, noting)


def newest_choice(host: Host, service: Service) -> JobView | None:
    """The newest change of the choice; one that has failed is forgotten once another choice was made elsewhere, even
    one that was refused."""
    newest = next(reversed(service.choices.views()), None)
    if newest is None or newest.state is not JobState.FAILED or _state_of_choice(host) == service.choice_at_refusal:
        return newest
    service.choices.forget(newest.key)
    return None


def _state_of_choice(host: Host) -> tuple[str, int | None]:
    """The setting, and the serial of the VAE that it has asked for in vain."""
    refusal = host.in_use().refusal
    return host.choice().word, refusal.serial if refusal is not None else None


def dismiss(host: Host, service: Service, key: str) -> None:
    """Forget the change of the choice that failed, and what the host says of the same failure."""
    failed, refusal = service.choices.view(key), host.in_use().refusal
    if failed is not None and refusal is not None and failed.error == refusal.sentence:
        service.dismissed_refusal = refusal.serial
    service.choices.forget(key)


def _doubt(host: Host, service: Service, choice: Choice) -> Sentence | None:
    files = scan(host.folders())
    service.upkeep.look(files)
    return question_of(option_of(read_options(host, service, files, choice), choice.word))


def prefer(host: Host, service: Service, checkpoint: str, choice: Choice) -> None:
    """Keep `choice` on the card of the checkpoint that the person saw, and use what now results."""
    allow(host, Act.PREFER)
    host.prefer(checkpoint, choice)
    follow(host, service)


def follow(host: Host, service: Service) -> None:
    """Put into the model what the choice means now, if it is another VAE: in the background, after what waits there."""
    if host.resolution().path == host.in_use().path:
        return
    waiting = [view.key.removeprefix(CHOICE_KEY) for view in service.choices.views() if not view.state.ended]
    word = waiting[-1] if waiting else host.choice().word  # what the dropdown shows stays what it shows
    _start(host, service, word, lambda handle: host.follow_setting())
