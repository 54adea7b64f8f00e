"""The verdict: what a WebUI, with its checkpoint, can do with a file. Pure; the one place that answers.

Lists, the page, the command line, comparison, conversion and the swap itself ask it, so that none of them promises what
another refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..catalogue import FAMILIES
from ..errors import RefusedError
from ..files.conversion import Plan, plan
from ..files.layouts import WAN
from ..files.record import FileRecord, Problem
from ..sentences import say
from .capability import HostCapability, VaeSignature
from .reasons import QUESTION_CODES, WAN_FAMILIES, obstacle_to, other_kind, refusal_of

__all__ = ["AskFirst", "Refused", "Usable", "UsableAfter", "Verdict", "family_label", "obstacle_of", "verdict"]


@dataclass(frozen=True)
class Usable:
    """The file can be put into the model as it is."""

    reason: None = None
    is_compared: bool = field(default=False, compare=False)
    """Its shapes were compared with those of a checkpoint, and fit."""


@dataclass(frozen=True)
class UsableAfter:
    """A conversion makes a file that is `Usable`."""

    reason: Problem
    """Why it cannot be used as it is."""
    plan: Plan = field(compare=False, repr=False)


@dataclass(frozen=True)
class AskFirst:
    """The file can be put in, and its pictures are probably not what the person wants."""

    reason: Problem
    obstacle: Problem | None = None
    """Why it cannot be used as it is, if it needs a conversion as well."""
    plan: Plan | None = field(default=None, compare=False, repr=False)
    """That conversion."""


@dataclass(frozen=True)
class Refused:
    """The file cannot be used."""

    reason: Problem


Verdict = Usable | UsableAfter | AskFirst | Refused


def obstacle_of(answer: Verdict) -> Problem | None:
    """Return why a file has to be converted before it can be used; None if it need not or cannot be."""
    if isinstance(answer, UsableAfter):
        return answer.reason
    return answer.obstacle if isinstance(answer, AskFirst) else None


def verdict(record: FileRecord, host: HostCapability, checkpoint: VaeSignature | None = None) -> Verdict:
    """Return what `host` can do with the file of `record`; `checkpoint` is the one that it runs, if that is known.

    Without a checkpoint the published VAEs of the host's families stand for it.
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
            return Refused(Problem("no-conversion", error.sentence))
    question = refusal.named(name) if refusal is not None else _arriving(record) or _question(record, host, checkpoint)
    if question is not None:
        return AskFirst(question, obstacle, planned)
    if obstacle is not None and planned is not None:
        return UsableAfter(obstacle, planned)
    return Usable(is_compared=tensors is not None and (record.layout != "wan" or WAN in tensors))


def _arriving(record: FileRecord) -> Problem | None:
    """Return the question about a file that may be the beginning of one: what lies beside it can be left over."""
    if not record.is_arriving:
        return None
    sentence = say(
        "{file} is probably an unfinished download: a file that a download program keeps until the end lies beside it.",
        file=record.path.name,
    )
    return Problem("probably-unfinished", sentence)


def _question(record: FileRecord, host: HostCapability, checkpoint: VaeSignature | None) -> Problem | None:
    """Return the question that is asked before a file of another family is used."""
    theirs, ours = record.family.family, checkpoint.family if checkpoint is not None else None
    if checkpoint is None and theirs is not None and record.family.sure and theirs not in host.families:
        sentence = say(
            "{file} was made for {theirs}, and {host} runs no such checkpoint: pictures would be noise.",
            file=record.path.name,
            host=host.name,
            theirs=family_label(theirs),
        )
        return Problem("other-family", sentence)
    if theirs is None or ours is None or theirs == ours:
        return None
    names = {"file": record.path.name, "theirs": family_label(theirs), "ours": family_label(ours)}
    if record.family.sure:
        sentence = say("{file} was made for {theirs}, this checkpoint is {ours}: pictures would be noise.", **names)
        return Problem("other-family", sentence)
    sentence = say(
        "{file} was probably made for {theirs}, which is a guess; this checkpoint is {ours}. If the guess is right, "
        "pictures will be noise.",
        **names,
    )
    return Problem("probably-other-family", sentence)


def family_label(family: str) -> str:
    """Return how people write a family: SD 1.x, SDXL, …"""
    facts = FAMILIES.get(family)
    return facts.label if facts is not None else family
