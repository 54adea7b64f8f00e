"""Every patch of Forge, in one place.

    sd_models.forge_model_reload                a VAE is exchanged in the loaded model; a bad one never reaches the
    processing.forge_model_reload               loader; after a load that failed the next one begins anew
    main_entry.modules_change                   a file that cannot be used does not get into the list
    main_entry.refresh_model_loading_parameters another VAE alone is no reason to unload all models
    loader.load_torch_file                      the project's own reader reads what has the ending of a pickle in the
                                                list, VAEs and text encoders alike
    sd_vae.load_torch_file                      the checkpoint merger's way to a VAE file: read by that reader too
    processing.create_infotext                  names the VAE that decoded, with its hash
    processing.decode_latent_batch              every final decode: its latents are kept, for comparisons
    process_images of X/Y/Z plot                a cell whose VAE is refused says so

An option takes them off.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from backend import loader
from modules import processing, sd_models, sd_vae
from modules_forge import main_entry

from ....swap import read_vae
from ..common import plot
from ..common.patching import Function, Patch, refuse_pickles
from .encoders import READ_WITHOUT_UNPICKLING

if TYPE_CHECKING:
    from .adapter import Forge


def all_patches() -> Iterator[Patch]:
    yield Patch(sd_models, "forge_model_reload", _forge_model_reload, _load_no_pickle)
    yield Patch(processing, "forge_model_reload", _forge_model_reload, _load_no_pickle)
    yield Patch(main_entry, "modules_change", _modules_change)
    yield Patch(main_entry, "refresh_model_loading_parameters", _refresh_model_loading_parameters)
    yield Patch(loader, "load_torch_file", _load_torch_file, _read_no_pickle_of_the_list)
    if hasattr(sd_vae, "load_torch_file"):  # Neo's checkpoint merger takes no VAE
        yield Patch(sd_vae, "load_torch_file", _load_vae_file, _read_no_pickle)
    yield Patch(processing, "create_infotext", _create_infotext)
    yield Patch(processing, "decode_latent_batch", _decode_latent_batch)
    yield from plot.patches()


def _forge_model_reload(host: Forge, original: Function) -> Function:
    @torch.inference_mode()
    def forge_model_reload() -> tuple[Any, bool]:
        return host.ways_in.reload(original)

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
    """The files beside the checkpoint that are wanted, or that are being loaded just now."""
    return [str(path) for path in sd_models.model_data.forge_loading_parameters.get("additional_modules") or []]


def _modules_change(host: Forge, original: Function) -> Function:
    signature = inspect.signature(original)

    def modules_change(module_values: list[str], *args: Any, **kwargs: Any) -> bool:
        """Neo's takes a preset too."""
        saved = signature.bind(module_values, *args, **kwargs).arguments.get("save", True)
        if saved and host.is_echo(module_values):  # only the page has it saved at once
            return False
        refusal = host.vae.refusal
        accepted = host.ways_in.accept(module_values)
        with host.ways_in.keeping_the_chosen(accepted):
            changed: bool = original(accepted, *args, **kwargs)
        if changed:
            host.ways_in.changed(refusal)
            host.follow_at_once()
        return changed

    return modules_change


def _refresh_model_loading_parameters(host: Forge, original: Function) -> Function:
    def refresh_model_loading_parameters(*args: Any, **kwargs: Any) -> None:
        unload, before = processing.need_global_unload, sd_models.model_data.forge_loading_parameters
        original(*args, **kwargs)
        if host.differ_in_vaes_alone(before, sd_models.model_data.forge_loading_parameters):
            processing.need_global_unload = unload

    return refresh_model_loading_parameters


def _load_torch_file(host: Forge, original: Function) -> Function:
    def load_torch_file(ckpt: str, *args: Any, **kwargs: Any) -> Any:
        """Neo's gives the file's metadata too, if it is asked for them."""
        tensors = host.ways_in.read_module(ckpt)
        if tensors is None:
            return original(ckpt, *args, **kwargs)
        return (tensors, {}) if kwargs.get("return_metadata") else tensors

    return load_torch_file


def _read_no_pickle_of_the_list(original: Function) -> Function:
    """The loader reads the checkpoint by this function too."""

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
        return host.told(p, original(p, *args, **kwargs))

    return create_infotext


def _decode_latent_batch(host: Forge, original: Function) -> Function:
    def decode_latent_batch(model: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        host.latents.note(model, batch)
        return original(model, batch, *args, **kwargs)

    return decode_latent_batch
