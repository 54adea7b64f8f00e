"""As modules/initialize.py of reForge: the model loads in the main thread, and so do options take effect."""

from __future__ import annotations

from typing import Any

from modules_forge import main_thread

from tests.host.layers import underneath

underneath(globals())

_imports = imports  # noqa: F821  # A1111's


def imports() -> None:
    from modules_forge import patch_basic

    patch_basic.patch_all_basics()
    _imports()


def initialize() -> None:
    """Signals are the main thread's, which webui.py has."""
    from modules import sd_models

    configure_opts_onchange()
    sd_models.setup_model()
    initialize_rest(reload_script_modules=False)  # noqa: F821


def configure_opts_onchange() -> None:
    """What is raised there is lost."""
    from modules import sd_models, sd_vae, shared
    from modules.call_queue import wrap_queued_call

    def there(work: Any) -> Any:
        return wrap_queued_call(lambda: main_thread.run_and_wait_result(work))

    shared.opts.onchange("sd_model_checkpoint", there(lambda: sd_models.reload_model_weights()), call=False)
    for key in ("sd_vae", "sd_vae_overrides_per_model_preferences"):
        shared.opts.onchange(key, there(lambda: sd_vae.reload_vae_weights()), call=False)


class Thread:
    """In place of the thread in which A1111 loads its first model."""

    def __init__(self, target: Any, name: str) -> None:
        self._target = target

    def start(self) -> None:
        main_thread.async_run(self._target)
