"""Functions of the extension that do not work on this WebUI, above all else in the status."""

from __future__ import annotations

from collections.abc import Sequence

from ...faults import Fault
from ...words import Words
from .parts import BROKEN, line


def faults(found: Sequence[Fault], words: Words) -> str:
    return "".join(line(BROKEN, words(fault.sentence), words) for fault in found)
