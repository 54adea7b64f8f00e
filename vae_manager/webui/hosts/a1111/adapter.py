"""The `Host` of AUTOMATIC1111's WebUI."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import sd_models, sd_vae

from ....choice import AUTOMATIC, Choice
from ....compare.pictures import with_vae
from ....library import scan
from ....messages import Message, msg
from .. import host_values
from ..common import options, patches
from ..common.adapter import Decoding, FamilyWebUI

if TYPE_CHECKING:
    from ....service import Service
    from ..common.comparing import FamilyComparing
    from ..common.vae_state import LoadedVae
    from .load_hooks import LoadHooks
    from .vae_state import Precision


class A1111(FamilyWebUI):
    """AUTOMATIC1111's WebUI."""

    name = "AUTOMATIC1111"
    picker_writes_each_change = True
    """In the quick settings (ui_settings.py:303)."""

    @functools.cached_property
    def load_hooks(self) -> LoadHooks:
        """Hooks, imported with the first model: code that reads files must not slow the WebUI's start."""
        from .load_hooks import LoadHooks
        from .vae_state import A1111VaeState

        return LoadHooks(self, A1111VaeState(self.precision))

    @functools.cached_property
    def precision(self) -> Precision:
        """The record of a decode to NaN, one for the process. Its module imports torch, so it waits for a model."""
        from .vae_state import Precision

        return Precision()

    @property
    def vae(self) -> LoadedVae:
        """The VAE that the load hooks track; the first access imports them."""
        return self.load_hooks.vae

    @functools.cached_property
    def comparing(self) -> FamilyComparing:
        """Comparisons by the loaded model. The first access imports torch."""
        from ..common.comparing import FamilyComparing

        return FamilyComparing(self)

    @functools.cached_property
    def decoding(self) -> Decoding:
        """Implement `FamilyWebUI.decoding`. The first access imports torch."""
        from .vae_state import A1111Decoding

        return A1111Decoding(self)

    def files(self) -> Mapping[str, str]:
        """Return a copy of `sd_vae.vae_dict`, which a refresh empties for a moment."""
        return dict(sd_vae.vae_dict)

    def lists(self) -> Sequence[dict[str, str]]:
        """Return `sd_vae.vae_dict` itself, which X/Y/Z and the dropdown read too."""
        return [sd_vae.vae_dict]

    def reread(self) -> None:
        """Run `sd_vae.refresh_vae_list`, which empties the list and reads all folders."""
        sd_vae.refresh_vae_list()

    def add_new_files(self) -> None:
        """Add the files of all folders to `sd_vae.vae_dict`; a name that is listed keeps its path."""
        for file in scan(self.folders()):
            sd_vae.vae_dict.setdefault(file.name, str(file.path))

    def choice_frozen(self) -> Message | None:
        """Return the message for `--vae-path`, which precedes the setting, or for a frozen `sd_vae`."""
        if host_values.flag("vae_path") is not None:
            return msg(
                "The WebUI was started with --vae-path, which decides: a choice here would change nothing.",
                code="vae-path-decides",
            )
        return options.frozen("sd_vae")

    def written_choice(self) -> Choice:
        """Return the option `sd_vae`; Automatic before the WebUI has registered it."""
        return Choice(str(options.read("sd_vae", AUTOMATIC.word)))

    def write_choice(self, choice: Choice) -> None:
        """Save the option `sd_vae` without its callback, which would load the VAE itself."""
        options.write("sd_vae", choice.word)

    def apply(self, model: Any, choice: Choice) -> bool:
        """Resolve `choice` as sd_vae.resolve_vae does, and let the load hooks swap."""
        return self.load_hooks.apply(model, choice)

    def before_generation(self) -> None:
        """Let the load hooks follow the setting, whose file may be new or gone; no effect without a model."""
        if (model := self.model()) is not None:
            self.load_hooks.before_generation(model)

    def model(self) -> Any:
        """Return the loaded model. Never reads `shared.sd_model`, which would load a checkpoint."""
        return sd_models.model_data.sd_model

    # Methods for the WebUI's callbacks

    def prepare(self) -> None:
        """Preset the option: an override of an option missing in the config is never taken back (processing.py:823)."""
        host_values.preset_option("sd_vae", AUTOMATIC.word)

    def guard(self) -> None:
        """Patch the functions of `load_hooks.all_patches`, which imports torch and the WebUI's processing."""
        from . import load_hooks

        patches.install(self, load_hooks.all_patches())

    def unguard(self) -> None:
        """Undo those patches, except one that another extension has patched since."""
        from . import load_hooks

        for module in (load_hooks, patches):
            patches.remove(module, load_hooks.all_patches())

    def override_of(self, p: Any) -> str | None:
        """Return `sd_vae` of the overrides, which X/Y/Z, infotext and the API set."""
        word: str | None = p.override_settings.get("sd_vae")
        return word

    def set_override(self, p: Any, word: str) -> None:
        """Set `sd_vae` of the overrides, which the WebUI itself applies and takes back."""
        p.override_settings["sd_vae"] = word

    def name_decoder(self, p: Any) -> None:
        """Set `sd_vae_name` and `sd_vae_hash` of `p`, from which the WebUI writes the infotext."""
        p.sd_vae_name, p.sd_vae_hash = patches.decoder(self)

    def infotext_of(self, text: str, path: str | None, short_hash: str | None) -> str:
        """Set the fields `VAE` and `VAE hash`, each only if its option (`add_vae_…_to_info`) is on."""
        name = Path(path).name if path is not None and options.read("add_vae_name_to_info", True) else None
        return with_vae(text, name, short_hash if options.read("add_vae_hash_to_info", True) else None)

    def picker(self, component: Any, elem_id: str) -> Any:
        """Return the dropdown `setting_sd_vae` of the Settings page or of the quick settings."""
        return component if elem_id == "setting_sd_vae" else None

    def picker_values(self, words: Sequence[str], chosen: Choice) -> Mapping[str, Any]:
        """Return the WebUI's own words and the present setting for its dropdown.

        *Apply settings* would otherwise load a choice that still waits for its check.
        """
        return {"choices": list(words), "value": chosen.word}

    def name_pasted(self, service: Service, fields: dict[str, Any]) -> None:
        """Set the field `VAE` to the local file that matches, or remove it, so that no override is set."""
        patches.into_fields(self, service, fields)


@functools.cache
def the_host() -> A1111:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return A1111()
