"""Records of VAE files and the verdict that follows from them; one SQLite database per data folder keeps them.

Entries of a person (family labels, the queue, the history, accepted licences, keys) stay in text files, so that they
survive the loss of this database.
"""

from .rows import UNTIMED, Failure, GuessRecord, HashRecord, InspectionRecord, Verification, binding_key
from .store import DATABASE, HashStore, RecordStore

__all__ = [
    "DATABASE",
    "UNTIMED",
    "Failure",
    "GuessRecord",
    "HashRecord",
    "HashStore",
    "InspectionRecord",
    "RecordStore",
    "Verification",
    "binding_key",
]
