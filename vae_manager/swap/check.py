"""Whether a VAE file can go into the loaded model, told from its header before any weight is touched. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..files import Inspection, TensorInfo, shown
from ..files.renaming import Source, canonical
from ..sentences import Sentence, say

Shapes = Mapping[str, tuple[int, ...]]

IGNORED_PREFIX = "loss"
IGNORED_KEYS = frozenset({"model_ema.decay", "model_ema.num_updates"})
"""Left out by the WebUI when it loads a VAE (modules/sd_vae.py load_vae_dict)."""

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
"""The kinds of numbers that weights come in: safetensors' words for them, and torch's."""

LATENT_CHANNELS_KEY = "decoder.conv_in.weight"
"""Its second dimension is the number of latent channels, in every VAE of the ldm layout."""


def fit(inspection: Inspection, expected: Shapes, *, any_layout: bool = False) -> Sentence | None:
    """Why the file cannot go into a model whose `first_stage_model` has the `expected` tensors; None when it can.

    With `any_layout` the tensors may have any names that are known for a VAE, in any container.
    """
    renamed = renamed_vae(inspection) if any_layout else None
    if renamed is not None:
        shapes = {name: source.shape for name, source in renamed.items()}
        infos = {source.name: source.info for source in renamed.values()}
        return compare(inspection.path.name, shapes, expected) or strange_numbers(inspection.path.name, infos)
    if inspection.problem is not None:
        return inspection.problem
    weights = {key: tensor for key, tensor in inspection.tensors.items() if not is_ignored(key)}
    found = {key: tensor.shape for key, tensor in weights.items()}
    return compare(inspection.path.name, found, expected) or strange_numbers(inspection.path.name, weights)


def renamed_vae(inspection: Inspection) -> Mapping[str, Source] | None:
    """The tensors of a VAE file by the names that a model has for them; None where it has no known layout."""
    if inspection.layout == "checkpoint" or (inspection.problems and not inspection.convertible):
        return None
    renamed = canonical(inspection.tensors)
    return renamed.tensors if renamed is not None else None


class Room(NamedTuple):
    """What a model's VAE is, in as few figures as a list of a thousand files needs."""

    latent_channels: int | None
    parameters: int


def room_of(expected: Shapes) -> Room:
    return Room(_latent_channels(expected), sum(math.prod(shape) for shape in expected.values()))


def misfit(name: str, latent_channels: int | None, parameters: int | None, room: Room) -> Sentence | None:
    """Why a VAE file whose layout is the model's cannot go in, as far as these figures of it tell; no file is opened.

    Names and shapes are not compared: that is done, from the header, before any weight is touched (`fit`).
    """
    if None not in (latent_channels, room.latent_channels) and latent_channels != room.latent_channels:
        return _other_channels(name, latent_channels, room.latent_channels)
    if parameters is not None and parameters != room.parameters:
        return say(
            "{file} was made for another model: it has {ours} weights, the loaded checkpoint's VAE has {theirs}. "
            "Nothing was changed.",
            file=name,
            ours=f"{parameters:,}",
            theirs=f"{room.parameters:,}",
        )
    return None


def is_ignored(key: str) -> bool:
    """Whether the WebUI leaves a tensor of this name out when it loads a VAE."""
    return key.startswith(IGNORED_PREFIX) or key in IGNORED_KEYS


def strange_numbers(name: str, tensors: Mapping[str, TensorInfo]) -> Sentence | None:
    for key, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            return say(
                "{file} holds {dtype} numbers in its tensor {example}, which are no weights. Nothing was changed.",
                file=name,
                dtype=tensor.dtype,
                example=shown(key),
            )
    return None


def compare(name: str, found: Shapes, expected: Shapes) -> Sentence | None:
    """Why tensors of these shapes, from the file `name`, cannot replace the expected ones; None when they can."""
    ours, theirs = _latent_channels(found), _latent_channels(expected)
    if ours is not None and theirs is not None and ours != theirs:
        return _other_channels(name, ours, theirs)
    missing = sorted(set(expected) - set(found))
    unknown = sorted(set(found) - set(expected))
    if not set(expected) & set(found):
        return say("{file} holds no VAE that this WebUI knows. Nothing was changed.", file=name)
    if missing:
        return say(
            "{file} is not complete: {count} tensors of the VAE are missing, {example} among them. "
            "Nothing was changed.",
            file=name,
            count=len(missing),
            example=shown(missing[0]),
        )
    if unknown:
        return say(
            "{file} holds {count} tensors that the loaded checkpoint's VAE does not have, {example} among them. "
            "Nothing was changed.",
            file=name,
            count=len(unknown),
            example=shown(unknown[0]),
        )
    other_shape = [key for key, shape in expected.items() if tuple(found[key]) != tuple(shape)]
    if other_shape:
        return say(
            "{file} was made for another model: {count} of its tensors have other shapes, {example} among them. "
            "Nothing was changed.",
            file=name,
            count=len(other_shape),
            example=shown(other_shape[0]),
        )
    return None


def _other_channels(name: str, ours: int | None, theirs: int | None) -> Sentence:
    return say(
        "{file} has {ours} latent channels, the loaded checkpoint has {theirs}. Nothing was changed.",
        file=name,
        ours=ours,
        theirs=theirs,
    )


def _latent_channels(shapes: Shapes) -> int | None:
    shape = shapes.get(LATENT_CHANNELS_KEY)
    return shape[1] if shape is not None and len(shape) > 1 else None
