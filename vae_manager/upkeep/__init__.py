"""Upkeep of the library, in the background: what each file is, verifying, duplicates, conversions."""

from .known import key_of
from .looks import Stores
from .upkeep import Told, Upkeep, doubled

__all__ = ["Stores", "Told", "Upkeep", "doubled", "key_of"]
