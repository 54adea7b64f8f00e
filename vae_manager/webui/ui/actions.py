"""What a click does. Every action is quick: what takes time becomes a job of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalogue import Entry, not_offered
from ...choice import Choice
from ...errors import RefusedError, UsageError
from ...jobs import Handle
from ...sentences import say
from ...service import Service
from ..hosts.acts import Act
from .facts import CHOICE_KEY, terms_are_open

if TYPE_CHECKING:
    from ...transfer import Delivery
    from ..hosts.host import Host


def perform(host: Host, service: Service, message: str) -> None:
    """Do what the browser asks: a JSON object with the action's name under `do`. Raises VaeManagerError."""
    action = _read(message)
    doing = action["do"]
    if doing == "get":
        get(host, service, service.catalogue.entry(action["entry"]), use=action["use"], accept=action["accept"])
    elif doing == "stop":
        service.downloads.stop(action["entry"])
    elif doing == "dismiss":
        service.choices.forget(action["job"])
    elif doing == "choose":
        choose(host, service, Choice(action["word"]))
    elif doing == "quick-settings":
        show_in_quick_settings(host, on=action["on"])
    elif doing == "reload":
        allow(host, Act.RELOAD_PAGE)
        host.reload_page()
    else:
        raise _not_understood()


def _read(message: str) -> dict[str, Any]:
    """The action, with each of its fields of the type that it must have."""
    types = {"do": str, "entry": str, "word": str, "job": str, "use": bool, "accept": bool, "on": bool}
    needed = {
        "get": ("entry", "use", "accept"),
        "stop": ("entry",),
        "dismiss": ("job",),
        "choose": ("word",),
        "quick-settings": ("on",),
    }
    try:
        action = json.loads(message)
        fields = ("do", *needed.get(action["do"], ()))
        if all(isinstance(action[field], types[field]) for field in fields):
            return dict(action)
    except (ValueError, KeyError, TypeError):
        pass
    raise _not_understood()


def _not_understood() -> UsageError:
    return UsageError(say("The page is out of date. Reload it."))


def allow(host: Host, act: Act) -> None:
    """Raises RefusedError where the WebUI does not allow `act`."""
    refusal = host.refusal(act)
    if refusal is not None:
        raise RefusedError(refusal)


def get(host: Host, service: Service, entry: Entry, *, use: bool, accept: bool) -> None:
    """Fetch an offered entry into the download folder; with `use`, choose it once it is there."""
    from ...transfer import Network  # the network's part waits for the first download

    allow(host, Act.GET)
    if not entry.offered:
        raise RefusedError(not_offered(entry))
    if accept:
        service.accepted.add(entry.id)
    if terms_are_open(entry, service):
        raise RefusedError(say("Read the terms of {vae} and accept them first.", vae=entry.name))

    def then(delivery: Delivery) -> None:
        host.refresh()
        if use:
            _is_listed(host, delivery.path)
            choose(host, service, Choice(delivery.path.name))

    service.get(entry, host.download_folder(), Network(endpoint=host.endpoint()), then)


def _is_listed(host: Host, path: Path) -> None:
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


def choose(host: Host, service: Service, choice: Choice) -> None:
    """Make `choice` the WebUI's. Waits, in the background, for a running generation; the newest choice wins."""
    allow(host, Act.CHOOSE)

    ours = {host.choice().word}
    for view in service.choices.views():
        if not view.state.ended:
            ours.add(view.key.removeprefix(CHOICE_KEY))  # may still be written, by an earlier choice of the page

    def work(handle: Handle) -> None:
        def still_wanted() -> bool:
            """Not when a newer choice was made meanwhile: here, or by the WebUI's own settings or API."""
            return not handle.stop.is_set() and host.choice().word in ours

        host.choose(choice, still_wanted)

    for view in service.choices.views():
        service.choices.stop(view.key)
        service.choices.forget(view.key)
    service.choices.start(CHOICE_KEY + choice.word, choice.word, work)


def show_in_quick_settings(host: Host, *, on: bool) -> None:
    """Add `sd_vae` at the end of the quick settings or take it away; the others keep their order."""
    allow(host, Act.CHANGE_QUICK_SETTINGS)
    names = [name for name in host.quick_settings() if name != "sd_vae"]
    host.set_quick_settings([*names, "sd_vae"] if on else names)
