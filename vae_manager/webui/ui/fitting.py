"""Verdicts as the page shows them. `records.verdict` decides; nothing here does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.verdict import Refused, Usable, UsableAfter, Verdict, family_label, obstacle_of, verdict

if TYPE_CHECKING:
    from ...files import FileRecord
    from ..hosts.host import Host

__all__ = ["LOOK_ALIKE", "can_convert", "can_use", "family_label", "judge", "needs_conversion", "sorts_last"]

LOOK_ALIKE: Final = ("sd1", "sdxl")
"""Families of four latent channels and the same shapes: a file's header cannot tell them apart."""


def judge(host: Host, record: FileRecord | None) -> Verdict | None:
    """Return what the WebUI, with its checkpoint, can do with a file; None for one that was not looked at yet."""
    return verdict(record, host.capability, host.signature()) if record is not None else None


def can_use(answer: Verdict | None) -> bool:
    """The file can be put in as it is, perhaps after a question."""
    return not isinstance(answer, Refused | UsableAfter) and not needs_conversion(answer)


def can_convert(answer: Verdict | None) -> bool:
    """A conversion makes a file of it that can be used."""
    return needs_conversion(answer)


def needs_conversion(answer: Verdict | None) -> bool:
    """The file has to be converted before it can be used."""
    return answer is not None and obstacle_of(answer) is not None


def sorts_last(answer: Verdict | None) -> bool:
    """The file stands at the end of a list to choose from."""
    return answer is not None and not isinstance(answer, Usable)
