"""What the hub holds: contents, files and repositories. Plain data; nothing here knows of sockets."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

_READ = 1 << 20
_POINTER_SIZE = 135
"""Bytes of a git-LFS pointer file; the hub repeats the figure in its listings and nobody reads it."""


class Content:
    """Bytes to serve, from memory or from a file on disk, which is never read into memory whole."""

    def __init__(self, data: bytes | Path, sha256: str | None = None) -> None:
        """`sha256` spares the reading of a large file whose hash is known already."""
        self.data = data
        self.size = data.stat().st_size if isinstance(data, Path) else len(data)
        self.sha256 = sha256 or self._digest("sha256")

    def open(self) -> BinaryIO:
        """The bytes as a file of their own position, so that many connections can read at once."""
        return self.data.open("rb") if isinstance(self.data, Path) else io.BytesIO(self.data)

    def git_oid(self) -> str:
        """The id that git gives these bytes as a blob: the SHA-1 of a short header and the bytes."""
        return self._digest("sha1", f"blob {self.size}\0".encode())

    def _digest(self, algorithm: str, first: bytes = b"") -> str:
        digest = hashlib.new(algorithm, first)
        with self.open() as source:
            while block := source.read(_READ):
                digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository, as the hub announces it, which need not be what is delivered."""

    path: str
    content: Content
    lfs: bool
    """Large files live on the CDN and have a SHA-256; the others are git blobs served by the hub itself."""
    oid: str
    """What the hub announces: the SHA-256 of a large file, the git blob id of a small one."""
    size: int
    """Bytes, as announced."""

    def tree_entry(self) -> dict[str, Any]:
        """An item of `/tree/` and `/paths-info/`."""
        entry: dict[str, Any] = {"type": "file", "path": self.path, "size": self.size, "oid": self._blob_id()}
        if self.lfs:
            entry["lfs"] = {"oid": self.oid, "size": self.size, "pointerSize": _POINTER_SIZE}
        return entry

    def sibling(self, with_blobs: bool) -> dict[str, Any]:
        """An item of a model's `siblings`; sizes and hashes come only when asked for with `?blobs=true`."""
        entry: dict[str, Any] = {"rfilename": self.path}
        if with_blobs:
            entry |= {"size": self.size, "blobId": self._blob_id()}
            if self.lfs:
                entry["lfs"] = {"sha256": self.oid, "size": self.size, "pointerSize": _POINTER_SIZE}
        return entry

    def _blob_id(self) -> str:
        return hashlib.sha1(self.oid.encode()).hexdigest() if self.lfs else self.oid


@dataclass
class Repository:
    """A model repository: commits, names for them, and who may read."""

    id: str
    commits: dict[str, dict[str, RepoFile]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """Branches and tags -> commit; `main` is the latest commit that was added."""
    private: bool = False
    gated: bool = False
    readers: frozenset[str] = frozenset()
    """The tokens that may read it when it is private or gated."""

    def put(self, file: RepoFile, revision: str | None) -> str:
        """Put a file into a commit and return the commit.

        A revision that is new starts from what `main` held and becomes `main`.
        """
        commit = revision or self.refs.get("main") or hashlib.sha1(self.id.encode()).hexdigest()
        if commit not in self.commits:
            self.commits[commit] = dict(self.commits.get(self.refs.get("main", ""), {}))
            self.refs["main"] = commit
        self.commits[commit][file.path] = file
        return commit

    def commit_of(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a full commit id names."""
        commit = self.refs.get(revision, revision)
        return commit if commit in self.commits else None

    def tree(self, commit: str, folder: str, recursive: bool) -> list[dict[str, Any]] | None:
        """What `/tree/` lists below a folder ("" is the root), or None when there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        files = [file for path, file in self.commits[commit].items() if path.startswith(prefix)]
        if folder and not files:
            return None
        shown = [file for file in files if recursive or "/" not in file.path[len(prefix) :]]
        folders = _folders((file.path for file in files), prefix, recursive)
        return [_folder_entry(path) for path in folders] + [file.tree_entry() for file in shown]

    def info(self, commit: str, with_blobs: bool) -> dict[str, Any]:
        """What `/api/models/{id}` answers."""
        return {
            "_id": hashlib.sha1(self.id.encode()).hexdigest()[:24],
            "id": self.id,
            "modelId": self.id,
            "author": self.id.partition("/")[0],
            "sha": commit,
            "lastModified": "2023-01-01T00:00:00.000Z",
            "createdAt": "2023-01-01T00:00:00.000Z",
            "private": self.private,
            "gated": "auto" if self.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [file.sibling(with_blobs) for file in self.commits[commit].values()],
        }


def _folder_entry(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


def _folders(paths: Iterable[str], prefix: str, recursive: bool) -> list[str]:
    found: set[str] = set()
    for path in paths:
        parts = path[len(prefix) :].split("/")[:-1]
        depth = len(parts) if recursive else min(1, len(parts))
        found.update(prefix + "/".join(parts[: level + 1]) for level in range(depth))
    return sorted(found)
