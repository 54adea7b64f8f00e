"""Calls of the real huggingface_hub, for a process of their own: HF_ENDPOINT is read when it is imported.

    python client.py '[["download", {"repo": "a/b", "path": "c"}], ...]'

Prints a list with a result or an error for each call. What differs between the versions is said here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url


def download(repo: str, path: str, revision: str = "main", token: str | None = None) -> dict[str, Any]:
    data = Path(hf_hub_download(repo, path, revision=revision, token=token)).read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def metadata(repo: str, path: str, revision: str = "main", token: str | None = None) -> dict[str, Any]:
    found = get_hf_file_metadata(hf_hub_url(repo, path, revision=revision), token=token or False)
    return {"etag": found.etag, "size": found.size, "commit": found.commit_hash, "location": found.location}


def tree(repo: str, revision: str = "main") -> dict[str, str | None]:
    """Path -> SHA-256. `list_repo_tree` came with 0.20; before, `list_files_info` asked the same address."""
    api: Any = HfApi()
    if hasattr(api, "list_repo_tree"):
        return _hashes(api.list_repo_tree(repo, recursive=True, revision=revision))
    return _hashes(api.list_files_info(repo, revision=revision))


def paths(repo: str, path: str) -> dict[str, str | None]:
    """The same for one path, with one request: `get_paths_info` came with 0.18."""
    api: Any = HfApi()
    call = api.get_paths_info if hasattr(api, "get_paths_info") else api.list_files_info
    return _hashes(call(repo, [path]))


def info(repo: str, revision: str | None = None) -> dict[str, Any]:
    found = HfApi().model_info(repo, revision=revision, files_metadata=True)
    return {"sha": found.sha, "files": _hashes(found.siblings or [])}


def whoami(token: str) -> str:
    return str(HfApi().whoami(token)["name"])


def _hashes(entries: Any) -> dict[str, str | None]:
    """Folders, which newer versions list too, have no `rfilename`; `lfs` is a mapping in every version."""
    files = [entry for entry in entries if hasattr(entry, "rfilename")]
    return {file.rfilename: file.lfs["sha256"] if file.lfs else None for file in files}


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    calls: dict[str, Callable[..., Any]] = {
        call.__name__: call for call in (download, metadata, tree, paths, info, whoami)
    }
    try:
        return {"result": calls[name](**arguments)}
    except Exception as error:
        return {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}


if __name__ == "__main__":
    outcomes = [_call(name, arguments) for name, arguments in json.loads(sys.argv[1])]
    print(json.dumps({"version": huggingface_hub.__version__, "outcomes": outcomes}))
