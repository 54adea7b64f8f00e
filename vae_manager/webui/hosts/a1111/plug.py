"""Plugs the extension into the WebUI: its callbacks, its always-on script and its settings section."""

from __future__ import annotations

from typing import Any

from modules import scripts, shared

from ....choice import AUTOMATIC, Choice
from ....errors import VaeManagerError
from ....service import the_service
from ... import api
from ...ui import accordion
from ...ui.facts import CHOICE_KEY
from ...ui.gradio_compat import changed, on_click
from ...ui.page import TABS, Page
from ..acts import Act
from . import section
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
        if tab_choice and "sd_vae" not in p.override_settings:
            self._override(p, tab_choice)
        HOST.note_override(overrides="sd_vae" in p.override_settings)

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
    register("before_ui", _new_page)
    register("ui_settings", _register_settings)
    register("after_component", _keep_in_step)
    register("app_started", _add_route)
    register("model_loaded", _follow_setting)
    return VaeScript


def _new_page() -> None:
    VaeScript.page = None
    VaeScript.current_page()


def _register_settings() -> None:
    section.register(HOST, VaeScript.current_page().words)


def _keep_in_step(component: Any, **kwargs: Any) -> None:
    """Let the WebUI's own components for what the page changes follow it: else *Apply settings* would undo it."""
    elem_id = kwargs.get("elem_id")
    if elem_id == SYNC_BUTTON:
        VaeScript.sync_button = component
    if VaeScript.sync_button is None:
        return  # with --nowebui the settings are built without the accordion
    if elem_id == "setting_sd_vae":
        on_click(VaeScript.sync_button, _sd_vae_component, [], [component])
    if elem_id == "setting_quicksettings_list":
        on_click(VaeScript.sync_button, lambda: changed(value=list(HOST.quick_settings())), [], [component])


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


def _follow_setting(model: Any) -> None:
    """A choice made while the model was loading comes too late for it: apply it now, in the background.

    The WebUI may hold its queue lock here, so nothing is done in this call itself.
    """
    in_use = HOST.in_use()
    if not in_use.overridden and HOST.resolution().path != in_use.path:
        word = HOST.choice().word
        the_service(HOST.data_folder).choices.start(CHOICE_KEY + word, word, lambda handle: HOST.follow_setting())
