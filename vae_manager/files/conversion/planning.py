"""Plan of a conversion, decided from names, shapes and dtypes alone, and its steps in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from ...errors import RefusedError
from ...sentences import Sentence, say
from ..headers import DTYPE_BYTES
from ..key_mapping import Renamed, Source, canonical, diffusers_name, up_levels
from ..pickles.pickle_values import shown
from ..record import FileRecord

__all__ = ["DTYPES", "Layout", "Plan", "Step", "described", "plan"]


Layout = Literal["ldm", "diffusers"]
"""What can be written."""

DTYPES: Final[Mapping[str, str]] = MappingProxyType({"fp32": "F32", "fp16": "F16", "bf16": "BF16"})
"""Numbers that can be asked for, and what a safetensors file calls them."""

_CASTABLE: Final = frozenset({"F64", *DTYPES.values()})
_FLOATS: Final = _CASTABLE | {"F8_E5M2", "F8_E4M3"}


@dataclass(frozen=True)
class Step:
    """One tensor of the result."""

    name: str
    dtype: str
    """A key of `DTYPE_BYTES`."""
    shape: tuple[int, ...]
    source: Source

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Plan:
    """A conversion that can be done."""

    steps: tuple[Step, ...]
    """In the order in which they are written: the widest numbers first, then by name."""
    done: tuple[str, ...]
    """What will have been done, in words that `wording.described` knows."""
    source: Renamed

    @property
    def size(self) -> int:
        """Bytes of the result's tensors."""
        return sum(step.size for step in self.steps)


def plan(record: FileRecord, *, dtype: str | None = None, layout: Layout = "ldm") -> Plan:
    """Decide how the VAE of a file becomes a safetensors file in `layout`, with numbers of `dtype` (its own if None).

    Raises RefusedError where there is no whole VAE in it, where its numbers are of a kind that cannot be converted, or
    where nothing would change.
    """
    file = record.path.name
    found = canonical(record.tensors)
    if found is None:
        raise RefusedError(record.problem or say("{file} has no VAE in it that the WebUI knows.", file=file))
    if "encoder.conv_in.weight" not in found.tensors:
        raise RefusedError(say("{file} has no encoder: it is not a whole VAE.", file=file))
    if "decoder.conv_in.weight" not in found.tensors:
        raise RefusedError(say("{file} has no decoder: it is not a whole VAE.", file=file))
    levels = up_levels(found.tensors)
    steps = [_step(name, source, _dtype(file, source, dtype), layout, levels) for name, source in found.tensors.items()]
    done = tuple(_done(record, found, steps, layout, dtype))
    if not done:
        already = say("{file} is already what it would become. Nothing was written.", file=file)
        raise RefusedError(record.problem or already)
    return Plan(tuple(sorted(steps, key=lambda step: (-DTYPE_BYTES[step.dtype], step.name))), done, found)


def _dtype(file: str, source: Source, wanted: str | None) -> str:
    own = source.dtype
    if wanted is None or own not in _FLOATS:
        return own
    if own not in _CASTABLE:
        raise RefusedError(
            say(
                "{file} holds {dtype} numbers in its tensor {example}, which cannot be converted.",
                file=file,
                dtype=own,
                example=shown(source.name),
            )
        )
    return DTYPES[wanted]


def _step(name: str, source: Source, dtype: str, layout: Layout, levels: int) -> Step:
    if layout == "ldm":
        return Step(name, dtype, source.shape, source)
    theirs = diffusers_name(name, levels)
    assert theirs is not None, "the names of `canonical` are all known"
    shape = source.shape[:2] if ".attentions." in theirs else source.shape
    return Step(theirs, dtype, shape, source)


def _done(record: FileRecord, found: Renamed, steps: list[Step], layout: Layout, dtype: str | None) -> list[str]:
    """What the steps change, most telling first."""
    done = []
    if found.layout == "checkpoint":
        done.append("from-checkpoint")
    elif found.prefix:
        done.append("prefix")
    if found.naming != layout:
        done.append("to-diffusers" if layout == "diffusers" else "from-diffusers")
    else:
        if any(found.prefix + step.name != step.source.name for step in steps):
            done.append("names")
        if any(step.shape != record.tensors[step.source.name].shape for step in steps):
            done.append("shapes")
    if found.dropped and found.layout != "checkpoint":
        done.append("dropped")
    if record.container != "safetensors":
        done.append("safetensors")
    if dtype is not None and any(step.dtype != step.source.dtype for step in steps):
        done.append(dtype)
    return done


_SENTENCES: Final = MappingProxyType(
    {
        "from-checkpoint": say("taken out of a checkpoint"),
        "prefix": say("the prefix of all names taken away"),
        "from-diffusers": say("names changed from diffusers to the WebUI's"),
        "to-diffusers": say("names changed from the WebUI's to diffusers"),
        "names": say("some names changed to the usual ones"),
        "shapes": say("shapes of some weights changed to the WebUI's"),
        "dropped": say("what is no part of the VAE left out"),
        "safetensors": say("a pickle turned into a safetensors file"),
        "fp32": say("numbers changed to fp32"),
        "fp16": say("numbers rounded to fp16"),
        "bf16": say("numbers rounded to bf16"),
    }
)


def described(done: Iterable[str]) -> tuple[Sentence, ...]:
    """The words of `Plan.done` or of a file's metadata as sentences; unknown ones are left out."""
    return tuple(_SENTENCES[word] for word in done if word in _SENTENCES)
