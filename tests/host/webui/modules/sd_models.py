"""Imitates modules/sd_models.py: the list of checkpoints, and the loaded models, whose weights are replaced in place.

What is wrong there and here: a model that is used again keeps its VAE but, if that was its own, no copy of it, so that
None cannot bring it back later; `sd_checkpoint_hash` is written also where `SkipWritingToConfig` forbids the name; and
a model that is over the limit goes to the device "meta", whoever else still holds it.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import safetensors.torch
import torch

from modules import cache, devices, errors, hashes, lowvram, paths, script_callbacks, sd_hijack, sd_vae, shared
from modules.timer import Timer
from tests.host.network import Model

model_dir = "Stable-diffusion"
model_path = str(Path(paths.models_path, model_dir).absolute())

checkpoints_list: dict[str, CheckpointInfo] = {}
checkpoint_aliases: dict[str | None, CheckpointInfo] = {}


class CheckpointInfo:
    """A checkpoint's file, its names and, once it was computed, its hash."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.is_safetensors = Path(filename).suffix.lower() == ".safetensors"
        self.name = self._relative_name()
        self.metadata: dict[str, Any] = {}
        if self.is_safetensors:
            try:
                self.metadata = cache.cached_data_for_file(
                    "safetensors-metadata",
                    f"checkpoint/{self.name}",
                    filename,
                    lambda: read_metadata_from_safetensors(filename),
                )
            except Exception as error:
                errors.display(error, f"reading metadata for {filename}")
        self.name_for_extra = Path(filename).stem
        self.model_name = str(Path(re.sub(r"[/\\]", "_", self.name)).with_suffix(""))
        self.sha256 = hashes.sha256_from_cache(filename, f"checkpoint/{self.name}")
        self.ids: list[str] = [self.model_name, self.name, self.name_for_extra]
        self._name_after_hash()

    def _relative_name(self) -> str:
        path = Path(self.filename).absolute()
        for folder in (shared.cmd_opts.ckpt_dir, model_path):
            if folder and path.is_relative_to(folder):
                return str(path.relative_to(folder))
        return path.name

    def _name_after_hash(self) -> None:
        self.shorthash = self.sha256[:10] if self.sha256 else None
        ending = f" [{self.shorthash}]" if self.shorthash else ""
        self.title = f"{self.name}{ending}"
        self.short_title = f"{self.name_for_extra}{ending}"
        if self.shorthash and self.sha256:
            self.ids += [self.shorthash, self.sha256, self.short_title]
        self.ids.append(self.title)

    def register(self) -> None:
        checkpoints_list[self.title] = self
        for name in self.ids:
            checkpoint_aliases[name] = self

    def calculate_shorthash(self) -> str | None:
        """Hashes the file and puts the hash into the title, at the same place of the list; None under --no-hashing."""
        before = self.shorthash
        self.sha256 = hashes.sha256(self.filename, f"checkpoint/{self.name}")
        if self.sha256 is None or self.sha256[:10] == before:
            return before
        old_title = self.title
        self._name_after_hash()
        in_order = [(self.title if title == old_title else title, info) for title, info in checkpoints_list.items()]
        checkpoints_list.clear()
        checkpoints_list.update(in_order)
        self.register()
        return self.shorthash


def setup_model() -> None:
    Path(model_path).mkdir(parents=True, exist_ok=True)


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    return [info.short_title if use_short else info.title for info in checkpoints_list.values()]


def list_models() -> None:
    checkpoints_list.clear()
    checkpoint_aliases.clear()
    folders: Iterable[str] = filter(None, [model_path, shared.cmd_opts.ckpt_dir])
    found = sorted(path for folder in folders for path in Path(folder).rglob("*"))
    for path in found:
        if path.suffix in (".ckpt", ".safetensors") and not path.stem.endswith(".vae"):
            CheckpointInfo(str(path)).register()


def get_closet_checkpoint_match(search_string: str | None) -> CheckpointInfo | None:
    """By any of its names, else the shortest title that contains it."""
    if not search_string:
        return None
    if search_string in checkpoint_aliases:
        return checkpoint_aliases[search_string]
    bare = re.sub(r"\s*\[[^]]+]\s*$", "", search_string)
    found = [info for info in checkpoints_list.values() if search_string in info.title or bare in info.title]
    return min(found, key=lambda info: len(info.title), default=None)


def select_checkpoint() -> CheckpointInfo:
    """The chosen one, else the first."""
    wanted = shared.opts.sd_model_checkpoint
    if wanted in checkpoint_aliases:
        return checkpoint_aliases[wanted]
    if not checkpoints_list:
        raise FileNotFoundError(f"No checkpoints found. When searching for checkpoints, looked at: {model_path}")
    fallback = next(iter(checkpoints_list.values()))
    if wanted is not None:
        print(f"Checkpoint {wanted} not found; loading fallback {fallback.title}", file=sys.stderr)
    return fallback


def read_metadata_from_safetensors(filename: str) -> dict[str, Any]:
    with Path(filename).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    metadata: dict[str, Any] = header.get("__metadata__", {})
    return metadata


def read_state_dict(
    checkpoint_file: str, print_global_state: bool = False, map_location: str | None = None
) -> dict[str, torch.Tensor]:
    """The tensors of a file by its ending. A pickle that could not be read is None by now, and raises here."""
    if Path(checkpoint_file).suffix.lower() == ".safetensors":
        device = map_location or shared.weight_load_location or devices.get_optimal_device_name()
        if shared.opts.disable_mmap_load_safetensors:
            tensors: Any = safetensors.torch.load(Path(checkpoint_file).read_bytes())
        else:
            tensors = safetensors.torch.load_file(checkpoint_file, device=device)
    else:
        tensors = torch.load(checkpoint_file, map_location=map_location or shared.weight_load_location)
    return get_state_dict_from_checkpoint(tensors)


def get_state_dict_from_checkpoint(pl_sd: Any) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = pl_sd.pop("state_dict", pl_sd)
    return tensors


def get_checkpoint_state_dict(checkpoint_info: CheckpointInfo, timer: Timer) -> dict[str, torch.Tensor]:
    checkpoint_info.calculate_shorthash()
    timer.record("calculate hash")
    print(f"Loading weights [{checkpoint_info.shorthash}] from {checkpoint_info.filename}")
    return read_state_dict(checkpoint_info.filename)


class SkipWritingToConfig:
    """While it is entered, a loaded checkpoint's name is not written to the options; threads share it."""

    skip = False
    previous: bool | None = None

    def __enter__(self) -> SkipWritingToConfig:
        self.previous = SkipWritingToConfig.skip
        SkipWritingToConfig.skip = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        exc_traceback: TracebackType | None,
    ) -> None:
        SkipWritingToConfig.skip = bool(self.previous)


def load_model_weights(
    model: Model, checkpoint_info: CheckpointInfo, state_dict: dict[str, torch.Tensor] | None, timer: Timer
) -> None:
    """Writes the checkpoint's weights into the model, forgets the base VAE, and loads the VAE that is resolved now."""
    sd_model_hash = checkpoint_info.calculate_shorthash()
    if not SkipWritingToConfig.skip:
        shared.opts.data["sd_model_checkpoint"] = checkpoint_info.title
    model.load_state_dict(state_dict or get_checkpoint_state_dict(checkpoint_info, timer), strict=False)
    _convert(model)
    model.first_stage_model.to(devices.dtype_vae)
    model.sd_model_hash = sd_model_hash
    model.sd_model_checkpoint = checkpoint_info.filename
    model.sd_checkpoint_info = checkpoint_info
    shared.opts.data["sd_checkpoint_hash"] = checkpoint_info.sha256
    sd_vae.delete_base_vae()
    sd_vae.clear_loaded_vae()
    vae_file, vae_source = sd_vae.resolve_vae(checkpoint_info.filename).tuple()
    sd_vae.load_vae(model, vae_file, vae_source)
    timer.record("load VAE")


def _convert(model: Model) -> None:
    """To the types that the flags ask for. A VAE that was float16 once stays rounded, unless --no-half-vae kept it."""
    if shared.cmd_opts.no_half:
        model.float()
        return
    vae = model.first_stage_model
    if shared.cmd_opts.no_half_vae:
        model.first_stage_model = None  # type: ignore[assignment]
    model.half()
    model.first_stage_model = vae


class SdModelData:
    """The loaded models, the one in use first. `sd_model` reads that one without loading; `get_sd_model` loads."""

    def __init__(self) -> None:
        self.sd_model: Model | None = None
        self.loaded_sd_models: list[Model] = []
        self.was_loaded_at_least_once = False
        self.lock = threading.Lock()

    def get_sd_model(self) -> Model | None:
        if self.was_loaded_at_least_once or self.sd_model is not None:
            return self.sd_model
        with self.lock:
            if self.sd_model is None and not self.was_loaded_at_least_once:
                try:
                    load_model()
                except Exception as error:
                    errors.display(error, "loading stable diffusion model", full_traceback=True)
                    print("\nStable diffusion model failed to load", file=sys.stderr)
                    self.sd_model = None
        return self.sd_model

    def set_sd_model(self, v: Model | None, already_loaded: bool = False) -> None:
        self.sd_model = v
        if already_loaded and v is not None:
            _continue_with_the_vae_of(v)
        # `==` of modules is identity
        if v in self.loaded_sd_models:
            self.loaded_sd_models.remove(v)
        if v is not None:
            self.loaded_sd_models.insert(0, v)


def _continue_with_the_vae_of(model: Model) -> None:
    """sd_vae's globals, as they were when this model was left: without a base VAE if it had no other."""
    sd_vae.base_vae = model.base_vae
    sd_vae.loaded_vae_file = model.loaded_vae_file
    sd_vae.checkpoint_info = model.sd_checkpoint_info


model_data = SdModelData()


def send_model_to_cpu(m: Model | None) -> None:
    if m is not None:
        if m.lowvram:
            lowvram.send_everything_to_cpu()
        else:
            m.to(devices.cpu)
    devices.torch_gc()


def model_target_device(m: Model) -> torch.device | None:
    return devices.cpu if lowvram.is_needed(m) else devices.device


def send_model_to_device(m: Model) -> None:
    lowvram.apply(m)
    if not m.lowvram:
        m.to(shared.device)


def send_model_to_trash(m: Model) -> None:
    """Its tensors have no numbers any more."""
    m.to(device="meta")
    devices.torch_gc()


def load_model(
    checkpoint_info: CheckpointInfo | None = None, already_loaded_state_dict: dict[str, torch.Tensor] | None = None
) -> Model:
    """A new model. If its VAE cannot be loaded there is none."""
    checkpoint_info = checkpoint_info or select_checkpoint()
    timer = Timer()
    if model_data.sd_model is not None:
        send_model_to_trash(model_data.sd_model)
        model_data.sd_model = None
    state_dict = already_loaded_state_dict or get_checkpoint_state_dict(checkpoint_info, timer)
    sd_model = Model(sdxl=_is_sdxl(state_dict)).requires_grad_(False)
    load_model_weights(sd_model, checkpoint_info, state_dict, timer)
    send_model_to_device(sd_model)
    sd_hijack.model_hijack.hijack(sd_model)
    sd_model.eval()
    model_data.set_sd_model(sd_model)
    model_data.was_loaded_at_least_once = True
    script_callbacks.model_loaded_callback(sd_model)
    print(f"Model loaded in {timer.summary()}.")
    return sd_model


def reuse_model_from_already_loaded(
    sd_model: Model | None, checkpoint_info: CheckpointInfo, timer: Timer
) -> Model | None:
    """The wanted checkpoint where it is loaded already, or loaded beside the others; else a model to write it into."""
    loaded, limit = model_data.loaded_sd_models, shared.opts.sd_checkpoints_limit
    if sd_model is not None and sd_model.sd_checkpoint_info.filename == checkpoint_info.filename:
        return sd_model
    if shared.opts.sd_checkpoints_keep_in_cpu:
        send_model_to_cpu(sd_model)
    already_loaded = _unload_over_the_limit(checkpoint_info, limit)
    if already_loaded is not None:
        return _use_again(already_loaded, timer)
    if limit > 1 and len(loaded) < limit:
        print(f"Loading model {checkpoint_info.title} ({len(loaded) + 1} out of {limit})")
        model_data.sd_model = None
        load_model(checkpoint_info)
        return model_data.sd_model
    if not loaded:
        return None
    model_data.sd_model = oldest = loaded.pop()
    _continue_with_the_vae_of(oldest)
    print(f"Reusing loaded model {oldest.sd_checkpoint_info.title} to load {checkpoint_info.title}")
    return oldest


def _unload_over_the_limit(wanted: CheckpointInfo, limit: int) -> Model | None:
    """From the one that was longest not in use; gives the model of the wanted checkpoint, which is left alone."""
    loaded, found = model_data.loaded_sd_models, None
    for model in reversed(list(loaded)):
        if model.sd_checkpoint_info.filename == wanted.filename:
            found = model
        elif len(loaded) > limit > 0:
            print(f"Unloading model {len(loaded)} over the limit of {limit}: {model.sd_checkpoint_info.title}")
            loaded.remove(model)
            send_model_to_trash(model)
    return found


def _use_again(model: Model, timer: Timer) -> Model | None:
    """A model that was left for another one; only now is its VAE made the one that is resolved."""
    send_model_to_device(model)
    model_data.set_sd_model(model, already_loaded=True)
    info = model.sd_checkpoint_info
    if not SkipWritingToConfig.skip:
        shared.opts.data["sd_model_checkpoint"] = info.title
        shared.opts.data["sd_checkpoint_hash"] = info.sha256
    print(f"Using already loaded model {info.title}: done in {timer.summary()}")
    sd_vae.reload_vae_weights(model)
    return model_data.sd_model


def reload_model_weights(
    sd_model: Model | None = None, info: CheckpointInfo | None = None, forced_reload: bool = False
) -> Model | None:
    """Makes the model the chosen checkpoint, or the given one."""
    checkpoint_info = info or select_checkpoint()
    timer = Timer()
    sd_model = sd_model or model_data.sd_model
    before = None if sd_model is None else sd_model.sd_checkpoint_info
    if sd_model is not None and sd_model.sd_model_checkpoint == checkpoint_info.filename and not forced_reload:
        return sd_model
    sd_model = reuse_model_from_already_loaded(sd_model, checkpoint_info, timer)
    if not forced_reload and sd_model is not None and sd_model.sd_checkpoint_info.filename == checkpoint_info.filename:
        return sd_model
    if sd_model is not None:
        send_model_to_cpu(sd_model)
        sd_hijack.model_hijack.undo_hijack(sd_model)
    state_dict = get_checkpoint_state_dict(checkpoint_info, timer)
    if sd_model is None or sd_model.is_sdxl != _is_sdxl(state_dict):
        if sd_model is not None:
            send_model_to_trash(sd_model)
        load_model(checkpoint_info, already_loaded_state_dict=state_dict)
        return model_data.sd_model
    try:
        load_model_weights(sd_model, checkpoint_info, state_dict, timer)
    except Exception:
        print("Failed to load checkpoint, restoring previous")
        # As in the WebUI: the one that was in use, which need not be the one that is written into
        load_model_weights(sd_model, before, None, timer)  # type: ignore[arg-type]
        raise
    finally:
        sd_hijack.model_hijack.hijack(sd_model)
        if not sd_model.lowvram:
            sd_model.to(devices.device)
        script_callbacks.model_loaded_callback(sd_model)
    print(f"Weights loaded in {timer.summary()}.")
    model_data.set_sd_model(sd_model)
    return sd_model


def unload_model_weights(sd_model: Model | None = None, info: CheckpointInfo | None = None) -> Model | None:
    send_model_to_cpu(sd_model or shared.sd_model)
    return sd_model


def _is_sdxl(state_dict: dict[str, torch.Tensor]) -> bool:
    return any(key.startswith("conditioner.") for key in state_dict)
