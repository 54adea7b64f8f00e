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
from ..common.adapter import FamilyWebUI

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
        from .vae_state import Precision

        return Precision()

    @property
    def vae(self) -> LoadedVae:
        return self.load_hooks.vae

    @functools.cached_property
    def comparing(self) -> FamilyComparing:
        from ..common.comparing import FamilyComparing
        from .vae_state import A1111Decoding

        return FamilyComparing(self, A1111Decoding(self))

    def files(self) -> Mapping[str, str]:
        return dict(sd_vae.vae_dict)

    def lists(self) -> Sequence[dict[str, str]]:
        return [sd_vae.vae_dict]

    def reread(self) -> None:
        sd_vae.refresh_vae_list()

    def add_new_files(self) -> None:
        for file in scan(self.folders()):
            sd_vae.vae_dict.setdefault(file.name, str(file.path))

    def choice_frozen(self) -> Message | None:
        if host_values.flag("vae_path") is not None:
            return msg(
                "The WebUI was started with --vae-path, which decides: a choice here would change nothing.",
                code="vae-path-decides",
            )
        return options.frozen("sd_vae")

    def written_choice(self) -> Choice:
        return Choice(str(options.read("sd_vae", AUTOMATIC.word)))

    def write_choice(self, choice: Choice) -> None:
        options.write("sd_vae", choice.word)

    def apply(self, model: Any, choice: Choice) -> bool:
        return self.load_hooks.apply(model, choice)

    def before_generation(self) -> None:
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
        from . import load_hooks

        patches.install(self, load_hooks.all_patches())

    def unguard(self) -> None:
        from . import load_hooks

        patches.remove(load_hooks, load_hooks.all_patches())

    def override_of(self, p: Any) -> str | None:
        word: str | None = p.override_settings.get("sd_vae")
        return word

    def set_override(self, p: Any, word: str) -> None:
        p.override_settings["sd_vae"] = word

    def name_decoder(self, p: Any) -> None:
        p.sd_vae_name, p.sd_vae_hash = patches.decoder(self)

    def infotext_of(self, text: str, path: str | None, short_hash: str | None) -> str:
        name = Path(path).name if path is not None and options.read("add_vae_name_to_info", True) else None
        return with_vae(text, name, short_hash if options.read("add_vae_hash_to_info", True) else None)

    def picker(self, component: Any, elem_id: str) -> Any:
        return component if elem_id == "setting_sd_vae" else None

    def picker_values(self, words: Sequence[str], chosen: Choice) -> Mapping[str, Any]:
        """Return the WebUI's own words and the present setting for its dropdown.

        *Apply settings* would otherwise load a choice that still waits for its check.
        """
        return {"choices": list(words), "value": chosen.word}

    def name_pasted(self, service: Service, fields: dict[str, Any]) -> None:
        patches.into_fields(self, service, fields)


@functools.cache
def the_host() -> A1111:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return A1111()
