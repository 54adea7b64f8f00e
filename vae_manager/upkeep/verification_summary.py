"""The outcome of a verification of several files, in words and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..library import VaeFile
from ..library.verification import Outcome, Verification
from ..sentences import Sentence, say

__all__ = ["problems_of", "summary_of"]


def summary_of(found: Sequence[Verification]) -> Sentence:
    """Count the outcomes, the right ones first: "8 files were checked: 6 verified, 1 damaged, 1 not a VAE."."""
    counts = Counter(one.outcome for one in found)
    parts = [_counted(outcome, counts[outcome]) for outcome in Outcome if counts[outcome]]
    if not parts:
        return say("There is no file to verify.")
    first, *more = parts
    for another in more:
        first = say("{first}, {next}", first=first, next=another)
    if len(found) == 1:
        return say("1 file was checked: {found}.", found=first)
    return say("{count} files were checked: {found}.", count=len(found), found=first)


def problems_of(found: Mapping[VaeFile, Verification]) -> tuple[tuple[VaeFile, Sentence], ...]:
    """The files that are not right, with the reasons."""
    return tuple((file, one.reason) for file, one in found.items() if one.reason is not None)


def _counted(outcome: Outcome, count: int) -> Sentence:
    if outcome is Outcome.VERIFIED:
        return say("{count} verified", count=count)
    if outcome is Outcome.UNVERIFIED:
        return say("{count} without anything to compare with", count=count)
    if outcome is Outcome.CHANGED:
        return say("{count} changed", count=count)
    if outcome is Outcome.DAMAGED:
        return say("{count} damaged", count=count)
    if outcome is Outcome.NOT_A_VAE:
        return say("{count} not a VAE", count=count)
    return say("{count} could not be read", count=count)
