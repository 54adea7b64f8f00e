"""What a click does. Every action is quick: what takes time becomes a job of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ...catalogue import Entry, Source, not_offered
from ...choice import Choice
from ...downloads import Downloads, UnfinishedDownload
from ...downloads.addresses import CIVITAI
from ...errors import NotFoundError, RefusedError, UsageError, VaeManagerError
from ...files.state_file import forget_damage, parse_json
from ...jobs import Step
from ...messages import msg
from ...service import Service
from ..admission import Visitor
from ..hosts.host_values import Permission
from . import views
from .comparison_page import COMPARISON_ACTIONS
from .gradio_compat import Work, picture_of
from .library_actions import LIBRARY_ACTIONS, convert_fetched
from .page import Page
from .vae_options import allow, choose, dismiss, is_listed, prefer
from .view_model import state_folders, terms_are_open
from .views.components import Question

if TYPE_CHECKING:
    from ...transfer import DownloadResult, Network
    from ..hosts.host import Host


def acting(page: Page) -> Work:
    """The work of an event that brings a message."""

    def act(seen: Page, text: str) -> None:
        perform(seen.host, seen.service, text)

    return _answering(page, act)


def comparing(page: Page) -> Work:
    """The work of an event that brings a message and a picture of the person's own."""

    def compare(seen: Page, text: str, picture: Any) -> None:
        seen.compare_picture(text, picture_of(picture))

    return _answering(page, compare)


def _answering(page: Page, do: Callable[..., None]) -> Work:
    """Wrap `do`, so that its one output is the answer: empty if the message was obeyed."""

    def answered(visitor: Visitor, *inputs: Any) -> str:
        seen = page.seen_by(visitor)
        try:
            do(seen, *inputs)
        except Question as question:
            return views.question(question, seen.translate)
        except VaeManagerError as error:
            return views.answer(error.message, seen.translate, can_close=True)
        return ""

    return Work(page.host, answered, lambda message: views.answer(message, page.translate, can_close=True))


Action = dict[str, Any]
Do = Callable[["Host", Service, Action], None]


# -- downloads -----------------------------------------------------------------------------------------------------
def get(host: Host, service: Service, entry: Entry, *, use: bool, accept: bool) -> None:
    """Fetch an offered entry into the download folder; with `use`, choose it once it is there."""
    allow(host, Permission.GET)
    if not entry.offered:
        raise RefusedError(not_offered(entry))
    if accept:
        allow(host, Permission.ACCEPT_TERMS)
        service.accepted.add(entry.id)
    if terms_are_open(entry, service):
        raise RefusedError(msg("Read the terms of {vae} and accept them first.", vae=entry.name))

    def then(delivery: DownloadResult) -> None:
        host.refresh()
        if convert_fetched(host, service, delivery.path, use=use):
            return
        if use:
            is_listed(host, delivery.path)
            choose(host, service, Choice(delivery.path.name))

    service.get(entry, host.download_folder(), lambda: _network(host, service), then)


def get_from(host: Host, service: Service, address: str) -> None:
    """Fetch what a person has typed."""
    allow(host, Permission.GET)
    allow(host, Permission.CHANGE_SOURCES)
    service.get_from(
        address,
        host.download_folder(),
        lambda sources: _network(host, service, typed=sources),
        lambda delivery: _has_come(host, service, delivery),
        remote_users=host.shared_with_others,
    )


def _has_come(host: Host, service: Service, delivery: DownloadResult) -> None:
    host.refresh()
    convert_fetched(host, service, delivery.path, use=False)


def go_on(host: Host, service: Service, key: str) -> None:
    """Let a download that was cut off go on."""
    allow(host, Permission.MANAGE_DOWNLOADS)
    left = _left_over(host, service, key)
    offered = left.order.sha256 is not None and service.catalogue.recognise(left.order.sha256) is not None
    allow(host, Permission.GET)
    if not offered:
        allow(host, Permission.CHANGE_SOURCES)
    service.go_on(
        left,
        lambda sources: _network(host, service, typed=() if offered else sources),
        lambda delivery: _has_come(host, service, delivery),
        remote_users=host.shared_with_others,
    )


def discard(host: Host, service: Service, key: str) -> None:
    allow(host, Permission.MANAGE_DOWNLOADS)
    service.downloads.discard(_left_over(host, service, key))


def _left_over(host: Host, service: Service, key: str) -> UnfinishedDownload:
    for left in service.downloads.left_over(host.download_folder()):
        if left.key == key:
            return left
    raise NotFoundError(msg("This unfinished download is no longer there."))


def _network(host: Host, service: Service, typed: tuple[Source, ...] = ()) -> Network:
    """How the network is used now; `typed` are sources that somebody may have typed."""
    from ...downloads.addresses import must_be_public
    from ...transfer import Network  # the network's part waits for the first download

    return Network(
        endpoint=host.endpoint(),
        connections=host.connections(),
        bandwidth=host.bandwidth(),
        public_only=must_be_public(typed, remote_users=host.shared_with_others),
        keys=service.keys.all(),
    )


def _managing(do: Callable[[Downloads, str], object]) -> Do:
    """A change of one download of the queue, for its owner alone."""

    def managed(host: Host, service: Service, action: Action) -> None:
        allow(host, Permission.MANAGE_DOWNLOADS)
        do(service.downloads, action["job"])

    return managed


def _move(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.MANAGE_DOWNLOADS)
    if action["step"] in {step.value for step in Step}:
        service.downloads.move(action["job"], Step(action["step"]))


def _save_key(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_SOURCES)
    service.keys.save(CIVITAI, action["key"])


def _remove_key(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHANGE_SOURCES)
    service.keys.remove(CIVITAI)


# -- the page ------------------------------------------------------------------------------------------------------
def show_in_quick_settings(host: Host, *, on: bool) -> None:
    """Add `sd_vae` at the end of the quick settings or take it away; the others keep their order."""
    allow(host, Permission.CHANGE_QUICK_SETTINGS)
    shown = host.quick_settings()
    if shown is None:  # a list made of a failed read would replace the person's own
        raise RefusedError(msg("The list of quick settings cannot be read, so it was not changed."))
    host.set_quick_settings(quick_settings_with_vae(shown, on=on))


def quick_settings_with_vae(names: Sequence[str], *, on: bool) -> Sequence[str]:
    """`names` with `sd_vae` at their end, or without it; as they are if that is so already."""
    if on == ("sd_vae" in names):
        return names
    return [*names, "sd_vae"] if on else [name for name in names if name != "sd_vae"]


def _dismiss_picture(host: Host, service: Service, action: Action) -> None:
    service.picture = None


def _dismiss_refusal(host: Host, service: Service, action: Action) -> None:
    service.dismissed_refusal = action["serial"]


def _forget_damage(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.CHECK_FILES)  # its owner is to read it
    forget_damage(*state_folders(host, service))


def _reload(host: Host, service: Service, action: Action) -> None:
    allow(host, Permission.RELOAD_PAGE)
    host.reload_page()


ACTIONS: dict[str, tuple[Do, dict[str, type]]] = {
    "choose-anyway": (
        lambda host, service, action: choose(host, service, Choice(action["choice"]), sure=True),
        {"choice": str},
    ),
    "get": (
        lambda host, service, action: get(
            host, service, service.catalogue.entry(action["entry"]), use=action["use"], accept=action["accept"]
        ),
        {"entry": str, "use": bool, "accept": bool},
    ),
    "get-from": (lambda host, service, action: get_from(host, service, action["address"]), {"address": str}),
    "continue": (lambda host, service, action: go_on(host, service, action["job"]), {"job": str}),
    "discard": (lambda host, service, action: discard(host, service, action["job"]), {"job": str}),
    "pause": (_managing(lambda downloads, job: downloads.pause(job)), {"job": str}),
    "resume": (_managing(lambda downloads, job: downloads.resume(job)), {"job": str}),
    "cancel": (_managing(lambda downloads, job: downloads.cancel(job)), {"job": str}),
    "retry": (_managing(lambda downloads, job: downloads.retry(job)), {"job": str}),
    "forget": (_managing(lambda downloads, job: downloads.forget(job)), {"job": str}),
    "move": (_move, {"job": str, "step": str}),
    "save-key": (_save_key, {"key": str}),
    "remove-key": (_remove_key, {}),
    "dismiss": (lambda host, service, action: dismiss(host, service, action["job"]), {"job": str}),
    "dismiss-refusal": (_dismiss_refusal, {"serial": int}),
    "dismiss-picture": (_dismiss_picture, {}),
    "choose": (lambda host, service, action: choose(host, service, Choice(action["word"])), {"word": str}),
    "prefer": (
        lambda host, service, action: prefer(host, service, action["checkpoint"], Choice(action["word"])),
        {"checkpoint": str, "word": str},
    ),
    "quick-settings": (lambda host, service, action: show_in_quick_settings(host, on=action["on"]), {"on": bool}),
    "forget-damage": (_forget_damage, {}),
    "reload": (_reload, {}),
}
"""What a message may ask for, and the fields that it must bring."""


ALL: Final[Mapping[str, tuple[Do, dict[str, type]]]] = {**ACTIONS, **LIBRARY_ACTIONS, **COMPARISON_ACTIONS}


def perform(host: Host, service: Service, message: str) -> None:
    """Do what the browser asks: a JSON object with the action's name under `do`. Raises VaeManagerError."""
    try:
        action = parse_json(message.encode("utf-8", "surrogatepass"))
        do, fields = ALL[action["do"]]
        understood = all(type(action[name]) is kind for name, kind in fields.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        understood = False
    if not understood:
        raise UsageError(msg("The page is out of date. Reload it."))
    do(host, service, action)
