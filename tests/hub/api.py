"""The hub's own host: files resolved to addresses, listings, and who may read what.

Protocol facts: `huggingface_hub` 0.16.4 to 2.4.0 (file_download.get_hf_file_metadata, utils hf_raise_for_status,
hf_api) for what a client reads; answers of huggingface.co as quoted in huggingface/swift-transformers#209 (307 and its
Location) and in bug reports (RateLimit headers) for what the hub sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from .content import RepoFile, Repository
from .messages import Answer, Headers, Request, page, ranged
from .shelf import LAST_MODIFIED

_REPO = r"(?P<repo>[^/]+/[^/]+)"
_RESOLVE = re.compile(rf"/{_REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
_CACHE = re.compile(rf"/api/resolve-cache/models/{_REPO}/(?P<rev>[^/]+)/(?P<path>.+)")
_TREE = re.compile(rf"/api/models/{_REPO}/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?")
_PATHS = re.compile(rf"/api/models/{_REPO}/paths-info/(?P<rev>[^/]+)")
_REVISION = re.compile(rf"/api/models/{_REPO}/revision/(?P<rev>[^/]+)")
_INFO = re.compile(rf"/api/models/{_REPO}")


class Refusal(Exception):
    """A request that the hub refuses, with the answer to send."""

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        marks: Headers = (("X-Error-Message", message), *headers)
        if code:
            marks = (("X-Error-Code", code), *marks)
        self.answer = _json({"error": message}, marks, status)


@dataclass
class Site:
    """Repositories and the tokens that the hub knows."""

    sign: Callable[[RepoFile], str]
    """The address of a large file on the CDN, good for a while."""
    tokens: Mapping[str, str]
    """Token -> the name of its user."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    direct: bool = False
    """Serve large files from here, with their hash as ETag and no redirect, as caching mirrors do."""
    needs_query: bool = False
    """Refuse a resolve-cache address that has lost its query, which every client before huggingface_hub 1.x loses."""

    def route(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except Refusal as refusal:
            return refusal.answer

    def _route(self, request: Request) -> Answer:
        if request.token is not None and request.token not in self.tokens:
            raise Refusal(401, "", "Invalid credentials in Authorization header")
        if request.path == "/api/whoami-v2":
            return self._whoami(request)
        for pattern, handler in (
            (_CACHE, self._cached),
            (_RESOLVE, self._resolve),
            (_TREE, self._tree),
            (_PATHS, self._paths),
            (_REVISION, self._info),
            (_INFO, self._info),
        ):
            if match := pattern.fullmatch(request.path):
                parts = {name: unquote(value or "") for name, value in match.groupdict().items()}
                return handler(request, parts)
        raise Refusal(404, "", f"this hub knows nothing of {request.method} {request.path}")

    # -- files ---------------------------------------------------------------------------------------------------
    def _resolve(self, request: Request, parts: dict[str, str]) -> Answer:
        """302 to the CDN for a large file; 307 to the hub's own cache, with a relative Location, for a small one."""
        commit, file = self._file(request, parts)
        marks: Headers = (("X-Repo-Commit", commit), ("Accept-Ranges", "bytes"), ("Vary", "Origin, Accept"))
        if self.direct:
            return ranged(request, file.content, _quoted(file), marks[:1])
        if file.lfs:
            location = self.sign(file)
            marks += (("X-Linked-Size", str(file.size)), ("X-Linked-ETag", _quoted(file)), ("Location", location))
            return page(302, f"Found. Redirecting to {location}".encode(), "text/plain; charset=utf-8", marks)
        query = f"?{quote(request.path, safe='')}=&{urlencode({'etag': _quoted(file)})}"
        location = quote(f"/api/resolve-cache/models/{parts['repo']}/{commit}/{file.path}") + query
        marks += (("Location", location),)
        body = f"Temporary Redirect. Redirecting to {location}".encode()
        return page(307, body, "text/plain; charset=utf-8", marks)

    def _cached(self, request: Request, parts: dict[str, str]) -> Answer:
        commit, file = self._file(request, parts)
        if self.needs_query and "etag" not in request.query:
            raise Refusal(400, "", "The query of this address is missing")
        marks = (("X-Repo-Commit", commit), ("Content-Type", "application/octet-stream"), LAST_MODIFIED)
        return ranged(request, file.content, _quoted(file), marks)

    def _file(self, request: Request, parts: dict[str, str]) -> tuple[str, RepoFile]:
        repository = self._readable(request, parts["repo"], metadata=False)
        commit = _commit(repository, parts["rev"])
        file = repository.commits[commit].get(parts["path"])
        if file is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", (("X-Repo-Commit", commit),))
        return commit, file

    # -- listings ------------------------------------------------------------------------------------------------
    def _tree(self, request: Request, parts: dict[str, str]) -> Answer:
        repository = self._readable(request, parts["repo"], metadata=True)
        commit = _commit(repository, parts["rev"])
        listing = repository.tree(commit, parts["path"].strip("/"), _is_on(request, "recursive"))
        if listing is None:
            raise Refusal(404, "EntryNotFound", f"{parts['path']} does not exist on {parts['rev']}")
        return _json(listing, (("X-Repo-Commit", commit),))

    def _paths(self, request: Request, parts: dict[str, str]) -> Answer:
        """`POST paths-info`: the entries of the form's `paths`, of which the missing are left out."""
        repository = self._readable(request, parts["repo"], metadata=True)
        files = repository.commits[_commit(repository, parts["rev"])]
        wanted = parse_qs(request.body.decode()).get("paths", [])
        return _json([files[path].tree_entry() for path in wanted if path in files])

    def _info(self, request: Request, parts: dict[str, str]) -> Answer:
        repository = self._readable(request, parts["repo"], metadata=True)
        commit = _commit(repository, parts.get("rev", "main"))
        return _json(repository.info(commit, _is_on(request, "blobs")))

    # -- people --------------------------------------------------------------------------------------------------
    def _whoami(self, request: Request) -> Answer:
        if request.token is None:
            raise Refusal(401, "", "Invalid username or password.")
        token = {"displayName": "test", "role": "read"}
        who = {"type": "user", "name": self.tokens[request.token], "orgs": [], "auth": {"accessToken": token}}
        return _json(who)

    def _readable(self, request: Request, repo: str, *, metadata: bool) -> Repository:
        """The repository, if whoever asks may read it: a gated one lists its files to everybody."""
        repository = self.repositories.get(repo)
        if repository is None or (repository.private and request.token not in repository.readers):
            if request.token is None:
                raise Refusal(401, "RepoNotFound", "Invalid username or password.")
            raise Refusal(404, "RepoNotFound", "Repository not found")
        if repository.gated and not metadata and request.token not in repository.readers:
            restricted = f"Access to model {repo} is restricted"
            if request.token is None:
                raise Refusal(401, "GatedRepo", f"{restricted}. You must have access to it and be authenticated.")
            raise Refusal(403, "GatedRepo", f"{restricted} and you are not in the authorized list.")
        return repository


def _commit(repository: Repository, revision: str) -> str:
    commit = repository.commit_of(revision)
    if commit is None:
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


def _quoted(file: RepoFile) -> str:
    return f'"{file.oid}"'


def _is_on(request: Request, name: str) -> bool:
    return request.query.get(name, [""])[0].lower() in {"1", "true"}


def _json(value: Any, headers: Headers = (), status: int = 200) -> Answer:
    return page(status, json.dumps(value).encode(), "application/json; charset=utf-8", headers)
