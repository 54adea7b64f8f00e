"""Upkeep of the library, in the background: what each file is, verifying, duplicates, conversions."""

from .known import Known, Verdict, key_of
from .upkeep import Undoable, Upkeep

__all__ = ["Known", "Undoable", "Upkeep", "Verdict", "key_of"]
