"""The small files in which the program keeps its state: a whole example of each, and odd contents."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vae_manager.webui.ui.page import Page

SHA256: Final = "7" * 64
IDENTITY: Final = {"size": 10, "mtime_ns": 1, "inode": 2}
PAST: Final = {
    "ended_at": 1.7e9,
    "name": "A",
    "file_name": "a.safetensors",
    "folder": "/vaes",
    "sources": ["hub:me/vaes/a.safetensors"],
    "ending": "failed",
    "size": 10,
    "sha256": SHA256,
    "proven": False,
    "seconds": 2.5,
    "fetched": 10,
    "problem": {"template": "{host} is too far.", "fields": {"host": "a.example"}},
}
ORDER: Final = {
    "file_name": "a.safetensors",
    "folder": "FOLDER",
    "sources": ["hub:me/vaes/a.safetensors"],
    "sha256": SHA256,
    "size": 10,
}
JOURNAL: Final = {
    "version": 1,
    "file_name": "j.safetensors",
    "sources": [{"hub": "me/vaes", "path": "j.safetensors", "revision": None}],
    "order_sha256": "6" * 64,
    "order_size": 100,
    "sha256": "6" * 64,
    "total": 100,
    "source": {"https": "https://a.example/j.safetensors"},
    "etag": '"1"',
    "segments": [[0, 4]],
    "owner": None,
}
SUMMARY: Final = {
    "container": "safetensors",
    "layout": "ldm",
    "latent_channels": 4,
    "parameters": 5,
    "problems": [{"code": "nan", "template": "{file} has no numbers.", "fields": {"file": "a"}}],
}

DATA: Final[Mapping[str, Any]] = {
    "queue.json": [ORDER],
    "hashes.json": {"/a.safetensors": {**IDENTITY, "sha256": SHA256}},
    "library.json": {
        "reader": 1,
        "files": {"/a": {**IDENTITY, "summary": SUMMARY, "fingerprints": {"weights": SHA256, "encoder": None}}},
    },
    "keys.json": {"civitai.com": "0123456789abcdef"},
    "accepted-terms.json": ["klf8-anime"],
    "families.json": [{"sha256": SHA256, "value": "sdxl"}, {"path": "/a", **IDENTITY, "value": "sd1"}],
    "guesses.json": [{"weights": SHA256, "value": {"family": "sd1", "figure": 20.5}}],
    "history.jsonl": PAST,
    "history.old.jsonl": PAST,
}
"""Files by name in the data folder. An unreadable one is set aside."""

EARLIER: Final = ("hashes.json", "library.json", "guesses.json")
"""Those of `DATA` that earlier versions wrote: their records move into the database."""
NOTES: Final = ("journal", "recent")
"""Hints beside a partial file, which are left in place."""
CATALOGUE: Final = "catalogue.yaml"
"""The person's own text: never renamed."""
ALL: Final = (*DATA, *NOTES, CATALOGUE, "removed.json")


def path_of(page: Page, name: str) -> Path:
    """Return the path of that state file."""
    if name in NOTES:
        return page.host.download_folder() / f".{'6' * 16}.vae-manager.{name}"
    if name == "removed.json":
        return page.service.stores.trash / "20260101-000000-a" / name
    return page.service.data_folder / name


def example(page: Page, name: str) -> Any:
    """Return the content of a file of that name after a day's work."""
    if name in DATA:
        return json.loads(json.dumps(DATA[name]).replace("FOLDER", str(page.host.download_folder())))
    if name == "journal":
        return JOURNAL
    if name == "recent":
        return {"boot": "0-0-0", "written": [[4, 8]]}
    return {"file": "/vaes/a.safetensors", "names": ["a.safetensors"], "removed_at": time.time()}


def put(page: Page, name: str, content: bytes) -> Path:
    """Write the file to its usual place, with the files that belong to it."""
    path = path_of(page, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in NOTES:
        path.with_suffix(".part").write_bytes(b"12345678")
    if name == "recent":
        path.with_suffix(".journal").write_text(json.dumps(JOURNAL))
    path.write_bytes(content)
    return path


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


ODD: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "spaces": b" \n\t ",
    "binary": bytes(range(256)),
    "NULs": b"\0" * 100,
    "cut off": b'[{"file_name": "a.saf',
    "a number": b"5",
    "null": b"null",
    "a text": b'"text"',
    "NaN": b"NaN",
    "a long number": b"9" * 100_000,
    "deep": nested(200),
    "very deep": nested(200_000),
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a list of everything": json.dumps([None, 1, "a", [], {}, [[]], {"a": {}}]).encode(),
    "an object of everything": json.dumps({"a": None, "b": 1, "files": [], "reader": {}, "version": 1}).encode(),
    "half a character": b'["\\ud800"]',
    "not UTF-8": b'["\xff\xfe\xfa"]',
}

VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 2**63, 10**400, float("nan"), float("inf"), -float("inf"), 1e308, "", "a", "\0", "a\0b", "\ud800",
    "\udcff", "x" * 5000, "/" + "y" * 300 + "/a", "../../../etc/passwd", "/proc/1/root/a", "{a:>999999999}", "{", "{0}",
    [], [[]], {}, {"a": 1}, {"template": "{a.__class__}", "fields": {"a": 1}}, ["a"] * 3,
)  # fmt: skip
"""In place of any value that an example holds."""


def mutations(value: Any) -> list[Any]:
    """The value with one of its parts at a time replaced by each of `VALUES`, or missing."""
    found = list(VALUES)
    if isinstance(value, dict):
        for key, child in value.items():
            rest = {name: one for name, one in value.items() if name != key}
            found += [rest, *({**value, key: one} for one in mutations(child))]
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += [[*value[:index], one, *value[index + 1 :]] for one in mutations(child)]
    return found
