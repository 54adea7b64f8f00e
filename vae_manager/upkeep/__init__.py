"""Upkeep of the library, in the background: what each file is, verifying, duplicates, conversions."""

from ..library.folders import key_of
from .inspection_cache import Stores
from .maintenance import Told, Upkeep, doubled

__all__ = ["Stores", "Told", "Upkeep", "doubled", "key_of"]
