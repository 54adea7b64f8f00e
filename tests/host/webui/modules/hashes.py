"""Imitates modules/hashes.py, with its flaw: a hash is kept under its title until the file is *newer* than the last.

Every VAE has the title "vae", so after a switch to an older file the hash of the former one is answered.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import modules.cache
from modules import shared

dump_cache = modules.cache.dump_cache
cache = modules.cache.cache


def calculate_sha256(filename: str) -> str:
    digest = hashlib.sha256()
    with Path(filename).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_from_cache(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    """The kept hash, unless the file is newer than it or not there."""
    if use_addnet_hash:
        raise NotImplementedError("the stand-in has no addnet hashes")
    known = cache("hashes")
    try:
        changed = Path(filename).stat().st_mtime
    except FileNotFoundError:
        return None
    if title not in known or changed > known[title].get("mtime", 0):
        return None
    found: str | None = known[title].get("sha256")
    return found


def sha256(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    """The kept hash, or a fresh one, or None under --no-hashing."""
    kept = sha256_from_cache(filename, title, use_addnet_hash)
    if kept is not None:
        return kept
    if shared.cmd_opts.no_hashing:
        return None
    print(f"Calculating sha256 for {filename}: ", end="")
    value = calculate_sha256(filename)
    print(value)
    cache("hashes")[title] = {"mtime": Path(filename).stat().st_mtime, "sha256": value}
    dump_cache()
    return value
