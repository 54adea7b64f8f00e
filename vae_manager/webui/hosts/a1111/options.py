"""The WebUI's options: the project's own ones, and reading and writing any."""

from __future__ import annotations

from typing import Any

from modules import shared

from ....errors import DiskError, RefusedError
from ....sentences import Sentence, say

SECTION = ("vae_manager", "VAE Manager")
ENDPOINT = "vae_manager_endpoint"
DOWNLOAD_FOLDER = "vae_manager_download_folder"
AUTOMATIC_FOLDER = "Automatic"


def read(name: str, default: Any) -> Any:
    """The option's value; `default` where the option is not registered (yet): the model loads before settings are."""
    if name in shared.opts.data:
        return shared.opts.data[name]
    info = shared.opts.data_labels.get(name)
    return info.default if info is not None else default


def write(name: str, value: Any) -> None:
    """Set and save an option without running what hangs on its change. RefusedError where the WebUI does not allow it.

    `Options.__setattr__` asserts on frozen settings and raises RuntimeError on hidden ones (options.py:88).
    """
    refusal = frozen(name)
    if refusal is not None:
        raise RefusedError(refusal)
    try:
        setattr(shared.opts, name, value)
        shared.opts.save(shared.config_filename)
    except (AssertionError, RuntimeError) as error:
        raise RefusedError(
            say("The WebUI does not allow this setting to be changed ({reason}).", reason=str(error))
        ) from error
    except OSError as error:
        raise DiskError(
            say(
                "{path} cannot be written: {reason}. The change holds until the WebUI ends.",
                path=shared.config_filename,
                reason=error.strerror or error,
            )
        ) from error


def frozen(name: str) -> Sentence | None:
    """Which flag of the WebUI freezes this option; None when none does (options.py:88-107)."""
    if shared.cmd_opts.freeze_settings:
        return say("The WebUI was started with --freeze-settings: settings cannot be changed here.")
    if name in _words("freeze_specific_settings"):
        return say("The WebUI was started with --freeze-specific-settings: this setting cannot be changed here.")
    info = shared.opts.data_labels.get(name)
    if info is not None and info.section and info.section[0] in _words("freeze_settings_in_sections"):
        return say("The WebUI was started with --freeze-settings-in-sections: this setting cannot be changed here.")
    return None


def _words(flag: str) -> list[str]:
    """The words of a flag with a comma-delimited list; WebUIs before 1.8 do not have these flags."""
    value: str = getattr(shared.cmd_opts, flag, None) or ""
    return [word.strip() for word in value.split(",")]
