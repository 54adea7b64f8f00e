"""Plugs the extension into the WebUI: its callbacks, its always-on script and its settings section."""

from __future__ import annotations

from typing import Any

from modules import scripts, shared

from ....choice import AUTOMATIC, Choice
from ....errors import VaeManagerError
from ....service import the_service
from ... import api, api_pictures
from ...ui import accordion, tab
from ...ui.choosing import follow
from ...ui.gradio_compat import changed, on_click
from ...ui.page import TABS, Page
from ..acts import Act
from . import guards, infotext, options, pasted, section
from .adapter import A1111
from .callbacks import register

HOST = A1111()

SYNC_BUTTON = f"vae_manager_{TABS[0]}_sync"


class VaeScript(scripts.Script):  # type: ignore[misc]  # the host's class is not typed
    """The accordion, and the tab's own choice on its way into a generation."""

    page: Page | None = None
    """Of the present build of the UI."""
    sync_button: Any = None

    @classmethod
    def current_page(cls) -> Page:
        """Made before the WebUI builds its UI; with --nowebui that comes later than the first who asks for it."""
        if cls.page is None:
            cls.page = Page(HOST, the_service(HOST.data_folder))
        return cls.page

    def title(self) -> str:
        return "VAE"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        return accordion.build(self.current_page(), TABS[1] if is_img2img else TABS[0])

    def before_process(self, p: Any, tab_choice: str = "", *_: Any) -> None:
        """Give the tab's choice to this generation, unless X/Y/Z or a request through the API has set one.

        Runs before the WebUI applies overrides (processing.py:820).
        """
        HOST.latents.begin(p)
        if tab_choice and "sd_vae" not in p.override_settings:
            self._override(p, tab_choice)
        override = p.override_settings.get("sd_vae")
        HOST.note_override(override)
        if override is None and options.guarded():
            try:
                HOST.before_generation()
            except VaeManagerError as error:
                p.comment(str(error.sentence))

    def postprocess_batch(self, p: Any, *_: Any, images: Any = (), **__: Any) -> None:
        """Let infotext name the VAE that has decoded: the WebUI notes the one before a refiner or a hires checkpoint
        brings another (processing.py:892)."""
        if options.guarded():
            p.sd_vae_name, p.sd_vae_hash = infotext.decoder(HOST)
            HOST.latents.claim(p, images)

    def postprocess(self, p: Any, processed: Any, *_: Any) -> None:
        HOST.latents.finish(p, processed, TABS[1] if self.is_img2img else TABS[0])

    def _override(self, p: Any, word: str) -> None:
        """The WebUI loads an override unchecked, and a file that does not fit would break the model for everybody."""
        if HOST.refusal(Act.CHOOSE_FOR_TAB) is not None:
            return
        try:
            if "sd_model_checkpoint" not in p.override_settings:  # else the model to check against is another one
                HOST.check(Choice(word))
        except VaeManagerError as error:
            p.comment(str(error.sentence))
            return
        p.override_settings["sd_vae"] = word


def into_webui() -> type[VaeScript]:
    """Register everything. The WebUI clears its callbacks and calls this again at each *Reload UI*."""
    # An override of an option that the config does not hold is never taken back (processing.py:823).
    shared.opts.data.setdefault("sd_vae", AUTOMATIC.word)
    _guard()
    register("before_ui", _new_page)
    register("ui_tabs", _tabs)
    register("ui_settings", _register_settings)
    register("after_component", _keep_in_step)
    register("app_started", _add_route)
    register("model_loaded", _follow_setting)
    register("infotext_pasted", _name_the_vae)
    return VaeScript


def _guard() -> None:
    if options.guarded():
        guards.install(HOST)


def _new_page() -> None:
    _guard()  # once more: a Reload UI may make the WebUI's page modules anew
    VaeScript.page = None
    VaeScript.current_page()


def _tabs() -> list[tuple[Any, str, str]]:
    """The tab "VAE". No file is looked at before somebody opens it."""
    return [(tab.build(VaeScript.current_page()), "VAE", tab.NAME)]


def _register_settings() -> None:
    section.register(HOST, VaeScript.current_page().words, _follow)


def _follow() -> None:
    follow(HOST, the_service(HOST.data_folder))


def _keep_in_step(component: Any, **kwargs: Any) -> None:
    """Let the WebUI's own components for what the page changes follow it: else *Apply settings* would undo it."""
    elem_id = str(kwargs.get("elem_id"))
    if elem_id == SYNC_BUTTON:
        VaeScript.sync_button = component
    if VaeScript.sync_button is None:
        return  # with --nowebui the settings are built without the accordion
    if elem_id == "setting_sd_vae":
        on_click(VaeScript.sync_button, _sd_vae_component, [], [component])
    if elem_id == "setting_quicksettings_list":
        on_click(VaeScript.sync_button, lambda: changed(value=list(HOST.quick_settings())), [], [component])
    if elem_id in (f"setting_{option}" for option in options.FAMILY_DEFAULTS.values()):
        shown = shared.opts.data_labels[elem_id.removeprefix("setting_")].component_args
        on_click(VaeScript.sync_button, lambda: changed(**shown()), [], [component])  # lists a new file at once


def _sd_vae_component() -> Any:
    """The WebUI's own dropdown keeps the WebUI's words, and gets what the setting already is.

    In the quick settings it writes each change of its value into the setting: a choice that still waits for its check
    would be loaded unchecked.
    """
    facts = VaeScript.current_page().facts()
    return changed(choices=[option.word for option in facts.options], value=facts.choice.word)


def _add_route(demo: Any, app: Any) -> None:
    if demo is not None:  # None with --nowebui: there is no page to show anything in
        api.register(app, VaeScript.current_page)
        api_pictures.register(app, VaeScript.current_page)
    if shared.cmd_opts.api or shared.cmd_opts.nowebui:
        from ... import api_compare

        api_compare.register(app, HOST, lambda: the_service(HOST.data_folder), _api_users())


def _api_users() -> dict[str, str]:
    """Those of --api-auth (modules/api/api.py:201)."""
    return dict(pair.split(":", 1) for pair in (shared.cmd_opts.api_auth or "").split(",") if pair)


def _name_the_vae(infotext: str, fields: dict[str, Any]) -> None:
    pasted.into_fields(HOST, the_service(HOST.data_folder), fields)


def _follow_setting(model: Any) -> None:
    """A choice made while the model was loading comes too late for it: apply it now, in the background.

    The WebUI may hold its queue lock here, so nothing is done in this call itself.
    """
    if not HOST.in_use().overridden:
        _follow()
