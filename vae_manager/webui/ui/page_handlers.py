"""Handlers of the page's actions: choices, downloads and settings. A handler is fast; long work becomes a job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalogue import Entry, Source, not_offered
from ...choice import Choice
from ...downloads import Downloads, UnfinishedDownload
from ...downloads.addresses import CIVITAI
from ...errors import NotFoundError, RefusedError, VaeManagerError
from ...files.state_file import forget_damage
from ...jobs import Move
from ...library import scan
from ...messages import msg
from ...records.verdict import family_label
from ...service import Service
from ..admission import Visitor
from ..hosts.host_values import Permission
from . import actions, views
from .actions import DISPATCHER, handles, parse_action
from .gradio_compat import Work, picture_of
from .library_handlers import convert_fetched
from .page import Page
from .rendering import Question
from .vae_options import allow, choose, dismiss, is_listed, prefer
from .view_model import left_over, state_folders

if TYPE_CHECKING:
    from ...downloads.addresses import NetworkFor
    from ...transfer import DownloadResult, LocalPlaces, Network
    from ..hosts.host import Host


def acting(page: Page) -> Work:
    """Return the work of an event with a message."""

    def act(seen: Page, text: str) -> None:
        perform(seen.host, seen.service, text)

    return _answering(page, act)


def comparing(page: Page) -> Work:
    """Return the work of an event with a message and the user's own picture."""

    def compare(seen: Page, text: str, picture: Any) -> None:
        seen.compare_picture(text, picture_of(picture))

    return _answering(page, compare)


def _answering(page: Page, do: Callable[..., None]) -> Work:
    """Wrap `do`, so that its one output is the answer: empty after success."""

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


# -- downloads -----------------------------------------------------------------------------------------------------
def get(host: Host, service: Service, entry: Entry, *, use: bool, accept: bool) -> str:
    """Download an offered entry into the download folder; with `use`, choose it when it is there.

    Returns the key of the download.
    """
    allow(host, Permission.GET)
    if not entry.offered:
        raise RefusedError(not_offered(entry))
    if not host.capability.can_use(entry):
        raise RefusedError(
            msg(
                "{vae} is not for this WebUI: {webui} cannot use a VAE of {family} in this form.",
                code="not-for-this-webui",
                vae=entry.name,
                webui=host.capability.name,
                family=family_label(entry.family),
            )
        )
    if accept:
        allow(host, Permission.ACCEPT_TERMS)
        service.accepted.add(entry.id)
    if service.terms_are_open(entry):
        raise RefusedError(msg("Read the terms of {vae} and accept them first.", vae=entry.name))

    def then(delivery: DownloadResult) -> None:
        host.refresh()
        if convert_fetched(host, service, delivery.path, use=use):
            return
        if use:
            is_listed(host, delivery.path)
            choose(host, service, Choice(delivery.path.name))

    return service.get(entry, host.download_folder(), lambda: _network(host, service), then)


def get_needs(host: Host, service: Service, *, accept: bool) -> Sequence[str]:
    """Download the missing components of the checkpoint; once all are there, use them.

    Returns the keys of the downloads.
    """
    from .needs_view_model import folder_for, read_needs, use_components, wait_until_known

    allow(host, Permission.CHOOSE)
    files = scan(host.folders())
    wait_until_known(host, service, files)
    needs = read_needs(host, service, files)
    if needs is None or not needs.runs:
        raise RefusedError(msg("The components of this checkpoint are not known.", code="unknown-engine"))
    wanted = [(component, component.entries[0]) for component in needs.missing if component.entries]
    if not wanted:
        use_components(host, service, files)
        return ()
    allow(host, Permission.GET)
    for _, entry in wanted:
        if accept and service.terms_are_open(entry):
            allow(host, Permission.ACCEPT_TERMS)
            service.accepted.add(entry.id)
        if service.terms_are_open(entry):
            raise RefusedError(msg("Read the terms of {vae} and accept them first.", vae=entry.name))
    return [
        service.get(
            entry,
            folder_for(host, component),
            lambda: _network(host, service),
            lambda _: _component_has_come(host, service, needs.checkpoint),
        )
        for component, entry in wanted
    ]


def _component_has_come(host: Host, service: Service, checkpoint: Path) -> None:
    """Use the components once none is left to download, if the checkpoint is still the one that they were for."""
    from .needs_view_model import read_needs, use_components, wait_until_known

    host.refresh()
    files = scan(host.folders())
    wait_until_known(host, service, files)
    needs = read_needs(host, service, files)
    is_last = needs is not None and not any(component.entries for component in needs.missing)
    if needs is not None and needs.checkpoint == checkpoint and is_last:
        use_components(host, service, files)


@handles(actions.GetNeeds)
def _get_needs(host: Host, service: Service, action: actions.GetNeeds) -> None:
    get_needs(host, service, accept=action.accept)


def get_from(host: Host, service: Service, action: actions.GetFrom) -> str:
    """Download from an address that the user typed; return the key of the download.

    Raises Question for a file that is no VAE by a look at it, which the user may want all the same, and NoVaeError for
    one that would be refused at its arrival.
    """
    from ...transfer import WANTED_ANYWAY

    allow(host, Permission.GET)
    allow(host, Permission.CHANGE_SOURCES)
    refusal = service.looks.refusal(action.address, remote_users=host.shared_with_others)
    if refusal is not None and not action.anyway:
        if refusal.code not in WANTED_ANYWAY:
            raise refusal
        again = replace(action, anyway=True).as_dict()
        raise Question(refusal.message, msg("Get it all the same"), again)
    return service.get_from(
        action.address,
        host.download_folder(),
        network_for_typed(host, service),
        lambda delivery: has_come(host, service, delivery),
        remote_users=host.shared_with_others,
        name=action.name,
        anyway=action.anyway,
    )


def network_for_typed(host: Host, service: Service) -> NetworkFor:
    """Return the network settings for sources that a user may have typed."""
    return lambda sources: _network(host, service, typed=sources)


def has_come(host: Host, service: Service, delivery: DownloadResult) -> None:
    """Let the WebUI list a new file, and convert one that it cannot load."""
    host.refresh()
    convert_fetched(host, service, delivery.path, use=False)


def go_on(host: Host, service: Service, key: str) -> None:
    """Continue an interrupted download."""
    allow(host, Permission.MANAGE_DOWNLOADS)
    left = _left_over(host, service, key)
    offered = left.request.sha256 is not None and service.catalogue.published(left.request.sha256) is not None
    allow(host, Permission.GET)
    if not offered:
        allow(host, Permission.CHANGE_SOURCES)
    service.go_on(
        left,
        lambda sources: _network(host, service, typed=() if offered else sources),
        lambda delivery: has_come(host, service, delivery),
        remote_users=host.shared_with_others,
    )


def discard(host: Host, service: Service, key: str) -> None:
    """Discard an unfinished download. Raises RefusedError and NotFoundError."""
    allow(host, Permission.MANAGE_DOWNLOADS)
    service.downloads.discard(_left_over(host, service, key))


def _left_over(host: Host, service: Service, key: str) -> UnfinishedDownload:
    for left in left_over(host, service):
        if left.key == key:
            return left
    raise NotFoundError(msg("This unfinished download is no longer there."))


def owners_network(host: Host, service: Service) -> Network:
    """Return the network settings for sources that only the owner can have named."""
    return _network(host, service)


def _network(host: Host, service: Service, typed: tuple[Source, ...] = ()) -> Network:
    """Return the network settings; `typed` are sources that a user may have typed."""
    from ...downloads.addresses import must_be_public
    from ...transfer import LocalPlaces, Network  # the network's part waits for the first download

    is_closed = bool(typed) and host.shared_with_others  # or anybody could find out which files this machine has
    return Network(
        endpoint=host.endpoint(),
        token_hosts=host.token_hosts(),
        http_hosts=host.http_hosts(),
        connections=host.connections(),
        bandwidth=host.bandwidth(),
        public_only=must_be_public(typed, remote_users=host.shared_with_others),
        keys=service.keys.all(),
        places=LocalPlaces() if is_closed else _places(host, service),
    )


def _places(host: Host, service: Service) -> LocalPlaces:
    """Return the places of this machine that may have a wanted file already."""
    from ...transfer import LocalPlaces, hub_cache

    others = host.other_folders()
    real = {os.path.realpath(folder) for folder in others}  # Forge searches those of its flags, too
    folders = [folder.path for folder in host.folders() if folder.purpose == "vae"]
    return LocalPlaces(
        library=[path for path in (*folders, *host.encoder_folders()) if os.path.realpath(path) not in real],
        hub_cache=hub_cache(),
        others=others,
        hashes=service.stores.hashes,
        memories=service.stores.memories(),
    )


@handles(actions.Get)
def _get(host: Host, service: Service, action: actions.Get) -> None:
    get(host, service, service.catalogue.entry(action.entry), use=action.use, accept=action.accept)


@handles(actions.GetFrom)
def _get_from(host: Host, service: Service, action: actions.GetFrom) -> None:
    get_from(host, service, action)


@handles(actions.Continue)
def _continue(host: Host, service: Service, action: actions.Continue) -> None:
    go_on(host, service, action.job)


@handles(actions.Discard)
def _discard(host: Host, service: Service, action: actions.Discard) -> None:
    discard(host, service, action.job)


@handles(actions.Pause)
def _pause(host: Host, service: Service, action: actions.Pause) -> None:
    managed(host, service).pause(action.job)


@handles(actions.Resume)
def _resume(host: Host, service: Service, action: actions.Resume) -> None:
    managed(host, service).resume(action.job)


@handles(actions.Cancel)
def _cancel(host: Host, service: Service, action: actions.Cancel) -> None:
    managed(host, service).cancel(action.job)


@handles(actions.Retry)
def _retry(host: Host, service: Service, action: actions.Retry) -> None:
    managed(host, service).retry(action.job)


@handles(actions.Forget)
def _forget(host: Host, service: Service, action: actions.Forget) -> None:
    managed(host, service).forget(action.job)


@handles(actions.Move)
def _move(host: Host, service: Service, action: actions.Move) -> None:
    downloads = managed(host, service)
    if action.step in {step.value for step in Move}:
        downloads.move(action.job, Move(action.step))


def managed(host: Host, service: Service) -> Downloads:
    """Return the queue of downloads if this visitor may change it. Raises RefusedError."""
    allow(host, Permission.MANAGE_DOWNLOADS)
    return service.downloads


@handles(actions.SaveKey)
def _save_key(host: Host, service: Service, action: actions.SaveKey) -> None:
    allow(host, Permission.CHANGE_SOURCES)
    service.keys.save(CIVITAI, action.key)


@handles(actions.RemoveKey)
def _remove_key(host: Host, service: Service, action: actions.RemoveKey) -> None:
    allow(host, Permission.CHANGE_SOURCES)
    service.keys.remove(CIVITAI)


# -- choice --------------------------------------------------------------------------------------------------------
@handles(actions.Choose)
def _choose(host: Host, service: Service, action: actions.Choose) -> None:
    choose(host, service, Choice(action.word))


@handles(actions.ChooseAnyway)
def _choose_anyway(host: Host, service: Service, action: actions.ChooseAnyway) -> None:
    choose(host, service, Choice(action.choice), sure=True)


@handles(actions.Prefer)
def _prefer(host: Host, service: Service, action: actions.Prefer) -> None:
    prefer(host, service, action.checkpoint, Choice(action.word))


@handles(actions.Dismiss)
def _dismiss(host: Host, service: Service, action: actions.Dismiss) -> None:
    dismiss(host, service, action.job)


# -- the page ------------------------------------------------------------------------------------------------------
def show_in_quick_settings(host: Host, *, on: bool) -> None:
    """Add `sd_vae` at the end of the quick settings or remove it; the others keep their order."""
    allow(host, Permission.CHANGE_QUICK_SETTINGS)
    shown = host.quick_settings()
    if shown is None:  # a list from a failed read would replace the user's own
        raise RefusedError(msg("The list of quick settings cannot be read, so it was not changed."))
    host.set_quick_settings(quick_settings_with_vae(shown, on=on))


def quick_settings_with_vae(names: Sequence[str], *, on: bool) -> Sequence[str]:
    """Return `names` with `sd_vae` at the end, or without it; unchanged if they are so already."""
    if on == ("sd_vae" in names):
        return names
    return [*names, "sd_vae"] if on else [name for name in names if name != "sd_vae"]


@handles(actions.QuickSettings)
def _quick_settings(host: Host, service: Service, action: actions.QuickSettings) -> None:
    show_in_quick_settings(host, on=action.on)


@handles(actions.DismissPicture)
def _dismiss_picture(host: Host, service: Service, action: actions.DismissPicture) -> None:
    service.picture = None


@handles(actions.DismissRefusal)
def _dismiss_refusal(host: Host, service: Service, action: actions.DismissRefusal) -> None:
    service.dismissed_refusal = action.serial


@handles(actions.ForgetDamage)
def _forget_damage(host: Host, service: Service, action: actions.ForgetDamage) -> None:
    allow(host, Permission.CHECK_FILES)  # the owner has to read it
    forget_damage(*state_folders(host, service))


@handles(actions.Reload)
def _reload(host: Host, service: Service, action: actions.Reload) -> None:
    allow(host, Permission.RELOAD_PAGE)
    host.reload_page()


def perform(host: Host, service: Service, message: str) -> None:
    """Perform the action that the browser sends. Raises VaeManagerError."""
    DISPATCHER.dispatch(host, service, parse_action(message))
