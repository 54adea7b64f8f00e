"""The composition root: joins a host and the page, and registers both with the WebUI.

It registers the callbacks, the always-on script, the settings section and the routes. Hosts do not depend on the page,
and the page depends on hosts by their protocol alone.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import scripts

from ..choice import Choice
from ..errors import VaeManagerError
from ..infotext import HIRES_VAE, REFINER_VAE
from ..messages import Message, msg
from ..service import Service, the_service
from .faults import FAULTS
from .hosts import host_values
from .hosts.common import options, patches
from .hosts.common.adapter import FamilyWebUI
from .hosts.fallbacks import with_fallbacks
from .hosts.host_values import Permission
from .ui import blocks
from .ui.gradio_compat import Work, changed, heed_people_alone, is_in_page, on_sync
from .ui.page import TABS, Page
from .ui.page_handlers import quick_settings_with_vae
from .ui.vae_options import follow

if TYPE_CHECKING:
    from ..files import FileRecord
    from ..records.verdict import Verdict


logger = logging.getLogger(__name__)

UNLISTED_ATTRIBUTE = "vae_manager_unlisted"
"""Attribute of a generation: the name of the VAE that it asks for and that no folder has."""
SYNC_BUTTON = f"vae_manager_{TABS[0]}_sync"

HOOKS = {
    "title": (msg("The accordion “VAE”"), lambda: "VAE"),
    "show": (msg("The accordion “VAE”"), lambda: False),
    "ui": (msg("The accordion “VAE”"), list),
    "before_process": (msg("Checking the VAE before a picture"), lambda: None),
    "postprocess_batch": (msg("Naming the VAE in infotext"), lambda: None),
    "postprocess": (msg("Keeping pictures for comparisons"), lambda: None),
}
"""The methods that the WebUI calls, each with its function and the WebUI's value after a failure."""

SCRIPT_FILE = str(Path(__file__).parents[2] / "scripts" / "vae_manager_webui.py")
"""The file name that the WebUI's lists of callbacks show."""


class Extension:
    """The extension, one object for the process.

    The WebUI clears its callbacks and has them registered again at each *Reload UI*.
    """

    def __init__(self, host: FamilyWebUI) -> None:
        self.host = host
        host.follow = self._follow
        self._page: Page | None = None
        """The page of the present build of the UI."""
        self._sync_button: Any = None
        self._synced: set[str] = set()
        self._has_brought_declared = False

    @property
    def service(self) -> Service:
        """The service of the host's data folder, shared with the routes and the page."""
        return the_service(self.host.data_folder)

    def _judge(self, record: FileRecord) -> Verdict:
        from ..records.verdict import verdict  # imported here, since reading files waits for the first file

        host = with_fallbacks(self.host)  # a download has arrived, independent of the WebUI's abilities
        return verdict(record, host.capability, host.signature())

    def page(self) -> Page:
        """Return the page, made on the first call: before the WebUI builds its UI, or later with --nowebui."""
        if self._page is None:
            self._page = Page(with_fallbacks(self.host), self.service)
        return self._page

    def register(self) -> type[VaeScript]:
        """Register all parts; return the class of which the WebUI makes the script."""
        with FAULTS.suppressed(msg("Preparing the WebUI's settings")):
            self.host.prepare()
        self.service.judge = self._judge
        with FAULTS.suppressed(msg("Reading the settings")):
            self.host.listening()  # the names are read before the first request
        self._guard()
        register("before_ui", self._new_page, msg("Beginning a new page"))
        register("ui_tabs", self._tabs, msg("The tab “VAE”"), list)
        register("ui_settings", self._register_settings, msg("The section of the settings"))
        register("after_component", self._sync_component, msg("Keeping the WebUI's own controls in step"))
        register("app_started", self._add_routes, msg("The page's state"))
        register("model_loaded", self._follow_setting, msg("Following the setting after a checkpoint was loaded"))
        register("infotext_pasted", self._name_the_vae, msg("Finding the VAE of a pasted picture"))
        return type("VaeScript", (VaeScript,), {"extension": self})

    def _guard(self) -> None:
        with FAULTS.suppressed(msg("Guarding the WebUI's own ways of loading a VAE")):
            if options.guarded():
                self.host.guard()

    def _new_page(self) -> None:
        self._guard()  # again: a Reload UI may make the WebUI's page modules anew
        self._page = self._sync_button = None
        self._synced.clear()
        self.host.vae_in_quick_settings = None
        self.host.begin_page()
        self.page()

    def _tabs(self) -> list[tuple[Any, str, str]]:
        """Return the tab "VAE". No file is read before it is opened."""
        return [(blocks.build_tab(self.page()), "VAE", blocks.NAME)]

    def _register_settings(self) -> None:
        from . import settings_section  # needs more of the WebUI than the rest: without it the defaults apply

        translate = self.page().translate
        settings_section.register(self.host, translate, blocks.settings_region(translate), self._follow)

    def _follow(self) -> None:
        follow(with_fallbacks(self.host), self.service)

    def _sync_component(self, component: Any, **kwargs: Any) -> None:
        """Let the WebUI's own components follow the page's changes: otherwise *Apply settings* would undo them."""
        elem_id = str(kwargs.get("elem_id"))
        if not is_in_page(component):
            return
        if elem_id == SYNC_BUTTON:
            self._sync_button = component
        if self._sync_button is None:
            return  # with --nowebui the settings are built without the accordion
        picker = self.host.picker(component, elem_id)
        if picker is not None and "picker" not in self._synced:
            self._synced.add("picker")
            if self.host.picker_writes_each_change:
                heed_people_alone(picker)  # the WebUI has not registered its event yet
            on_sync(self._sync_button, self._shown(self._picker), [], [picker])
        if (
            elem_id == f"setting_{options.QUICK_SETTINGS}"
            and self.host.refusal(Permission.CHANGE_QUICK_SETTINGS) is None
        ):
            on_sync(self._sync_button, self._shown(self._quick_settings), [component], [component])
        if elem_id in (f"setting_{option}" for option in options.FAMILY_DEFAULTS.values()):
            arguments = host_values.option_info(elem_id.removeprefix("setting_")).component_args
            listed = self._shown(lambda: changed(**arguments()))  # a new file at once
            on_sync(self._sync_button, listed, [], [component])

    def _shown(self, values: Callable[..., Any]) -> Work:
        """Update a component of the WebUI to its current values, in the extension's own page alone."""
        return Work(self.host, lambda visitor, *inputs: values(*inputs), lambda message: changed())

    def _picker(self) -> Any:
        facts = self.page().facts()
        return changed(**self.host.picker_values([option.word for option in facts.options], facts.choice))

    def _quick_settings(self, shown: Any) -> Any:
        """Return the quick settings that the Settings page shows, and that *Apply settings* would write.

        The extension's own switch is applied to them; all other items stay as the person has left them.
        """
        asked = self.host.vae_in_quick_settings
        if asked is None or not isinstance(shown, list):
            return changed()
        return changed(value=list(quick_settings_with_vae(shown, on=asked)))

    def _add_routes(self, demo: Any, app: Any) -> None:
        if demo is not None:  # None with --nowebui: there is no page to show it in
            from . import api
            from .admission import close_folder

            with FAULTS.suppressed(msg("Closing the folder of VAE Manager")):
                close_folder(app, self.host.data_folder)
            api.register(app, self.page)
            with FAULTS.suppressed(msg("The look at an address")):
                api.register_look(app, self.page)
            with FAULTS.suppressed(msg("The pictures of comparisons")):
                api.register_pictures(app, self.page)
                api.register_previews(app, self.page)
            with FAULTS.suppressed(msg("The ranking of VAEs")):
                from .api_trial import register_trial

                register_trial(app, self.page)
        with FAULTS.suppressed(msg("Downloading what --vae-manager-sync declares")):
            self._bring_declared()
        if host_values.flag("api", False) or host_values.flag("nowebui", False):
            with FAULTS.suppressed(msg("The API for programs")):
                from .program_api import register_programs

                register_programs(app, with_fallbacks(self.host), lambda: self.service, _api_users())

    def _bring_declared(self) -> None:
        """Download what the owner's file declares, once in each process: a Reload UI begins nothing anew."""
        file = host_values.flag("vae_manager_sync")
        if file and not self._has_brought_declared:
            from .declared_set import begin_sync

            self._has_brought_declared = True
            begin_sync(with_fallbacks(self.host), self.service, Path(file).expanduser())

    def _name_the_vae(self, pasted: str, fields: dict[str, Any]) -> None:
        self.host.name_pasted(self.service, fields)

    def _follow_setting(self, model: Any) -> None:
        """Apply a choice made while the model was loading, which did not get it, in the background.

        The WebUI may hold its queue lock here, so this call itself does no work. A choice that was refused while the
        checkpoint was loaded would be refused again.
        """
        in_use = self.host.in_use()
        refused = in_use.refusal.path if in_use.refusal is not None else None
        if not in_use.overridden and (refused is None or refused != self.host.resolution().path):
            self._follow()


@functools.cache
def extension_of(host: FamilyWebUI) -> Extension:
    """Return the one extension of this process for a host, however often the WebUI builds its page."""
    return Extension(host)


def _api_users() -> dict[str, str]:
    """Return the users of --api-auth (modules/api/api.py:201)."""
    return dict(pair.split(":", 1) for pair in (host_values.flag("api_auth") or "").split(",") if pair)


class VaeScript(scripts.Script):  # type: ignore[misc]  # the host's class is not typed
    """The accordion, and the tab's own choice on its way into a generation.

    Each hook that the WebUI calls is an error boundary: a function that fails affects neither the other
    functions that a generation needs nor the picture.
    """

    extension: Extension

    def title(self) -> str:
        """Return the label of the accordion, by which the API names the script; it is not translated."""
        return "VAE"

    def show(self, is_img2img: bool) -> Any:
        """Show the script in both tabs without a choice in the dropdown of scripts."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Build the accordion of the tab; the values of the returned components go to `before_process`, in order."""
        page = self.extension.page()
        sent = blocks.build_accordion(page, TABS[1] if is_img2img else TABS[0])
        self.infotext_fields = [
            (component, functools.partial(page.pass_label, field))
            for component, field in zip(sent[1:], (HIRES_VAE, REFINER_VAE), strict=False)
        ]
        return sent

    def before_process(self, p: Any, tab_choice: str = "", hires: str = "", refiner: str = "", *_: Any) -> None:
        """Give the tab's choice to this generation, unless X/Y/Z or a request through the API has set one.

        `hires` and `refiner` name the VAEs of single passes: see `hosts.common.pass_vaes`.

        Runs before the WebUI applies overrides (processing.py:820).
        """
        host = self.extension.host
        with FAULTS.suppressed(msg("Keeping pictures for comparisons")):
            host.latents.begin(p)
        with FAULTS.suppressed(msg("The VAE of this tab only")):
            if tab_choice and isinstance(tab_choice, str) and host.override_of(p) is None:
                self._override(p, self.extension.page().word_of(tab_choice))
        with FAULTS.suppressed(msg("The VAE of a single pass")):
            self._wish(p, hires, refiner)
        with FAULTS.suppressed(msg("Finding the VAE that a picture asks for")):
            setattr(p, UNLISTED_ATTRIBUTE, host.unlisted_override(p))
        override = host.override_of(p)
        host.override.note(override, host.written_choice().word)
        if override is None and options.guarded():
            try:
                host.before_generation()
            except VaeManagerError as error:
                p.comment(str(error.message))

    def postprocess_batch(self, p: Any, *_: Any, images: Any = (), **__: Any) -> None:
        """Let infotext name the VAE that has decoded.

        The WebUI records the one before a refiner or a hires checkpoint loads another (processing.py:892).
        """
        with FAULTS.suppressed(msg("Finding the VAE that a picture asks for")):
            self._report_unlisted(p)
        if not options.guarded() and not self.extension.host.pass_vaes.has_wish(p):
            return
        with FAULTS.suppressed(msg("Naming the VAE in infotext")):
            patches.follow(self.extension.host, p)
        with FAULTS.suppressed(msg("Keeping pictures for comparisons")):
            self.extension.host.latents.claim(p, images)

    def postprocess(self, p: Any, processed: Any, *_: Any) -> None:
        """Keep the latents of the ended generation for comparisons, with the infotexts of `processed`."""
        self.extension.host.latents.finish(p, processed, TABS[1] if self.is_img2img else TABS[0])

    def _report_unlisted(self, p: Any) -> None:
        """Report a name that the WebUI does not list: it silently takes another VAE."""
        file, model = getattr(p, UNLISTED_ATTRIBUTE, None), self.extension.host.model()
        if file is None or model is None:
            return
        path = self.extension.host.vae.path(model)
        used = Path(path).name if path is not None else msg("Built-in")
        reason = self.extension.host.reason_against(file)
        text = (
            msg(
                "The picture asks for {file}, which the WebUI does not list: {used} was used.",
                code="picture-asks-for-unlisted",
                file=file,
                used=used,
            )
            if reason is None
            else msg("{reason} {used} was used.", reason=reason, used=used)
        )
        if str(text) not in p.comments:
            logger.warning("%s", text)  # the API returns no comments
        p.comment(str(text))

    def _wish(self, p: Any, hires: str, refiner: str) -> None:
        """Note the VAEs of single passes; say so if the extension may not put them in."""
        host, page = self.extension.host, self.extension.page()
        words = [page.pass_word(label) for label in (hires, refiner)]
        refusal = host.refusal(Permission.CHOOSE_FOR_TAB)
        if refusal is None and not options.guarded():
            refusal = msg(
                "Hires. fix and the refiner get a VAE of their own only while “{setting}” is on in the settings.",
                code="guards-off",
                setting=msg("Guard the WebUI's own ways of loading a VAE"),
            )
        if refusal is not None and any(words):
            p.comment(str(refusal))
        host.pass_vaes.wish(p, *(words if refusal is None else ["", ""]))

    def _override(self, p: Any, word: str) -> None:
        """Set the override if the file fits.

        The WebUI loads it unchecked, and a misfit would break the model for all users.
        """
        host = self.extension.host
        if host.refusal(Permission.CHOOSE_FOR_TAB) is not None:
            return
        try:
            if "sd_model_checkpoint" not in p.override_settings:  # else the model to check against is another one
                host.check(Choice(word))
        except VaeManagerError as error:
            p.comment(str(error.message))
            return
        host.set_override(p, word)


for _name, (_function, _fallback) in HOOKS.items():
    setattr(VaeScript, _name, FAULTS.wrap(getattr(VaeScript, _name), _function, _fallback))


def register(
    category: str, callback: Callable[..., Any], function: Message, fallback: Callable[[], Any] = lambda: None
) -> None:
    """Register `callback` by `script_callbacks.on_CATEGORY`, with the name of the file.

    An error of the callback is a fault of `function`, and the WebUI gets `fallback()`; a WebUI without such a callback
    is a fault too. Without a name, the WebUI looks for it on the stack, with all source lines
    (script_callbacks.py:128): some 50 ms a callback, measured. WebUIs before 1.9 do not accept the name.
    """
    with FAULTS.suppressed(function):
        _add(category, FAULTS.wrap(callback, function, fallback))


def _add(category: str, callback: Callable[..., Any]) -> None:
    add = host_values.value("modules.script_callbacks", "add_callback")
    callbacks = host_values.value("modules.script_callbacks", "callback_map", {}).get(f"callbacks_{category}")
    if add is not None and callbacks is not None and "filename" in inspect.signature(add).parameters:
        add(callbacks, callback, category=category, filename=SCRIPT_FILE)
    else:
        host_values.needed("modules.script_callbacks", f"on_{category}")(callback)
