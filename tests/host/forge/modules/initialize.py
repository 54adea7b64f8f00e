"""Imitates Forge's modules/initialize.py: Forge's own is set up first, and options change nothing by themselves."""

from __future__ import annotations

from modules_forge.initialization import initialize_forge

initialize_forge()

from tests.host.layers import underneath  # noqa: E402

webui = underneath(globals())


def configure_opts_onchange() -> None:
    """One is left, which does nothing in the main thread."""
    from modules import sd_vae, shared
    from modules.call_queue import wrap_queued_call
    from modules_forge import main_thread

    reload = wrap_queued_call(lambda: main_thread.run_and_wait_result(sd_vae.reload_vae_weights))
    shared.opts.onchange("sd_vae_overrides_per_model_preferences", reload, call=False)
