"""Options of the WebUI, and their overrides for one picture."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ....catalogue import FAMILIES
from ....choice import AUTOMATIC, BUILTIN
from ....errors import DiskError, RefusedError
from ....messages import Message, msg
from .. import host_values

SECTION = ("vae_manager", "VAE Manager")
QUICK_SETTINGS = "quicksettings_list"
"""The WebUI's own list of the options at the top of each page."""
ENDPOINT = "vae_manager_endpoint"
DOWNLOAD_FOLDER = "vae_manager_download_folder"
AUTOMATIC_FOLDER = "Automatic"
OTHER_FOLDERS = "vae_manager_other_folders"
"""Folders of other programs, one a line."""
REFERENCES = {
    "forge_ref_a1111_home": ("models/VAE", "models/text_encoder"),
    "forge_ref_comfy_home": ("models/vae", "models/text_encoders", "models/clip", "vae", "text_encoders", "clip"),
}
"""Flags of Forge and Neo that name the home of another WebUI, or its folder of models, and the folders below it."""
CONNECTIONS = "vae_manager_connections"
MAX_CONNECTIONS = 32
DEFAULT_CONNECTIONS = 32
BANDWIDTH = "vae_manager_bandwidth"
FAMILY_DEFAULTS = {family: f"vae_manager_default_{family}" for family in FAMILIES}
"""Options with the VAE that Automatic takes for a checkpoint of the family unless a more specific rule applies. A WebUI
has those of the families that it runs."""
GUARDS = "vae_manager_guards"
RESCUE = "vae_manager_rescue"
TOKEN_HOSTS = "vae_manager_token_hosts"
"""Hosts of hubs, besides huggingface.co, that get the token saved for it."""
HTTP_HOSTS = "vae_manager_http_hosts"
"""Hosts that downloads may ask over plain http."""
ALLOWED_HOSTS = "vae_manager_allowed_hosts"
"""Names under which the page may be reached besides this machine's."""
CONVERT = "vae_manager_convert"
MEMORY = "vae_manager_memory"
ON_DEVICE = "vae_manager_on_device"
KEPT = "vae_manager_kept"
DEFAULT_KEPT = 8
MAX_KEPT = 64
KEPT_MEMORY = "vae_manager_kept_memory"
DEFAULT_KEPT_MEMORY = 256
"""In MB. The latent of a picture of 512 × 512 takes 32 or 64 kB, that of one of 2048 × 2048 1 MB."""
ONE_SET = 400_000_000
"""Bytes; the weights of one VAE in 32 bits are 335 MB."""


def read(name: str, default: Any) -> Any:
    """Return the option's value; `default` before its registration: the model loads before settings are."""
    return host_values.option(name, default)


def number(name: str, default: float) -> float:
    """Return the option as a number; `default` for another value, as a hand-edited config.json may hold."""
    try:
        value = float(read(name, default))
    except (TypeError, ValueError):
        return default
    return value if math.isfinite(value) else default


def hosts(name: str) -> frozenset[str]:
    """Return the option as a set of hosts, which commas or blanks divide."""
    return frozenset(re.split(r"[,;\s]+", str(read(name, "")).strip().lower())) - {""}


def guarded() -> bool:
    """Return True if the WebUI's own ways of loading a VAE are patched: by the setting, unless a flag forbids it."""
    return bool(read(GUARDS, True)) and not host_values.flag(host_values.NO_GUARDS, False)


def rescues() -> bool:
    """Return True if a picture whose decode failed is decoded again."""
    return bool(read(RESCUE, True))


def memory_for_vaes() -> int:
    """Return the bytes of RAM that weights may take while they are in no model."""
    return round(max(0.0, number(MEMORY, default_memory())) * 1e9)


def default_memory() -> float:
    """Return the default in GB, for the machine's present state."""
    import psutil

    from ....swap.swapper import default_bound

    memory = psutil.virtual_memory()
    return default_bound(memory.total, memory.available)


def memory_on_device() -> int:
    """Return the bytes of the GPU's memory that weights may take while they are in no model."""
    return ONE_SET if read(ON_DEVICE, False) else 0


def kept_count() -> int:
    """Return the number of pictures whose latents are kept; 0 disables the store."""
    return round(max(0.0, number(KEPT, DEFAULT_KEPT)))


def kept_bytes() -> int:
    """Return the most bytes of RAM that latents may take."""
    return round(max(0.0, number(KEPT_MEMORY, DEFAULT_KEPT_MEMORY)) * 1e6)


def family_default(family: str | None) -> str | None:
    """Return the name of the VAE file that is the person's default for `family`; None for the checkpoint's own."""
    option = FAMILY_DEFAULTS.get(family or "")
    word = str(read(option, BUILTIN.word)) if option is not None else ""
    return None if word in ("", BUILTIN.word, AUTOMATIC.word) else word


def write(name: str, value: Any) -> None:
    """Set and save an option without running its callback. Raises RefusedError if the WebUI does not allow it.

    `Options.__setattr__` asserts on frozen settings and raises RuntimeError on hidden ones (options.py:88).
    """
    refusal = frozen(name)
    if refusal is not None:
        raise RefusedError(refusal)
    opts, file = host_values.needed("modules.shared", "opts"), host_values.needed("modules.shared", "config_filename")
    try:
        setattr(opts, name, value)
        opts.save(file)
    except (AssertionError, RuntimeError) as error:
        raise RefusedError(
            msg("The WebUI does not allow this setting to be changed ({reason}).", reason=str(error))
        ) from error
    except OSError as error:
        raise DiskError(
            msg(
                "{path} cannot be written: {reason}. The change holds until the WebUI ends.",
                code="not-writable",
                path=file,
                reason=error.strerror or error,
            )
        ) from error


def frozen(name: str) -> Message | None:
    """Return the message for the flag that freezes this option; None without such a flag (options.py:88-107)."""
    if host_values.flag("freeze_settings", False):
        return msg(
            "The WebUI was started with --freeze-settings: settings cannot be changed here.", code="frozen-settings"
        )
    if name in _words("freeze_specific_settings"):
        return msg("The WebUI was started with --freeze-specific-settings: this setting cannot be changed here.")
    info = host_values.option_info(name)
    if info is not None and info.section and info.section[0] in _words("freeze_settings_in_sections"):
        return msg("The WebUI was started with --freeze-settings-in-sections: this setting cannot be changed here.")
    return None


def _words(flag: str) -> list[str]:
    """Return the words of a flag with a comma-delimited list; WebUIs before 1.8 do not have these flags."""
    value: str = host_values.flag(flag) or ""
    return [word.strip() for word in value.split(",")]


class Override:
    """The override of the running job, and the person's own setting meanwhile. One object for the process."""

    def __init__(self, generating: Callable[[], bool]) -> None:
        self._generating = generating
        self._word: str | None = None
        """The override of the latest generation."""
        self._set_aside: tuple[str, float | None] | None = None
        """The previous setting, and the time that the job began."""

    def note(self, word: str | None, setting: str) -> None:
        """Record the override of a generation that begins, or its absence; `setting` is the value before it is written.

        If one job has several generations (X/Y/Z, a detailer inside another generation), the first one's setting is the
        person's.
        """
        if not self.is_in_force:
            self._set_aside = (setting, host_values.state("time_start", None)) if word is not None else None
        self._word = word

    @property
    def is_in_force(self) -> bool:
        """True until the end of the job that began with an override; a job is identified by its start time."""
        if self._set_aside is None or not self._generating():
            return False
        return bool(self._set_aside[1] == host_values.state("time_start", None))

    @property
    def setting(self) -> str | None:
        """The person's own setting while an override applies; else None, since the option then has it."""
        return self._set_aside[0] if self._set_aside is not None and self.is_in_force else None

    @property
    def word(self) -> str | None:
        """The override of the picture that is being made; None without one."""
        return self._word if self.is_in_force else None

    def is_by(self, word: str) -> bool:
        """Return True if the picture that is being made has requested this VAE."""
        return self.is_in_force and word == self._word

    def ends_with(self, written: str) -> bool:
        """Return True if the WebUI has `written` the setting back, just before it returns the picture."""
        return self.is_in_force and written != self._word
