"""Upkeep of the library, in the background: what each file is, verifying, duplicates, conversions."""

from .known import Verdict, key_of
from .looks import Stores
from .upkeep import Told, Undoable, Upkeep, doubled

__all__ = ["Stores", "Told", "Undoable", "Upkeep", "Verdict", "doubled", "key_of"]
