"""Detection on Forge: its variant, the family of a checkpoint, and text encoders."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Collection, Sequence
from inspect import signature
from pathlib import Path
from typing import Final

from modules_forge import main_entry

from ....errors import VaeManagerError
from ....files import Identity, TensorTable, identity_of, inspect
from ....files.checkpoint import engine_of, is_encoder
from ....files.gguf import GGUF_MAGIC
from ....files.layouts import canonical
from ....records.verdict import VaeSignature
from .. import host_values
from ..common import options

__all__ = [
    "GGUF",
    "OPTION",
    "READ_WITHOUT_UNPICKLING",
    "encoder_folders",
    "family_of",
    "has_presets",
    "is_gguf",
    "is_text_encoder",
    "loads_video_vaes",
    "options_of_modules",
    "plain_path",
    "signature_of",
    "vae_folders",
]


OPTION = "forge_additional_modules"

GGUF: Final = ".gguf"
"""Quantised text encoders; no VAE has this format."""
READ_WITHOUT_UNPICKLING: Final = (".safetensors", GGUF)
"""Extensions, in any case, of files that Forge's loader reads without an unpickler; it checks only the extension
(backend/utils.py load_torch_file)."""


def options_of_modules() -> Sequence[str]:
    """Return the options that hold the list of modules.

    Neo keeps one for each preset besides the common one, and its page begins with that (main_entry.py:345,
    presets.py:156).
    """
    if not has_presets():
        return (OPTION,)
    preset = f"{OPTION}_{options.read('forge_preset', '')}"
    return (OPTION, preset) if host_values.has_option(preset) else (OPTION,)


def has_presets() -> bool:
    """Return True for Neo: its row calls `modules_change` only for a person, with the preset that is shown."""
    return "preset" in signature(main_entry.modules_change).parameters


def loads_video_vaes() -> bool:
    """Return True for support of Wan's and Qwen-Image's VAEs, whose convolutions span time too."""
    return importlib.util.find_spec("backend.nn.wan_vae") is not None


def vae_folders() -> Sequence[Path]:
    """Return `models/VAE` and the folders of `--vae-dir` and `--vae-dirs`, absolute; they need not exist."""
    return _folders("VAE", "vae_dir", "vae_dirs")


def encoder_folders() -> Sequence[Path]:
    """Return `models/text_encoder` and the folders of its flags, absolute; they need not exist."""
    return _folders("text_encoder", "text_encoder_dir", "text_encoder_dirs")


def plain_path(path: str | Path) -> Path:
    """Return the absolute path without "..", with its links as they are: Forge's own form (os.path.abspath)."""
    return Path(os.path.normpath(Path(path).absolute()))


def _folders(name: str, flag: str, list_flag: str) -> list[Path]:
    """Return the model folders: Forge has a flag for one more folder, Neo for many (main_entry.py refresh_models)."""
    more = [host_values.flag(flag), *(host_values.flag(list_flag) or [])]
    own = Path(host_values.models_path(), name)
    return [plain_path(folder) for folder in (own, *more) if folder]


def family_of(checkpoint: Path) -> str | None:
    """Return the family of its latents; None if it cannot be detected."""
    identity = identity_of(checkpoint)
    return _family_of(identity) if identity is not None else None


@functools.lru_cache(maxsize=256)
def _family_of(identity: Identity) -> str | None:
    try:
        return _family_by(inspect(Path(identity.path)).tensors)
    except VaeManagerError:
        return None


def signature_of(checkpoint: Path) -> VaeSignature:
    """Return the VAE that the checkpoint's file holds, and its family."""
    identity = identity_of(checkpoint)
    return _signature_of(identity) if identity is not None else VaeSignature(None)


@functools.lru_cache(maxsize=16)
def _signature_of(identity: Identity) -> VaeSignature:
    try:
        tensors = inspect(Path(identity.path)).tensors
    except VaeManagerError:
        return VaeSignature(None)
    found = canonical(tensors)
    return VaeSignature(TensorTable.of(found.tensors) if found is not None else None, _family_by(tensors))


def _family_by(tensors: TensorTable) -> str | None:
    found = engine_of(tensors)
    return found.family if found is not None else None


def is_text_encoder(tensors: Collection[str]) -> bool:
    """Return True for a text encoder without tensors of a VAE."""
    return is_encoder(tensors)


def is_gguf(path: Path) -> bool:
    """Decide by extension and content: Forge checks the extension, its reader the content."""
    if path.suffix.lower() != GGUF:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False
