"""Upkeep of the library, in the background: what each file is, verifying, duplicates, conversions."""

from .known import Known, key_of
from .looks import Stores
from .upkeep import Told, Undoable, Upkeep, doubled

__all__ = ["Known", "Stores", "Told", "Undoable", "Upkeep", "doubled", "key_of"]
