"""Verdict on one file: usable, usable after a conversion, a question, or a refusal, with the reason.

The verdict is the ability of a WebUI, with its checkpoint, to use a file. It is pure, and the only implementation of
that decision. Lists, the page, the command line, comparison, conversion and the swap itself use it, so their answers
agree.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ..catalogue import FAMILIES
from ..catalogue.engines import families_on
from ..catalogue.entry import Entry, Layout
from ..errors import RefusedError
from ..files.architecture import Architecture, Shapes, architecture_of, shapes_of
from ..files.conversion import Plan, plan
from ..files.headers import TORCH_DTYPES, TensorTable
from ..files.layouts import WAN, Renamed, Source, diffusers_name, facts_of, renamed_vae, up_levels
from ..files.pickle_values import printable_name
from ..files.record import FileRecord, Problem
from ..messages import Message, msg

__all__ = [
    "A1111",
    "FORGE",
    "HOSTS",
    "NEO",
    "NETWORK_CODES",
    "QUESTION_CODES",
    "REFORGE",
    "VERDICT_NAMES",
    "WAN_FAMILIES",
    "AskFirst",
    "HostCapability",
    "Reason",
    "Refused",
    "Sources",
    "Usable",
    "UsableAfter",
    "VaeSignature",
    "Verdict",
    "family_label",
    "obstacle_of",
    "obstacle_to",
    "other_kind",
    "refusal_of",
    "sources_of",
    "verdict",
]

_ANY: Final = frozenset[Layout]({"ldm", "diffusers", "prefixed"})

Sources = Mapping[str, Source]
"""Sources by the WebUI's names."""

UNNAMED: Final = ""
"""In place of the name of a file: a reason holds for every file of one table."""

STANDARD: Final[Mapping[str, Architecture]] = MappingProxyType(
    {
        "sd1": Architecture(4),
        "sdxl": Architecture(4),
        "sd3": Architecture(16, has_quant_conv=False),
        "flux1": Architecture(16, has_quant_conv=False),
        "flux2": Architecture(32, normalised_channels=128),
    }
)
"""The published VAE of each family, for a verdict without a checkpoint."""
QUESTION_CODES: Final = frozenset({"other-factor", "other-width", "other-depth"})
"""Codes that are no refusal without a checkpoint: the file may have been made for one that is not loaded. The numbers
of latent channels of a WebUI's checkpoints are known, so other numbers are a refusal."""
NETWORK_CODES: Final = QUESTION_CODES | {"other-channels", "other-kind"}
"""Codes for a whole VAE of another network than the checkpoint's."""
WAN_FAMILIES: Final = frozenset({"wan21", "wan22", "qwen"})
"""Families whose VAEs have the layout `wan`."""
WAN_LANDMARKS: Final = frozenset(
    {
        "encoder.conv1.weight",
        "encoder.head.2.weight",
        "decoder.conv1.weight",
        "decoder.head.2.weight",
        "conv1.weight",
        "conv2.weight",
    }
)
"""First and last tensors of the parts of such a VAE: a file without one of them is no whole VAE."""
LDM_LANDMARK: Final = "decoder.mid.block_1.conv1.weight"
UPSCALER_FACTOR: Final = 4
VAE_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "bn.")
"""Prefixes of the names of a VAE's tensors. Others in its file are harmless leftovers: scale factors, position ids,
moving averages, losses."""
LATENT_CHANNELS_KEY: Final = "decoder.conv_in.weight"
"""Axis 1 is the number of latent channels, in every VAE of the ldm layout."""

_NOTHING: Final = Renamed("other", "ldm", "", {}, ())


@dataclass(frozen=True)
class HostCapability:
    """The layouts, families and peculiarities of one WebUI."""

    name: str
    """The usual name."""
    layouts: frozenset[Layout]
    """Layouts of VAE files that it loads unchanged."""
    families: tuple[str, ...]
    """Families of the checkpoints that it runs, keys of `FAMILIES`."""
    takes_matrices: bool
    """Attention weights may be matrices instead of convolutions of one pixel."""
    reads_by_extension: bool
    """The reader is chosen by the extension, so a pickle named `.safetensors` has to be converted."""
    own_layouts: frozenset[Layout] = frozenset()
    """Layouts that it loads with its own reader."""

    def can_use(self, entry: Entry) -> bool:
        """Return True for a published VAE of a family that the WebUI runs, in a layout that it loads.

        The layout of a user's entry may be unknown; its file is inspected once it is there.
        """
        layouts = self.layouts | self.own_layouts | {"unknown"}
        return entry.family in self.families and entry.layout in layouts


A1111: Final = HostCapability("A1111", frozenset({"ldm"}), families_on("a1111"), False, True)
REFORGE: Final = HostCapability("reForge", _ANY, families_on("reforge"), True, False)
FORGE: Final = HostCapability("Forge", _ANY, families_on("forge"), True, False)
NEO: Final = HostCapability("Forge Neo", _ANY, families_on("neo"), True, False, frozenset({"wan"}))

HOSTS: Final = MappingProxyType({"a1111": A1111, "reforge": REFORGE, "forge": FORGE, "neo": NEO})
"""By the names that the command line takes."""


@dataclass(frozen=True)
class VaeSignature:
    """The VAE of the checkpoint that a WebUI has loaded, or will load."""

    tensors: TensorTable | None
    """By the WebUI's names; None if they are not known. Their dtypes do not matter."""
    family: str | None = None
    """Key of `FAMILIES`; None if it is unknown."""


@dataclass(frozen=True)
class Reason:
    """A reason for all files of one table."""

    code: str
    message: Message
    """About an `UNNAMED` file."""

    def named(self, file: str) -> Problem:
        """Return the reason as a problem of the file with this base name, in place of the `UNNAMED` one."""
        return Problem(self.code, Message(self.message.template, {**self.message.fields, "file": file}, self.code))


def sources_of(tensors: TensorTable, expected: TensorTable) -> Sources | None:
    """Return the source of each of the `expected` tensors among a file's `tensors`, by the WebUI's names.

    None if one is missing. A file with exactly the expected names needs no renaming.
    """
    found = _found(tensors, expected)
    if found is None or not found.tensors.keys() >= expected.keys():
        return None
    return {name: found.tensors[name] for name in expected}


def _found(tensors: TensorTable, expected: TensorTable | None) -> Renamed | None:
    """Return the VAE in a file.

    Exactly the `expected` names are one, if there is no whole VAE that has them all or lies below a prefix.
    """
    found = renamed_vae(tensors)
    if expected is None or not all(name in tensors for name in expected):
        return found
    if found is not None and found.is_whole and (found.prefix or found.tensors.keys() >= expected.keys()):
        return found
    return Renamed("ldm", "ldm", "", _as_they_are(tensors, expected), (), _among_the_vae(tensors, expected))


# -- refusals ----------------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=1024)
def refusal_of(tensors: TensorTable, host: HostCapability, expected: TensorTable | None) -> Reason | None:
    """Return why no form of this file can be used; None if it can, perhaps after a conversion."""
    facts = facts_of(tensors)
    if facts.layout in host.own_layouts:
        return _refusal_of_own(tensors, facts.layout, expected)
    if facts.layout == "lora" or facts.kind in ("tiny", "wan", "video"):
        return _other_kind(facts.kind or facts.layout)
    if _is_asymmetric(tensors):
        return Reason(
            "asymmetric",
            msg(
                "{file} is an asymmetric VAE, whose decoder is larger than a checkpoint's. The WebUI cannot load it.",
                file=UNNAMED,
            ),
        )
    found = _found(tensors, expected) or _NOTHING
    if not found.tensors:
        return _no_vae(facts.layout)
    shapes = {name: source.shape for name, source in found.tensors.items()}
    wanted = {name: spec.shape for name, spec in expected.items()} if expected is not None else None
    if wanted is not None:
        return (
            _missing_half(shapes, wanted, tensors)
            or _unlike_the_loaded(shapes, wanted)
            or _mismatch(shapes, wanted, found, is_loaded=True)
            or _strange_dtype(found.tensors, wanted)
        )
    published = _standard(shapes, host)
    question = _unlike_published(shapes, published)
    own = architecture_of(shapes)
    return (
        _missing_half(shapes, None, tensors)
        or _unlike_any(shapes, published)
        or _mismatch(shapes, shapes_of(own) if question and own else shapes_of(published), found)
        or _strange_dtype(found.tensors, None)
        or question
    )


def _refusal_of_own(tensors: TensorTable, layout: str, expected: TensorTable | None) -> Reason | None:
    """Return why a file of a layout that the WebUI reads itself cannot be used."""
    if layout != "wan":
        return None
    if expected is not None and LATENT_CHANNELS_KEY in expected and LDM_LANDMARK in expected:
        return other_kind()
    if expected is not None and WAN not in expected:
        # for example, the WebUI's own form of Qwen-Image for pictures: it loads the file in its own way
        expected = None
    missing = sorted((expected.keys() if expected is not None else WAN_LANDMARKS) - tensors.keys())
    if missing:
        return _incomplete(missing)
    others = [name for name, spec in expected.items() if tensors[name].shape != spec.shape] if expected else []
    return _other_shapes(others) if others else _strange_dtype(_as_they_are(tensors, tensors), None)


def other_kind() -> Reason:
    """Return the reason for a VAE of Wan or Qwen-Image with a checkpoint of another kind."""
    return Reason(
        "other-kind",
        msg(
            "{file} is a VAE of Wan or Qwen-Image, and the VAE of the loaded checkpoint is of another kind.",
            file=UNNAMED,
        ),
    )


def _as_they_are(tensors: TensorTable, expected: TensorTable) -> Sources:
    return {
        name: Source(name, _fitted(tensors[name].shape, spec.shape), tensors[name].dtype)
        for name, spec in expected.items()
    }


def _fitted(shape: tuple[int, ...], expected: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the weight of a convolution of one pixel for a matrix; any other shape unchanged."""
    is_matrix = len(shape) in (2, 3) and len(expected) == 4 and expected[2:] == (1, 1)
    return shape + (1,) * (4 - len(shape)) if is_matrix else shape


def _among_the_vae(tensors: TensorTable, expected: TensorTable) -> tuple[str, ...]:
    return tuple(name for name in tensors if name not in expected and name.startswith(VAE_PARTS))


def _other_kind(layout: str) -> Reason:
    if layout == "tiny":
        return Reason(
            "tiny", msg("{file} is a tiny autoencoder for previews. The WebUI cannot load it as a VAE.", file=UNNAMED)
        )
    if layout in ("wan", "video"):
        return Reason("video", msg("{file} is a video VAE. The WebUI cannot load it.", file=UNNAMED))
    return Reason("lora", msg("{file} is a LoRA, not a VAE.", file=UNNAMED))


def _no_vae(layout: str) -> Reason:
    if layout == "checkpoint":
        without = msg("{file} is a whole checkpoint without VAE weights: it needs a VAE file beside it.", file=UNNAMED)
        return Reason("no-vae", without)
    return Reason("no-vae", msg("{file} has no VAE in it that the WebUI knows.", file=UNNAMED))


def _is_asymmetric(tensors: TensorTable) -> bool:
    return any("decoder.condition_encoder." in name for name in tensors)


def _missing_half(shapes: Shapes, wanted: Shapes | None, tensors: TensorTable) -> Reason | None:
    """Return why a whole VAE is missing; `tensors` are all of the file, in which the other half may be elsewhere."""
    for half, reason in (
        ("decoder.", Reason("no-decoder", msg("{file} has no decoder: it is not a whole VAE.", file=UNNAMED))),
        ("encoder.", Reason("no-encoder", msg("{file} has no encoder: it is not a whole VAE.", file=UNNAMED))),
    ):
        is_wanted = wanted is None or any(name.startswith(half) for name in wanted)
        if is_wanted and not any(name.startswith(half) for name in shapes):
            elsewhere = next((name for name in tensors if f".{half}" in name), None)
            return reason if elsewhere is None else _scattered(elsewhere)
    return None


def _scattered(elsewhere: str) -> Reason:
    return Reason(
        "scattered",
        msg(
            "{file} has its encoder and its decoder under names that do not belong together, {example} among them. "
            "The WebUI cannot load it.",
            file=UNNAMED,
            example=printable_name(elsewhere),
        ),
    )


def _standard(shapes: Shapes, host: HostCapability) -> Architecture:
    """Return the published VAE that is nearest to a file's: with its latent channels, if the host has such models."""
    channels = _channels(shapes)
    published = [STANDARD[family] for family in host.families if family in STANDARD]
    nearest = next((one for one in published if one.latent_channels == channels), None)
    return nearest or published[0]


def _unlike_the_loaded(ours: Shapes, theirs: Shapes) -> Reason | None:
    """Return the difference between the networks of a file and of the loaded checkpoint, if it has a name."""
    channels = _channels(ours), _channels(theirs)
    if None not in channels and channels[0] != channels[1]:
        message = msg(
            "{file} has {ours} latent channels, the checkpoint has {theirs}.",
            file=UNNAMED,
            ours=channels[0],
            theirs=channels[1],
        )
        return Reason("other-channels", message)
    one, other = architecture_of(ours), architecture_of(theirs)
    if one is None or other is None or dict(shapes_of(one)) != dict(ours):
        return None
    return _other_architecture(one, other, is_loaded=True)


def _unlike_any(ours: Shapes, published: Architecture) -> Reason | None:
    """Return the reason if a file has another number of latent channels than each checkpoint of the WebUI."""
    channels = _channels(ours)
    if channels is None or channels == published.latent_channels:
        return None
    message = msg(
        "{file} has {ours} latent channels, and no checkpoint of this WebUI has as many.", file=UNNAMED, ours=channels
    )
    return Reason("other-channels", message)


def _unlike_published(ours: Shapes, published: Architecture) -> Reason | None:
    """Return the difference between the networks of a whole VAE and of the published one, if it has a name."""
    one = architecture_of(ours)
    if one is None or dict(shapes_of(one)) != dict(ours):
        return None
    return _other_architecture(one, published, is_loaded=False)


def _mismatch(ours: Shapes, theirs: Shapes, found: Renamed, *, is_loaded: bool = False) -> Reason | None:
    """Return why tensors of the shapes `ours` do not fit the places of `theirs`."""
    if not ours.keys() & theirs.keys():
        return _no_vae(found.layout)
    missing, unknown = sorted(theirs.keys() - ours.keys()), sorted({*found.unknown, *(ours.keys() - theirs.keys())})
    if missing:
        return _under_other_names(missing, found) or _incomplete(missing)
    if unknown:
        return _unknown_tensors(unknown, is_loaded)
    others = [name for name, shape in theirs.items() if tuple(ours[name]) != tuple(shape)]
    return _other_shapes(others) if others else None


def _under_other_names(missing: Sequence[str], found: Renamed) -> Reason | None:
    """Return the reason if a missing tensor is in the file under a name of the other naming."""
    levels = up_levels(name.removeprefix(found.prefix) for name in (*found.tensors, *found.unknown))
    unknown = frozenset(found.unknown)
    for name in missing:
        for other in (name, diffusers_name(name, levels)):
            if other is not None and found.prefix + other in unknown:
                return _scattered(found.prefix + other)
    return None


def _incomplete(missing: Sequence[str]) -> Reason:
    if len(missing) == 1:
        one_missing = msg(
            "{file} is not complete: the tensor {name} is missing.",
            code="incomplete",
            file=UNNAMED,
            name=printable_name(missing[0]),
        )
        return Reason("incomplete", one_missing)
    return Reason(
        "incomplete",
        msg(
            "{file} is not complete: {count} tensors of the VAE are missing, {example} among them.",
            code="incomplete",
            file=UNNAMED,
            count=len(missing),
            example=printable_name(missing[0]),
        ),
    )


def _unknown_tensors(unknown: Sequence[str], is_loaded: bool) -> Reason:
    fields: dict[str, Any] = {"file": UNNAMED, "count": len(unknown), "example": printable_name(unknown[0])}
    if is_loaded:
        message = msg(
            "{file} holds {count} tensors that the checkpoint's VAE does not have, {example} among them.", **fields
        )
    else:
        message = msg("{file} holds {count} tensors that the usual VAEs do not have, {example} among them.", **fields)
    return Reason("unknown-tensors", message)


def _other_shapes(others: Sequence[str]) -> Reason:
    return Reason(
        "other-shapes",
        msg(
            "{file} was made for another model: {count} of its tensors have other shapes, {example} among them.",
            file=UNNAMED,
            count=len(others),
            example=printable_name(others[0]),
        ),
    )


def _channels(shapes: Shapes) -> int | None:
    shape = shapes.get(LATENT_CHANNELS_KEY)
    return shape[1] if shape is not None and len(shape) == 4 else None


def _other_architecture(ours: Architecture, theirs: Architecture, *, is_loaded: bool) -> Reason | None:
    """Return the difference between two whole networks; `theirs` is the loaded checkpoint's, or a published one."""
    if ours.factor != theirs.factor:
        return Reason("other-factor", _factors(ours.factor, theirs.factor, is_loaded))
    if (ours.widths, ours.decoder_widths) != (theirs.widths, theirs.decoder_widths):
        fields: dict[str, Any] = {"file": UNNAMED, "ours": ours.decoder_widths[0], "theirs": theirs.decoder_widths[0]}
        if is_loaded:
            width = msg(
                "{file} is a VAE of another width: its layers begin with {ours} channels, those of the checkpoint's "
                "VAE with {theirs}.",
                **fields,
            )
        else:
            width = msg(
                "{file} is a VAE of another width: its layers begin with {ours} channels, those of the usual VAEs "
                "with {theirs}.",
                **fields,
            )
        return Reason("other-width", width)
    if (ours.blocks, ours.decoder_blocks) != (theirs.blocks, theirs.decoder_blocks):
        if is_loaded:
            depth = msg("{file} is a VAE with another number of layers than the checkpoint's.", file=UNNAMED)
        else:
            depth = msg("{file} is a VAE with another number of layers than the usual ones.", file=UNNAMED)
        return Reason("other-depth", depth)
    return None


def _factors(ours: int, theirs: int, is_loaded: bool) -> Message:
    fields: dict[str, Any] = {"file": UNNAMED, "ours": ours, "theirs": theirs}
    if ours == UPSCALER_FACTOR and is_loaded:
        return msg(
            "{file} is a VAE whose latents have 1/{ours} of a picture's side, as that of the x4 upscaler; those of the "
            "checkpoint have 1/{theirs}.",
            **fields,
        )
    if ours == UPSCALER_FACTOR:
        return msg(
            "{file} is a VAE whose latents have 1/{ours} of a picture's side, as that of the x4 upscaler; those of the "
            "usual VAEs have 1/{theirs}.",
            **fields,
        )
    if is_loaded:
        return msg(
            "{file} is a VAE whose latents have 1/{ours} of a picture's side; those of the checkpoint have 1/{theirs}.",
            **fields,
        )
    return msg(
        "{file} is a VAE whose latents have 1/{ours} of a picture's side; those of the usual VAEs have 1/{theirs}.",
        **fields,
    )


def _strange_dtype(sources: Sources, wanted: Shapes | None) -> Reason | None:
    for name, source in sources.items():
        if source.dtype not in TORCH_DTYPES and (wanted is None or name in wanted) and not name.startswith("bn."):
            return Reason(
                "not-weights",
                msg(
                    "{file} holds {dtype} numbers in its tensor {example}, which are no weights.",
                    file=UNNAMED,
                    dtype=source.dtype,
                    example=printable_name(source.name),
                ),
            )
    return None


# -- obstacles that a conversion removes -------------------------------------------------------------------------------
def obstacle_to(record: FileRecord, host: HostCapability, expected: TensorTable | None) -> Problem | None:
    """Return why `host` cannot load the file unchanged."""
    reason = _form(record.tensors, host, expected)
    is_misnamed = record.container == "pickle" and record.path.suffix.lower() == ".safetensors"
    if reason is None and host.reads_by_extension and is_misnamed:
        reason = Reason(
            "wrong-suffix", msg("{file} is a PyTorch file by its content: its extension is wrong.", file=UNNAMED)
        )
    return reason.named(record.path.name) if reason is not None else None


@functools.lru_cache(maxsize=1024)
def _form(tensors: TensorTable, host: HostCapability, expected: TensorTable | None) -> Reason | None:
    layout = facts_of(tensors).layout
    if layout in host.own_layouts:
        return None
    if layout == "checkpoint":
        whole = msg("{file} is a whole checkpoint, not a VAE. It belongs in the checkpoint folder.", file=UNNAMED)
        return Reason("checkpoint", whole)
    found = _found(tensors, expected)
    if found is None:
        return None
    if found.layout == "prefixed" and "prefixed" not in host.layouts:
        message = msg(
            "{file} holds a VAE whose tensors' names begin with “{prefix}”. The WebUI cannot load it as it is.",
            file=UNNAMED,
            prefix=printable_name(found.prefix),
        )
        return Reason("prefixed", message)
    if found.naming == "diffusers" and "diffusers" not in host.layouts:
        return Reason("diffusers", msg("{file} is a diffusers file. The WebUI cannot load it as it is.", file=UNNAMED))
    if not host.takes_matrices and any(source.shape != tensors[source.name].shape for source in found.tensors.values()):
        return Reason(
            "matrices",
            msg("{file} has some weights as matrices. The WebUI takes them as convolutions only.", file=UNNAMED),
        )
    if host.layouts == {"ldm"} and any(found.prefix + name != source.name for name, source in found.tensors.items()):
        return Reason("other-names", msg("{file} has some names that the WebUI does not use.", file=UNNAMED))
    return None


@dataclass(frozen=True)
class Usable:
    """A file that can be put into the model unchanged."""

    reason: None = None
    is_compared: bool = field(default=False, compare=False)
    """Its shapes were compared with those of a checkpoint, and fit."""


@dataclass(frozen=True)
class UsableAfter:
    """A file that a conversion makes `Usable`."""

    reason: Problem
    """The reason why it cannot be used unchanged."""
    plan: Plan = field(compare=False, repr=False)


@dataclass(frozen=True)
class AskFirst:
    """A file that can be put in, but whose pictures are probably not those that the person wants."""

    reason: Problem
    obstacle: Problem | None = None
    """The reason why it cannot be used unchanged, if it needs a conversion as well."""
    plan: Plan | None = field(default=None, compare=False, repr=False)
    """The conversion."""


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used."""

    reason: Problem


Verdict = Usable | UsableAfter | AskFirst | Refused

VERDICT_NAMES: Final = {Usable: "usable", UsableAfter: "usable-after", AskFirst: "ask-first", Refused: "refused"}
"""Names for programs: the command line's JSON and the API have the same."""


def obstacle_of(answer: Verdict) -> Problem | None:
    """Return why a file has to be converted before it can be used; None if it need not or cannot be."""
    if isinstance(answer, UsableAfter):
        return answer.reason
    return answer.obstacle if isinstance(answer, AskFirst) else None


def verdict(record: FileRecord, host: HostCapability, checkpoint: VaeSignature | None = None) -> Verdict:
    """Return the verdict of `host` on the file of `record`; `checkpoint` is the one that it runs, if that is known.

    Without a checkpoint the published VAEs of the host's families replace it.
    """
    name = record.path.name
    if record.problems:
        return Refused(record.problems[0])
    tensors = checkpoint.tensors if checkpoint is not None else None
    refusal = refusal_of(record.tensors, host, tensors)
    is_unusual = refusal is not None and tensors is None and refusal.code in QUESTION_CODES
    if refusal is not None and not is_unusual:
        return Refused(refusal.named(name))
    if record.layout == "wan" and checkpoint is not None and checkpoint.family not in (None, *WAN_FAMILIES):
        return Refused(other_kind().named(name))
    planned = None
    obstacle = obstacle_to(record, host, tensors)
    if obstacle is not None:
        try:
            planned = plan(record)
        except RefusedError as error:
            return Refused(Problem("no-conversion", error.message))
    question = refusal.named(name) if refusal is not None else _arriving(record) or _question(record, host, checkpoint)
    if question is not None:
        return AskFirst(question, obstacle, planned)
    if obstacle is not None and planned is not None:
        return UsableAfter(obstacle, planned)
    return Usable(is_compared=tensors is not None and (record.layout != "wan" or WAN in tensors))


def _arriving(record: FileRecord) -> Problem | None:
    """Return the question about a possibly incomplete file.

    The file of a download program beside it may be left over.
    """
    if not record.is_arriving:
        return None
    message = msg(
        "{file} is probably an unfinished download: a file that a download program keeps until the end lies beside it.",
        file=record.path.name,
    )
    return Problem("probably-unfinished", message)


def _question(record: FileRecord, host: HostCapability, checkpoint: VaeSignature | None) -> Problem | None:
    """Return the question before the use of a file of another family."""
    theirs, ours = record.family.family, checkpoint.family if checkpoint is not None else None
    if checkpoint is None and theirs is not None and record.family.sure and theirs not in host.families:
        message = msg(
            "{file} was made for {theirs}, and {host} runs no such checkpoint: pictures would be noise.",
            file=record.path.name,
            host=host.name,
            theirs=family_label(theirs),
        )
        return Problem("other-family", message)
    if theirs is None or ours is None or theirs == ours:
        return None
    names = {"file": record.path.name, "theirs": family_label(theirs), "ours": family_label(ours)}
    if record.family.sure:
        message = msg("{file} was made for {theirs}, this checkpoint is {ours}: pictures would be noise.", **names)
        return Problem("other-family", message)
    message = msg(
        "{file} was probably made for {theirs}, which is a guess; this checkpoint is {ours}. If the guess is right, "
        "pictures will be noise.",
        code="probably-other-family",
        **names,
    )
    return Problem("probably-other-family", message)


def family_label(family: str) -> str:
    """Return the usual name of a family, such as SD 1.x or SDXL."""
    facts = FAMILIES.get(family)
    return facts.label if facts is not None else family
