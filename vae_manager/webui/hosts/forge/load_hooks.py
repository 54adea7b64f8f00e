"""Hooks of Forge's functions that load a VAE, and every patch of Forge.

Forge records the wanted files (`model_data.forge_loading_parameters`) and loads at the next picture; for another VAE it
loads the whole model (sd_models.forge_model_reload). Here the checkpoint is loaded with its own VAE, and the decoder is
exchanged in the loaded model: Forge's loader, which neither checks a file nor survives a bad one, never gets a VAE
file. Only a checkpoint without a VAE of its own cannot be loaded so; it gets a VAE file that was checked before.

    reload    Forge's, before each picture and each batch: the model for the wanted files; the previous VAE if another
              cannot be used
    accept    Forge's, for its dropdown, option, override and hires fix: an unusable file is not recorded at all
    apply     the page's: at once, if a model is loaded

All but `accept` are called under the queue lock.

The patches are:

    sd_models.forge_model_reload                a VAE is exchanged in the loaded model; a bad one never reaches the
    processing.forge_model_reload               loader; after a load that failed the next one begins anew
    main_entry.modules_change                   an unusable file does not get into the list
    main_entry.refresh_model_loading_parameters another VAE alone is no reason to unload all models
    loader.load_torch_file                      the project's own reader reads files of the list with the extension of
                                                a pickle, VAEs and text encoders alike
    sd_vae.load_torch_file                      the checkpoint merger's way to a VAE file: read by that reader too
    processing.create_infotext                  names the VAE that decoded, with its hash
    processing.decode_latent_batch              every final decode: its latents are kept, for comparisons, and the pass
                                                that they belong to may have a VAE of its own
    processing.process_images_inner             knows the generation that decodes
    StableDiffusionProcessingTxt2Img.sample_hr_pass     hires fix may have a VAE of its own
    process_images of X/Y/Z plot                a cell whose VAE is refused shows the reason

and on Neo:

    sysinfo.set_config                          a list set through the API is that of the preset which is shown, too
    find_vae of X/Y/Z plot                      a file is found whatever the case of its name

An option removes them.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature as signature_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from backend import loader
from modules import processing, sd_models, sd_vae, shared, sysinfo
from modules_forge import main_entry

from ....choice import BUILTIN, Choice, Rule
from ....errors import NotFoundError, RefusedError, VaeManagerError
from ....files import inspect
from ....messages import Message, msg
from ....records.verdict import VaeSignature
from ....service import the_service
from ....swap import Swapper, read_every_tensor, read_vae
from ..common import options, patches
from ..common.patches import Function, Patch, refuse_pickles
from ..common.vae_state import LoadedVae
from ..host_values import Refusal
from .detection import OPTION, READ_WITHOUT_UNPICKLING, family_of, has_presets
from .detection import signature_of as signature_of_checkpoint
from .modules_list import Modules, found, is_encoder, is_left_to_the_host, is_vae, listed, refusal, sort_out
from .vae_state import ForgeVaeState, has_own_vae

if TYPE_CHECKING:
    from .adapter import Forge


logger = logging.getLogger(__name__)

CHECKPOINT = "sd_model_checkpoint"


class LoadHooks:
    """The project's functions for the three ways in which Forge takes a VAE."""

    def __init__(self, host: Forge) -> None:
        self._host = host
        self.vae_state = ForgeVaeState()
        swapper = Swapper(options.memory_for_vaes, options.memory_on_device, host.capability, host.note_damage)
        self.vae = LoadedVae(swapper, self.vae_state)
        self._model: weakref.ref[Any] | None = None
        """The model that was loaded last."""
        self._frame = ""
        """The parameters that it was loaded with, except VAEs."""
        self._given: frozenset[str] = frozenset()
        """The files beside the checkpoint that Forge's loader is reading now."""

    # -- called by Forge -----------------------------------------------------------------------------------------------
    def reload(self, original: Callable[[], Any]) -> tuple[Any, bool]:
        """Return the model for the wanted files, and True if it was loaded now. In place of forge_model_reload."""
        data = sd_models.model_data
        wanted = data.forge_loading_parameters
        modules = sort_out(wanted.get("additional_modules") or [])
        handed = self._handed(wanted, modules)
        fresh = not self._is_there(wanted, modules, handed)
        if fresh:
            self._load(original, wanted, modules, handed)
        model = data.sd_model
        if handed is None or not is_left_to_the_host(handed, _signature(wanted)):
            path = self._path_for(model, modules)
            is_override = path is not None and self._host.override.is_by(Path(path).name)
            try:
                self._put(model, path, by_setting=not is_override)
            except VaeManagerError:
                if is_override:
                    raise  # instead of a picture by another VAE than the requested one
                # recorded: the status and the picture's comments show it
        data.forge_hash = str(wanted)
        return model, fresh

    def accept(self, values: Iterable[str] | str, *, replacing: bool = True) -> list[str]:
        """Return the usable items of a new list; the present choice replaces an unusable VAE.

        Chosen items stay, even if their file has gone. Unknown names are passed on to Forge, which drops them. Without
        `replacing`, for the list of another preset, an unusable VAE is left out, and a VAE is not compared with the
        loaded model: that preset's checkpoint is set after it. Raises a VaeManagerError for the override of a picture,
        which would otherwise be made with another VAE than the requested one.
        """
        kept: list[str] = []
        for value in [values] if isinstance(values, str) else list(values):
            path = found(Path(value).name)
            if has_presets() and self._host.override.is_by(Path(value).name) and listed(value) is None:
                raise _unlisted(value)
            known_good = path is None or self._is_chosen(value)
            error = self._error(path, fitting=replacing) if path is not None and not known_good else None
            if path is None or error is None:
                kept.append(value)
                continue
            if self._host.override.is_by(Path(path).name):
                raise error
            self.vae.note_refusal(path, error.message, anew=True)
            if replacing and not is_encoder(path) and (present := self._host.chosen_path()) is not None:
                kept.append(present)
        return list(dict.fromkeys(kept))

    def read_module(self, path: str) -> dict[str, Any] | None:
        """Read the tensors of a file beside the checkpoint, if Forge's loader must not or cannot read it.

        These are files that it would read by an unpickler, by their extension, and pickles under another extension.
        None for all other files.
        """
        if path not in self._given:
            return None
        if path.lower().endswith(READ_WITHOUT_UNPICKLING) and inspect(Path(path)).container != "pickle":
            return None
        return read_every_tensor(Path(path))

    def changed(self, before: Refusal | None) -> None:
        """Forget the refusal from `before` the list was changed: that was another choice.

        Not within a picture, whose hires fix and overrides change the list too.
        """
        if self.vae.refusal is before and not self._host.generating():
            self.vae.refusal = None

    @contextmanager
    def keeping_the_chosen(self, values: Iterable[str]) -> Iterator[None]:
        """Keep the chosen VAE in Forge's list during the `with` statement, even if its file has gone."""
        chosen = {Path(value).name: value for value in values if self._is_chosen(value)}
        gone = {name: value for name, value in chosen.items() if found(name) is None}
        main_entry.module_list.update(gone)
        try:
            yield
        finally:
            for name, value in gone.items():
                if not Path(value).is_file():  # else the list was being made anew
                    main_entry.module_list.pop(name, None)

    def _is_chosen(self, value: str) -> bool:
        """Return True for the person's choice, which an override is not."""
        return Path(value).name == self._host.choice().file_name

    # -- called by the page --------------------------------------------------------------------------------------------
    def apply(self, model: Any, choice: Choice) -> bool:
        """Put the VAE of `choice` into `model`; False if it is there, or if Forge loads it with the next picture."""
        path = self._host.resolution_of(choice, model).path
        if path is not None and is_left_to_the_host(path, self._host.signature()):
            return False  # Forge loads it, with the next picture
        return self._put(model, path)

    def note(self, files: list[str]) -> None:
        """Record the option's new `files`, which differ only in VAEs: that is no reason to load a model."""
        data = sd_models.model_data
        if not data.forge_loading_parameters:
            return  # before the UI exists
        is_current = self._host.model() is not None and data.forge_hash == str(data.forge_loading_parameters)
        data.forge_loading_parameters = {**data.forge_loading_parameters, "additional_modules": files}
        if is_current:
            data.forge_hash = str(data.forge_loading_parameters)

    # -- internal ------------------------------------------------------------------------------------------------------
    def _is_there(self, wanted: Mapping[str, Any], modules: Modules, handed: str | None) -> bool:
        data, model = sd_models.model_data, self._host.model()
        if model is None:
            return False
        if self._model is not None and self._model() is model:
            return self._frame == _frame(wanted, modules, handed)
        if data.forge_hash != str(wanted):
            return False
        self._know(model, _frame(wanted, modules, handed))  # loaded by Forge alone, before the patches were applied
        path = modules.vaes[-1] if modules.vaes else None
        self.vae_state.write(model, path, None, self.vae_state.dtype(model, path))
        return True

    def _load(
        self, original: Callable[[], Any], wanted: Mapping[str, Any], modules: Modules, handed: str | None
    ) -> None:
        """Let Forge load the checkpoint and its modules, except VAE files.

        Raises Forge's errors, and a VaeManagerError before the load of a file that is known to be bad.
        """
        data, info = sd_models.model_data, wanted.get("checkpoint_info")
        broken = _broken(Path(info.filename)) if info is not None else None
        if broken is None and handed is not None:
            broken = refusal(Path(handed))
        if broken is not None:
            raise RefusedError(broken)
        given = [path for path in modules.others if not self._is_refused(path)]
        given += [handed] if handed is not None else []
        data.forge_loading_parameters = {**wanted, "additional_modules": given}
        data.forge_hash = ""
        self._given = frozenset(given)
        try:
            original()
        except BaseException:
            data.forge_hash = ""  # else it would take the removed model for the wanted one
            raise
        finally:
            data.forge_loading_parameters = wanted
            self._given = frozenset()
        model = data.sd_model
        self.vae.fresh(model)
        self._know(model, _frame(wanted, modules, handed))
        if handed is not None:
            self.vae_state.write(model, handed, None, self.vae_state.dtype(model, handed))

    def _handed(self, wanted: Mapping[str, Any], modules: Modules) -> str | None:
        """Return the VAE that Forge has to load itself: of another kind, or for a checkpoint without one.

        Mostly None.
        """
        info = wanted.get("checkpoint_info")
        if info is None:
            return None
        path = modules.vaes[-1] if modules.vaes else self._family_default(Path(info.filename))
        if path is None:
            return None
        is_taken = is_left_to_the_host(path, _signature(wanted)) or not has_own_vae(Path(info.filename))
        return path if is_taken else None

    def _family_default(self, checkpoint: Path) -> str | None:
        """Return the person's default VAE for a checkpoint that is not loaded yet; None unless Automatic is chosen."""
        if not self._host.unlisted_choice().is_automatic:
            return None
        return self._host.files().get(options.family_default(family_of(checkpoint)) or "")

    def _is_refused(self, path: str) -> bool:
        """Return True for an unusable file. The status shows the reason for each file that is chosen."""
        refused = refusal(Path(path))
        if refused is not None:
            logger.warning("%s", refused)
        return refused is not None

    def _error(self, path: str, *, fitting: bool) -> VaeManagerError | None:
        """Return why the file cannot be used, with `fitting` why not in the loaded model; None if it can."""
        model = self._host.model()
        try:
            is_set = fitting and model is not None and self._host.is_of_set_checkpoint(model)
            checkpoint = self._host.signature() if is_set else None
            if is_left_to_the_host(path, checkpoint):
                return None
            if is_set and is_vae(path):
                self.vae.read(model, path)
            elif (refused := refusal(Path(path), checkpoint)) is not None:
                return RefusedError(refused)
        except VaeManagerError as error:
            return error
        return None

    def _path_for(self, model: Any, modules: Modules) -> str | None:
        """Return the path for the list's VAE. As in Forge, the file may lie outside the VAE folders."""
        listed = modules.vaes[-1] if modules.vaes else None
        choice = Choice(Path(listed).name) if listed is not None else self._host.unlisted_choice()
        resolution = self._host.resolution_of(choice, model)
        if listed is not None and resolution.rule is Rule.MISSING and Path(listed).is_file():
            return listed
        return resolution.path

    def _put(self, model: Any, path: str | None, *, by_setting: bool = True) -> bool:
        swapped = self.vae.put(model, path, by_setting=by_setting)
        if swapped and path is not None and self._host.may_hash():
            the_service(self._host.data_folder).hash_in_background([Path(path)])
        return swapped

    def _know(self, model: Any, frame: str) -> None:
        self._model, self._frame = weakref.ref(model), frame


def _frame(wanted: Mapping[str, Any], modules: Modules, handed: str | None) -> str:
    """Return the parameters that a model was loaded with, except those that can be exchanged in it."""
    kept = (handed,) if handed is not None and is_left_to_the_host(handed, _signature(wanted)) else ()
    return str({**wanted, "additional_modules": (*modules.others, *kept)})


def _signature(wanted: Mapping[str, Any]) -> VaeSignature | None:
    """Return the VAE in the file of the wanted checkpoint, and its family; None without a checkpoint."""
    info = wanted.get("checkpoint_info")
    return signature_of_checkpoint(Path(info.filename)) if info is not None else None


def _unlisted(named: str) -> VaeManagerError:
    name, path = Path(named).name, found(Path(named).name)
    if path is None:
        return NotFoundError(
            msg("The WebUI does not list {file}. The VAE in use is unchanged.", code="not-listed", file=name)
        )
    return RefusedError(
        msg(
            "The WebUI lists another file under the name {file}, in the folder {folder}. The VAE in use is unchanged.",
            code="listed-elsewhere",
            file=name,
            folder=str(Path(path).parent),
        )
    )


def _broken(path: Path) -> Message | None:
    """Return why a checkpoint cannot be loaded: it cannot be read, or would run code.

    Forge renames such a file (modules_forge/patch_basic.py).
    """
    inspection = inspect(path)
    if inspection.tensors or path.suffix.lower() == ".gguf":
        return None
    return inspection.problem


def all_patches() -> Iterator[Patch]:
    """Yield the patches for Forge, or for Neo, which lacks one of the functions."""
    yield Patch(sd_models, "forge_model_reload", _forge_model_reload, _load_no_pickle)
    yield Patch(processing, "forge_model_reload", _forge_model_reload, _load_no_pickle)
    yield Patch(main_entry, "modules_change", _modules_change)
    yield Patch(main_entry, "refresh_model_loading_parameters", _refresh_model_loading_parameters)
    if has_presets():
        yield Patch(sysinfo, "set_config", _set_config)
    yield Patch(loader, "load_torch_file", _load_torch_file, _read_no_pickle_of_the_list)
    if hasattr(sd_vae, "load_torch_file"):  # Neo's checkpoint merger accepts no VAE
        yield Patch(sd_vae, "load_torch_file", _load_vae_file, _read_no_pickle)
    yield Patch(processing, "create_infotext", _create_infotext)
    yield Patch(processing, "decode_latent_batch", _decode_latent_batch)
    yield from patches.pass_patches()
    yield from patches.plot_patches()
    if has_presets():
        yield from (Patch(script, "find_vae", _find_vae) for script in patches.plots() if hasattr(script, "find_vae"))


def _forge_model_reload(host: Forge, original: Function) -> Function:
    @torch.inference_mode()
    def forge_model_reload() -> tuple[Any, bool]:
        return host.load_hooks.reload(original)

    return forge_model_reload


def _load_no_pickle(original: Function) -> Function:
    """Refuse pickles before Forge's loader, which unpickles each listed file other than .safetensors and .gguf."""

    def forge_model_reload() -> Any:
        data = sd_models.model_data
        if data.forge_hash != str(data.forge_loading_parameters):
            refuse_pickles(*_listed(), harmless=READ_WITHOUT_UNPICKLING)
        return original()

    return forge_model_reload


def _listed() -> list[str]:
    """Return the files beside the checkpoint that are wanted, or that are being loaded now."""
    return [str(path) for path in sd_models.model_data.forge_loading_parameters.get("additional_modules") or []]


def _modules_change(host: Forge, original: Function) -> Function:
    signature = signature_of(original)

    def modules_change(module_values: list[str], *args: Any, **kwargs: Any) -> bool:
        """Accept or drop the values; Neo passes a preset too."""
        given = signature.bind(module_values, *args, **kwargs).arguments
        if given.get("save", True) and host.is_echo(module_values):  # only the page saves at once
            return False
        is_switch = given.get("preset") is not None and not given.get("refresh", True)
        refusal = host.vae.refusal
        accepted = host.load_hooks.accept(module_values, replacing=not is_switch)
        with host.load_hooks.keeping_the_chosen(accepted):
            changed: bool = original(accepted, *args, **kwargs)
        if changed:
            host.load_hooks.changed(refusal)
            if is_switch:
                _complete_switch()
            host.follow_at_once()
        return changed

    return modules_change


def _complete_switch() -> None:
    """Save the list of another preset and use it: Neo itself does that only if its checkpoint is another one too."""
    main_entry.refresh_model_loading_parameters()
    shared.opts.save(shared.config_filename)


def _refresh_model_loading_parameters(host: Forge, original: Function) -> Function:
    def refresh_model_loading_parameters(*args: Any, **kwargs: Any) -> None:
        unload, before = processing.need_global_unload, sd_models.model_data.forge_loading_parameters
        original(*args, **kwargs)
        if host.differ_in_vaes_alone(before, sd_models.model_data.forge_loading_parameters):
            processing.need_global_unload = unload

    return refresh_model_loading_parameters


def _set_config(host: Forge, original: Function) -> Function:
    def set_config(req: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Set options for the API, the checkpoint first: the modules are for it. Overrides do not come this way."""
        first = {key: value for key, value in req.items() if key == CHECKPOINT}
        original({**first, **req}, *args, **kwargs)
        if OPTION in req:
            host.write_for_preset()

    return set_config


def _find_vae(host: Forge, original: Function) -> Function:
    def find_vae(name: str | None) -> str:
        """Return the word or the path for a value of X/Y/Z's axis.

        Neo makes a name lower case before it looks it up. An unknown one is returned: its cell shows the refusal.
        """
        asked = (name or BUILTIN.word).strip()
        if asked.lower() in ("none", "auto", "automatic"):
            return str(original(asked))
        by_name = {**sd_vae.vae_dict, **host.files()}
        in_lower_case = {known.lower(): path for known, path in by_name.items()}
        base = Path(asked).name
        path = by_name.get(base) or in_lower_case.get(base.lower())
        return str(path) if path is not None and base in (asked, Path(path).name) else asked

    return find_vae


def _load_torch_file(host: Forge, original: Function) -> Function:
    def load_torch_file(ckpt: str, *args: Any, **kwargs: Any) -> Any:
        """Read a file of the list with the project's reader; Neo may request the file's metadata too."""
        tensors = host.load_hooks.read_module(ckpt)
        if tensors is None:
            return original(ckpt, *args, **kwargs)
        return (tensors, {}) if kwargs.get("return_metadata") else tensors

    return load_torch_file


def _read_no_pickle_of_the_list(original: Function) -> Function:
    """Refuse pickles of the list; the loader reads the checkpoint by this function too."""

    def load_torch_file(ckpt: str, *args: Any, **kwargs: Any) -> Any:
        if str(ckpt) in _listed():
            refuse_pickles(ckpt, harmless=READ_WITHOUT_UNPICKLING)
        return original(ckpt, *args, **kwargs)

    return load_torch_file


def _load_vae_file(host: Forge, _: Function) -> Function:
    def load_torch_file(ckpt: str, *args: Any, **kwargs: Any) -> Any:
        return read_vae(Path(ckpt))

    return load_torch_file


def _read_no_pickle(original: Function) -> Function:
    def load_torch_file(ckpt: str, *args: Any, **kwargs: Any) -> Any:
        refuse_pickles(ckpt, harmless=READ_WITHOUT_UNPICKLING)
        return original(ckpt, *args, **kwargs)

    return load_torch_file


def _create_infotext(host: Forge, original: Function) -> Function:
    def create_infotext(p: Any, *args: Any, **kwargs: Any) -> str:
        text = host.with_decoder_fields(p, original(p, *args, **kwargs))
        return host.rescuing.named(p, text, original, *args, **kwargs)

    return create_infotext


def _decode_latent_batch(host: Forge, original: Function) -> Function:
    def decode_latent_batch(model: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        def by_host(part: Any) -> Any:
            return original(model, part, *args, **kwargs)

        with host.pass_vaes.decoding():
            host.latents.note(model, batch)
            return host.rescuing.decode(by_host, model, batch, kwargs.get("target_device", args[0] if args else None))

    return decode_latent_batch
