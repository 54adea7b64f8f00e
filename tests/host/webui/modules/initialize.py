"""Imitates modules/initialize.py: what happens once, and what happens again at each Reload UI."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from threading import Thread
from types import FrameType

from modules import shared_init
from modules.timer import startup_timer


def imports() -> None:
    """The heavy packages, then the shared fields, then what needs them."""
    import gradio  # noqa: F401
    import torch  # noqa: F401

    from tests.host import gradios

    gradios.write_no_interfaces()
    startup_timer.record("import torch and gradio")
    shared_init.initialize()
    startup_timer.record("initialize shared")
    from modules import processing, ui  # noqa: F401

    startup_timer.record("other imports")


def initialize() -> None:
    from modules import sd_models

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    configure_opts_onchange()
    sd_models.setup_model()
    startup_timer.record("setup SD model")
    initialize_rest(reload_script_modules=False)


def _leave(number: int, frame: FrameType | None) -> None:
    """At once, without any shutdown hook. The WebUI does so for SIGINT; SIGTERM ends it likewise."""
    print(f"Interrupted with signal {number}", flush=True)
    os._exit(0)


def configure_opts_onchange() -> None:
    """What the WebUI does when its own options change; each takes the queue lock."""
    from modules import sd_models, sd_vae, shared
    from modules.call_queue import wrap_queued_call

    # Looked up at each call, so that a patch of the function counts
    reload_model = wrap_queued_call(lambda: sd_models.reload_model_weights())
    shared.opts.onchange("sd_model_checkpoint", reload_model, call=False)
    for key in ("sd_vae", "sd_vae_overrides_per_model_preferences"):
        shared.opts.onchange(key, wrap_queued_call(lambda: sd_vae.reload_vae_weights()), call=False)
    startup_timer.record("opts onchange")


def initialize_rest(*, reload_script_modules: bool = False) -> None:
    """The model loads in a thread of its own, while the settings of extensions are not registered yet."""
    from modules import extensions, localization, scripts, sd_models, sd_vae, shared, upscaler

    extensions.list_extensions()
    startup_timer.record("list extensions")
    sd_models.list_models()
    startup_timer.record("list SD models")
    localization.list_localizations(shared.cmd_opts.localizations_dir)
    startup_timer.record("list localizations")
    with startup_timer.subcategory("load scripts"):
        scripts.load_scripts()
    shared.sd_upscalers[:] = upscaler.load_upscalers()
    if reload_script_modules and shared.opts.enable_reloading_ui_scripts:
        for module in [module for name, module in sys.modules.items() if name.startswith("modules.ui")]:
            importlib.reload(module)
    sd_vae.refresh_vae_list()
    startup_timer.record("refresh VAE")
    from modules import ui_extra_networks  # made anew above

    ui_extra_networks.initialize()
    ui_extra_networks.register_default_pages()
    for page in ui_extra_networks.extra_pages:
        page.read_items()
    startup_timer.record("initialize extra networks")
    if not shared.cmd_opts.skip_load_model_at_start:
        Thread(target=lambda: shared.sd_model, name="load_model").start()
