"""The hub as a test sees it: repositories, two servers, and what happened on them."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from .api import Site
from .content import Content, RepoFile, Repository
from .sending import Link, Seen
from .server import Server
from .shelf import Shelf


class Hub:
    """A hub and its CDN on loopback, under two host names, so that what must not cross from one to the other shows.

    ::

        with Hub() as hub:
            hub.add("stabilityai/sd-vae-ft-mse-original", "vae.safetensors", b"...")
            hub.endpoint          # for HF_ENDPOINT
            hub.cdn.fail_next(Fault.reset_after(1000))
            hub.cdn.sent("vae.safetensors")
    """

    def __init__(
        self,
        *,
        tokens: Iterable[str] = (),
        link: Link | None = None,
        api_link: Link | None = None,
        port: int = 0,
        cdn_port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tokens` are accepted beside those named as readers; `link` is the CDN's line, `api_link` the hub's own.

        Port 0 takes a free one. With `tls` both servers speak https.
        """
        self._tokens = dict.fromkeys(tokens, "tester")
        self._shelf = Shelf()
        self.site = Site(self._sign, self._tokens)
        self.api = Server("hub", "127.0.0.1", port, self.site.route, api_link or Link(), tls)
        """The hub's own host: resolve, listings, small files."""
        self.cdn = Server("cdn", _other_host(), cdn_port, self._shelf.route, link or Link(), tls)
        """Where large files come from."""

    @property
    def endpoint(self) -> str:
        return self.api.address

    @property
    def requests(self) -> list[Seen]:
        """What both servers were asked, in order of time."""
        return sorted(self.api.requests + self.cdn.requests, key=lambda seen: seen.began)

    # -- life ----------------------------------------------------------------------------------------------------
    def start(self) -> Hub:
        self.api.start()
        self.cdn.start()
        return self

    def stop(self) -> None:
        """End both servers and every connection; raises what went wrong inside them."""
        try:
            self.api.stop()
        finally:
            self.cdn.stop()

    def __enter__(self) -> Hub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until no answer is under way (seconds), so that the counts are final."""
        self.api.settle(timeout)
        self.cdn.settle(timeout)

    # -- what it holds -------------------------------------------------------------------------------------------
    def add(
        self,
        repo: str,
        path: str,
        data: bytes | Path,
        *,
        revision: str | None = None,
        lfs: bool = True,
        sha256: str | None = None,
        size: int | None = None,
    ) -> RepoFile:
        """Add or replace a file.

        `revision` is a commit id (40 digits); a new one starts from what `main` held and becomes `main`. `lfs=False`
        makes it a small file, which the hub serves itself and whose ETag is no SHA-256. `sha256` and `size` (bytes)
        are what the hub announces in place of the truth.
        """
        content = Content(data)
        oid = (sha256 or content.sha256) if lfs else content.git_oid()
        file = RepoFile(path, content, lfs, oid, content.size if size is None else size)
        self.repository(repo).put(file, revision)
        if lfs:
            self._shelf.put(_shelf_path(file), content, "application/octet-stream", signed=True)
        return file

    def repository(self, repo: str) -> Repository:
        """The repository of this name, made if it is not there: for its branches and tags (`refs`), say."""
        return self.site.repositories.setdefault(repo, Repository(repo))

    def gate(self, repo: str, *readers: str) -> None:
        """Only these tokens may read the files; everybody may list them."""
        self._restrict(repo, readers).gated = True

    def make_private(self, repo: str, *readers: str) -> None:
        """For all but these tokens there is no such repository."""
        self._restrict(repo, readers).private = True

    def _restrict(self, repo: str, readers: Iterable[str]) -> Repository:
        repository = self.repository(repo)
        repository.readers = frozenset(readers)
        self._tokens.update(dict.fromkeys(readers, "tester"))
        return repository

    def publish(self, path: str, data: bytes | Path, *, content_type: str = "application/octet-stream") -> str:
        """Serve something on the CDN's host under a plain address, which is returned."""
        self._shelf.put(path, Content(data), content_type, signed=False)
        return self.cdn.address + path

    # -- addresses -----------------------------------------------------------------------------------------------
    def limit_addresses(self, lifetime: float) -> None:
        """Addresses on the CDN that are given out from now on are good for so many seconds."""
        self._shelf.lifetime = lifetime

    def expire_addresses(self) -> None:
        """None of the addresses on the CDN that were given out is good any more."""
        self._shelf.expire_addresses()

    def _sign(self, file: RepoFile) -> str:
        return self.cdn.address + self._shelf.sign(_shelf_path(file))


def _shelf_path(file: RepoFile) -> str:
    """Announced and true hash both count, so that the same file with a wrong hash has an address of its own."""
    key = hashlib.sha1(f"{file.oid} {file.content.sha256}".encode()).hexdigest()
    return f"/repos/{key[:2]}/{key}/{file.path.rpartition('/')[2]}"


def _other_host() -> str:
    """A second loopback host: 127.0.0.2 where the system has it, as macOS has not, else another name of the first."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            return "localhost"
    return "127.0.0.2"
