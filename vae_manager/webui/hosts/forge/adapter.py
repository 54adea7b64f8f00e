"""The `Host` of Forge."""

from __future__ import annotations

import functools
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import sd_models, sd_vae
from modules_forge import main_entry

from ....choice import AUTOMATIC, BUILTIN, Choice, ResolutionContext
from ....errors import RefusedError, VaeManagerError
from ....library import scan
from ....messages import Message, msg
from ....records.verdict import VaeSignature
from .. import host_values
from ..common import checkpoint_metadata, options, patches
from ..common.adapter import Decoding, FamilyWebUI
from ..host_values import InUse, Permission
from . import components, detection, modules_list
from .detection import OPTION, family_of, signature_of

if TYPE_CHECKING:
    from ....records.verdict import HostCapability
    from ....service import Service
    from ..common.comparing import FamilyComparing
    from ..common.vae_state import LoadedVae
    from .load_hooks import LoadHooks

CARD_KEY = "vae_te"
"""Key of a checkpoint's card: its VAE and text encoders, by base names; "Built in" for an empty list."""
CARD_BUILTIN = "Built in"
ECHO_SECONDS = 30.0
"""Longest delay of a value that a page sends back."""
ASKED = "vae_manager_asked"
"""Attribute of a generation: the override that it was given by the option `sd_vae`, or by the tab."""

logger = logging.getLogger(__name__)


class Forge(FamilyWebUI):
    """Forge and its variants.

    A chosen VAE file is in the list of modules, beside the text encoders. Without one, the option `sd_vae`, which Forge
    keeps and never reads, distinguishes Automatic from Built-in. Neo reads a file by an override of it, so there the
    override of a picture is a list of modules alone.
    """

    name = "Forge"

    def __init__(self) -> None:
        super().__init__()
        self._sent: deque[tuple[float, list[str]]] = deque(maxlen=8)
        """Values sent to Forge's dropdown and not yet sent back, with the time."""
        self._earlier_row: Any = None
        """The row's picker in the build of the UI before this one, until this one has its own."""

    @functools.cached_property
    def capability(self) -> HostCapability:  # type: ignore[override]
        """The abilities of Forge or Neo, detected once by the modules that the WebUI has."""
        return modules_list.capability()

    @functools.cached_property
    def load_hooks(self) -> LoadHooks:
        """Hooks, imported with the first model: code that reads files must not slow the WebUI's start."""
        from .load_hooks import LoadHooks

        return LoadHooks(self)

    @property
    def vae(self) -> LoadedVae:
        """The VAE that the load hooks track; the first access imports them."""
        return self.load_hooks.vae

    @functools.cached_property
    def comparing(self) -> FamilyComparing:
        """Comparisons by the loaded model."""
        from ..common.comparing import FamilyComparing

        return FamilyComparing(self)

    @functools.cached_property
    def decoding(self) -> Decoding:
        """Implement `FamilyWebUI.decoding`; Forge's needs no reference to the host."""
        from .vae_state import ForgeDecoding

        return ForgeDecoding()

    # Files

    def vae_folders(self) -> Sequence[Path]:
        """Return Forge's own VAE folder and those of its flags, absolute, as in its list of modules."""
        return detection.vae_folders()

    def files(self) -> Mapping[str, str]:
        """Return the VAE files of `main_entry.module_list` that are in VAE folders; text encoders are left out."""
        return {
            name: path
            for name, path in dict(main_entry.module_list).items()
            if any(Path(path).is_relative_to(folder) for folder in self.vae_folders()) and modules_list.is_vae(path)
        }

    def reason_against(self, name: str) -> Message | None:
        """Return why Forge's list has an existing file of this name that is no VAE which it can load."""
        path = modules_list.found(name)
        if path is None or not Path(path).is_file():
            return None
        reason = modules_list.refusal(Path(path))
        return (
            reason
            if reason is not None
            else msg("{file} is a text encoder, not a VAE.", code="text-encoder", file=name)
        )

    def lists(self) -> Sequence[dict[str, str]]:
        """Return the list of modules, and that of A1111's names, which X/Y/Z uses."""
        return [main_entry.module_list, sd_vae.vae_dict]

    def reread(self) -> None:
        """Run both refreshes: of the list of modules, and of A1111's names."""
        main_entry.refresh_models()
        sd_vae.refresh_vae_list()

    def add_new_files(self) -> None:
        """Add the files of VAE folders, not of checkpoint folders, to both lists; listed names keep their path."""
        for file in scan(self.folders()):
            if file.folder.purpose == "vae":
                for known in self.lists():
                    known.setdefault(file.name, str(file.path.absolute()))
                modules_list.show(file.name, str(file.path.relative_to(file.folder.path)))

    def encoder_folders(self) -> Sequence[Path]:
        """Implement `HostFiles.encoder_folders` by the folders that Forge lists."""
        return detection.encoder_folders()

    # The choice

    def components(self) -> Sequence[Path]:
        """Implement `HostChoice.components` by the list of modules."""
        return [Path(path) for path in modules_list.chosen()]

    def component_lists(self, presets: Sequence[str]) -> Mapping[str, Sequence[Path]]:
        """Implement `HostChoice.component_lists` by the options with a list of modules."""
        return components.lists(presets)

    def use_components(self, lists: Mapping[str, Sequence[Path]]) -> None:
        """Implement `HostChoice.use_components` under the queue lock, after the lists are current."""
        refusal = self.refusal(Permission.CHOOSE)
        if refusal is not None:
            raise RefusedError(refusal)
        self.refresh()
        self.run_exclusive(lambda: components.use(self, lists))

    def choice_frozen(self) -> Message | None:
        """Return the message for a frozen list of modules; Forge ignores `--vae-path`."""
        return options.frozen(OPTION)

    def chosen_path(self) -> str | None:
        """Return the VAE file in the list of modules."""
        vaes = modules_list.sort_out(modules_list.chosen()).vaes
        return vaes[-1] if vaes else None

    def unlisted_choice(self) -> Choice:
        """Return the choice for a list without a VAE file: that of the picture that is being made, or the setting."""
        word = self.override.word
        if word is None or Choice(word).file_name is not None:
            return self._unlisted_setting()
        return Choice(word)

    def _unlisted_setting(self) -> Choice:
        word = options.read("sd_vae", AUTOMATIC.word)
        return BUILTIN if word == BUILTIN.word else AUTOMATIC

    def written_choice(self) -> Choice:
        """Return the last VAE in the list of modules; without one, `sd_vae` distinguishes Automatic from Built-in."""
        path = self.chosen_path()
        return Choice(Path(path).name) if path is not None else self.unlisted_choice()

    def write_choice(self, choice: Choice) -> None:
        """Save the list of modules with this VAE in place of its VAEs; text encoders stay.

        Neo's preset gets the list too, and Forge's loading parameters follow, so that it does not load the model anew.
        """
        files = modules_list.with_vae(modules_list.chosen(), self.path_of(choice))
        if detection.has_presets():
            files.sort()  # as Neo itself does
        if choice.file_name is None:
            options.write("sd_vae", choice.word)
        for option in detection.options_of_modules():
            options.write(option, files)
        self.load_hooks.note(files)

    def write_for_preset(self) -> None:
        """Write the list in force down as that of the preset that is shown: a page shows that one at its next load."""
        for option in detection.options_of_modules():
            if options.read(option, []) != modules_list.chosen():
                try:
                    options.write(option, modules_list.chosen())
                except VaeManagerError as error:
                    logger.warning("%s", error.message)

    def apply(self, model: Any, choice: Choice) -> bool:
        """Let the load hooks swap; a VAE that cannot be exchanged in a loaded model waits for the next picture."""
        return self.load_hooks.apply(model, choice)

    def situation(self, choice: Choice, model: Any) -> ResolutionContext:
        """Return the context without near names.

        Forge takes no VAE by its name alone, and existing users' pictures must not change.
        """
        return replace(super().situation(choice, model), vae_path=None, near_names=False)

    def preference(self, checkpoint_file: str) -> str | None:
        """Return the last VAE of the card's key `vae_te`, else of A1111's key; None if it names text encoders alone."""
        names = _names(
            checkpoint_metadata.field(checkpoint_file, CARD_KEY)
            or checkpoint_metadata.field(checkpoint_file, checkpoint_metadata.KEY)
        )
        vaes = [name for name in names if name in self.files()]
        if vaes:
            return vaes[-1]
        return BUILTIN.word if CARD_BUILTIN in names or BUILTIN.word in names else None

    def write_preference(self, checkpoint_file: str, word: str | None) -> None:
        """Write the card's key `vae_te`, in which text encoders and unknown names stay."""
        names = _names(checkpoint_metadata.field(checkpoint_file, CARD_KEY))
        others = [name for name in names if name not in self.files() and name not in (CARD_BUILTIN, BUILTIN.word)]
        own = [] if word is None else [CARD_BUILTIN if word == BUILTIN.word else word]
        checkpoint_metadata.put(checkpoint_file, CARD_KEY, [*own, *others] or None)

    # The page

    def refusal(self, permission: Permission, *, remote: bool = False) -> Message | None:
        """Refuse changes of the quick settings too, since the row at the top shows the VAE already."""
        if permission is Permission.CHANGE_QUICK_SETTINGS:
            return msg("Forge shows the VAE by itself, in the row at the top of every page.", code="forge-shows-it")
        return super().refusal(permission, remote=remote)

    # The model

    def model(self) -> Any:
        """Return the model; None before the first picture, for a stand-in without `forge_objects`."""
        model = sd_models.model_data.sd_model
        return model if getattr(model, "forge_objects", None) is not None else None

    def is_of_chosen_checkpoint(self, model: Any) -> bool:
        """Return True if the loaded model is that of the next picture."""
        info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        return _is_of(model, info)

    def is_of_set_checkpoint(self, model: Any) -> bool:
        """Return True if the loaded model is that of the setting, which may be newer than the loading parameters."""
        return self.is_of_chosen_checkpoint(model) and _is_of(model, sd_models.select_checkpoint())

    def next_checkpoint(self) -> Path | None:
        """Return the checkpoint of the next picture, which Forge loads only then."""
        info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        return Path(info.filename) if info is not None else super().next_checkpoint()

    def signature(self) -> VaeSignature:
        """Return the VAE of the model; before the first picture, that of the checkpoint's file."""
        info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        if self.model() is not None or info is None:
            return super().signature()
        return signature_of(Path(info.filename))

    def in_use(self) -> InUse:
        """Name the coming checkpoint before the first picture: until then, Forge has loaded no model.

        In both cases, the chosen files that Forge does not get are listed.
        """
        info = sd_models.model_data.forge_loading_parameters.get("checkpoint_info")
        ignored = modules_list.ignored(modules_list.chosen())
        if self.model() is not None or info is None:
            return replace(super().in_use(), ignored=ignored)
        return InUse(
            None,
            family_of(Path(info.filename)),
            None,
            None,
            coming=info.name_for_extra,
            refusal=self.vae.refusal,
            ignored=ignored,
        )

    def follow_at_once(self) -> None:
        """Put a newly set VAE into the loaded model now, instead of with the next picture as Forge does.

        The override of a picture (an override, hires fix) does not count; its removal at the end does.
        """
        if self.model() is None:
            return
        if not self.generating() or self.override.ends_with(self.written_choice().word):
            self.follow()

    def before_generation(self) -> None:
        """Follow the setting, but only for the loaded checkpoint: for another one, Forge's reload is still to come."""
        choice = self.written_choice()
        if choice.file_name is not None and choice.file_name not in self.files():
            self.add_new_files()
        model = self.model()
        if model is not None and self.is_of_chosen_checkpoint(model) and self.apply(model, choice):
            self.announce(model)

    def differ_in_vaes_alone(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Return True if the model loaded with one set of loading parameters serves the other."""
        if not before or self.model() is None:
            return False
        one, other = (modules_list.sort_out(some.get("additional_modules") or []).others for some in (before, after))
        return {**before, "additional_modules": one} == {**after, "additional_modules": other}

    # Methods for the WebUI's callbacks

    def prepare(self) -> None:
        """Preset the options.

        An override of an option that the config does not hold is never taken back (processing.py:820).
        """
        host_values.preset_option(OPTION, [])
        host_values.preset_option("sd_vae", AUTOMATIC.word)
        modules_list.keep_shown_names()

    def guard(self) -> None:
        """Patch the functions of `load_hooks.all_patches`, which imports torch and Forge's backend."""
        from . import load_hooks

        patches.install(self, load_hooks.all_patches())

    def unguard(self) -> None:
        """Undo those patches, except one that another extension has patched since."""
        from . import load_hooks

        for module in (load_hooks, patches):
            patches.remove(module, load_hooks.all_patches())

    def override_of(self, p: Any) -> str | None:
        """Return the override.

        X/Y/Z and many requests use A1111's option `sd_vae`. Forge does not read it; Neo loads the file into the model,
        unchecked.
        """
        named = p.override_settings.get("sd_vae")
        if named is not None:
            self.set_override(p, str(named))
        if OPTION not in p.override_settings:
            return None
        given = p.override_settings[OPTION]
        modules = modules_list.sort_out(_paths(given))
        asked = modules.vaes or [path for path in modules.others if not modules_list.is_encoder(path)]
        if asked:
            return Path(asked[-1]).name
        word = getattr(p, ASKED, None)
        if word is not None and (Choice(word).file_name is None or word in map(_name, _names(given))):
            return str(word)
        return str(p.override_settings.get("sd_vae", self._unlisted_setting().word))

    def asked_files(self, p: Any) -> Sequence[str]:
        """Return the requested names, with those in the list of modules.

        Forge silently drops unknown names from that list.
        """
        named = (Path(name).name for name in _names(p.override_settings.get(OPTION)))
        return [*super().asked_files(p), *(name for name in named if modules_list.found(name) is None)]

    def set_override(self, p: Any, word: str) -> None:
        """Set the override in a dictionary of its own: the cells of X/Y/Z share one.

        Neo's X/Y/Z names a file by its path. On Neo, which raises for an unlisted file, such a file stays in the list,
        and `LoadHooks.accept` refuses it.
        """
        is_neo = detection.has_presets()
        choice = Choice(word) if Choice(word).file_name is None else Choice(_name(word))
        path = modules_list.listed(word) if is_neo else self.files().get(choice.word)
        modules = modules_list.with_vae(_paths(p.override_settings.get(OPTION, modules_list.chosen())), path)
        settings = {key: value for key, value in p.override_settings.items() if key != "sd_vae"}
        by_word = {"sd_vae": word} if choice.file_name is None and not is_neo else {}
        if is_neo and choice.file_name is not None and path is None:
            modules = [*modules, word]
        setattr(p, ASKED, choice.word)
        p.override_settings = {**settings, OPTION: modules, **by_word}

    def name_decoder(self, p: Any) -> None:
        """Set A1111's fields of `p`, and an attribute for `with_decoder_fields`, since Forge writes modules instead."""
        path, short_hash = modules_list.decoder(self)
        setattr(p, modules_list.DECODED_BY, (path, short_hash))
        p.sd_vae_name, p.sd_vae_hash = (Path(path).name if path is not None else None), short_hash

    def with_decoder_fields(self, p: Any, text: str) -> str:
        """Return `text`, an infotext of Forge's, with the VAE that decodes."""
        path, short_hash = getattr(p, modules_list.DECODED_BY, None) or modules_list.decoder(self)
        return modules_list.with_decoder(text, modules_list.chosen(), path, short_hash)

    def infotext_of(self, text: str, path: str | None, short_hash: str | None) -> str:
        """Set the fields of modules, in which the VAE takes the place of the one that is there."""
        return modules_list.with_decoder(text, None, path, short_hash)

    def begin_page(self) -> None:
        """Note the row's picker of the earlier page, which Forge's variable still holds."""
        self._earlier_row = host_values.component("ui_vae")

    def picker(self, component: Any, elem_id: str) -> Any:
        """Return the row's picker, which has no id; in Neo, its components do not exist before the row is built."""
        row = host_values.component("ui_vae")
        if row is None or row is self._earlier_row:
            return None
        self._earlier_row = None
        return row

    def picker_values(self, words: Sequence[str], chosen: Choice) -> Mapping[str, Any]:
        """Return the values, with a chosen file that has gone.

        Otherwise the dropdown would drop it, and with it the choice.
        """
        names = [Path(path).name for path in modules_list.chosen()]
        self._sent.append((time.monotonic(), sorted(names)))
        shown = [modules_list.shown(name) for name in dict.fromkeys([*main_entry.module_list, *names])]
        choices = sorted(shown) if detection.has_presets() else shown
        return {"choices": choices, "value": [modules_list.shown(name) for name in names]}

    def is_echo(self, values: Sequence[str]) -> bool:
        """Return True if Forge's dropdown sends back, as if a person had picked it, a value that it has just been sent.

        A person cannot pick a value that is shown already, so the first one that comes back is not a person's. Earlier
        values that have not come back by then never will: a page that shows them already sends no event.
        """
        if detection.has_presets():
            return False  # only a person triggers its event
        given, oldest = sorted(values), time.monotonic() - ECHO_SECONDS
        while self._sent:
            when, sent = self._sent.popleft()
            if sent == given and when >= oldest:
                return True
        return False

    def name_pasted(self, service: Service, fields: dict[str, Any]) -> None:
        """Set the pasted fields of modules, in which text encoders stay."""
        modules_list.into_fields(self, service, fields)


def _is_of(model: Any, info: Any) -> bool:
    return info is not None and info.filename == model.sd_checkpoint_info.filename


def _name(path: str) -> str:
    return Path(path).name


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(name) for name in value] if isinstance(value, list) else []


def _paths(values: Any) -> list[str]:
    """Return the paths that Forge makes of names or paths."""
    found = (modules_list.found(Path(name).name) for name in _names(values))
    return [path for path in found if path is not None]


@functools.cache
def the_host() -> Forge:
    """Return the one adapter of this process, however often the WebUI builds its page."""
    return Forge()
