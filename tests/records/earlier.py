"""The JSON files that earlier versions kept in place of the database."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vae_manager.records import DATABASE

from .reading import sql

NAMES = ("hashes.json", "library.json", "guesses.json")
IDENTITY = ("size", "mtime_ns", "inode", "ctime_ns")


def write_earlier(data: Path, *, is_timed: bool, reader: int) -> None:
    """Put JSON files in place of the database, with the same records; without ctimes if not `is_timed`."""
    names = IDENTITY if is_timed else IDENTITY[:-1]
    columns = f"path, {', '.join(names)}"
    hashes: dict[str, Any] = {}
    for path, *values, sha256, first in sql(data, f"SELECT {columns}, sha256, first FROM hashes"):
        hashes[os.fsdecode(path)] = {
            **dict(zip(names, values, strict=True)), "sha256": sha256, **({"first": first} if first else {}),
        }  # fmt: skip
    files: dict[str, Any] = {}
    for path, *values, summary, weights, encoder in sql(
        data, f"SELECT {columns}, summary, weights, encoder FROM inspections"
    ):
        files[os.fsdecode(path)] = {
            **dict(zip(names, values, strict=True)),
            "summary": json.loads(summary) if summary is not None else None,
            "fingerprints": {"weights": weights, "encoder": encoder} if weights is not None else None,
            **({"last": None} if is_timed else {}),
        }
    guesses = [
        {"sha256": key.decode().removeprefix("sha256 "), "value": {"family": family, "figure": figure}}
        for key, family, figure in sql(data, "SELECT key, family, figure FROM guesses")
        if key.startswith(b"sha256 ")
    ]
    for name, content in zip(NAMES, (hashes, {"reader": reader, "files": files}, guesses), strict=True):
        (data / name).write_text(json.dumps(content))
    (data / DATABASE).unlink()
