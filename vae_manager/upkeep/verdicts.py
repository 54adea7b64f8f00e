"""Results of verifications, as the records hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..library import VaeFile
from ..sentences import Sentence, from_data, to_data
from .known import Verdict

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..records import RecordStore

__all__ = ["keep_verdict", "verdict_on"]


def verdict_on(file: VaeFile, records: RecordStore) -> Verdict | None:
    """What the last verification of this file as it was listed gave, by whichever process."""
    found = records.verifications.get(str(file.path.absolute()))
    if found is None:
        return None
    identity = found.identity
    if (identity.size, identity.mtime_ns, identity.ctime_ns) != (file.size, file.mtime_ns, file.ctime_ns):
        return None
    try:
        return Verdict(found.at, _sentence(found.problem) if found.problem is not None else None)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None  # it can be verified again


def keep_verdict(file: VaeFile, verdict: Verdict, records: RecordStore) -> None:
    """Bind the verdict to the file as it was listed: if it has changed meanwhile, it is another one."""
    from ..files import Identity, identity_of
    from ..records import Verification

    now = identity_of(file.path)
    inode = now.inode if now is not None else 0
    identity = Identity(str(file.path.absolute()), file.size, file.mtime_ns, inode, file.ctime_ns)
    problem = json.dumps(to_data(verdict.problem)) if verdict.problem is not None else None
    records.verifications.put(Verification(identity, verdict.at, problem))


def _sentence(text: str) -> Sentence:
    return from_data(json.loads(text))
