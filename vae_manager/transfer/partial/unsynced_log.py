"""What has been written and may not be on the disk yet: a note beside the journal, good until the machine starts anew.

A killed process loses nothing that it has written, a power cut may. So the journal counts what the disk is known to
hold, for which it makes the disk wait, and this note counts the rest, which costs next to nothing and is made often.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from ...files.disk import patiently, rename_over
from ...files.json_text import parse_json, whole
from ...files.state_file import UNREADABLE, DamagedError, bytes_of
from .resume_journal import Spans, are_sound

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another one after each start of the machine (random(4)); Linux alone has it."""


@functools.cache
def boot() -> str | None:
    """Return what tells this run of the machine from any other; None: this system has nothing of the kind."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def write(path: Path, spans: Spans) -> None:
    """Note which bytes have been written."""
    new = path.with_name(path.name + ".new")
    patiently(lambda: new.unlink(missing_ok=True))  # left by a killed process, or a second name of somebody's file
    with new.open("x", encoding="utf-8") as file:
        file.write(json.dumps({"boot": boot(), "written": spans}))
    rename_over(new, path)


def read(path: Path) -> Spans:
    """Return which bytes have been written, as far as that can still be relied on."""
    try:
        written, _ = bytes_of(path)
        data = parse_json(written or b"")
        spans = tuple((whole(start), whole(end)) for start, end in data["written"])
        return spans if boot() is not None and data["boot"] == boot() and are_sound(spans) else ()
    except (DamagedError, *UNREADABLE):
        return ()
