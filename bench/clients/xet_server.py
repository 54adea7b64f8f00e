"""A hub whose large file is fetched with the xet protocol, so that hf_xet can be measured: run as `tests.hub` is.

Only what a download needs, and without what makes xet worthwhile elsewhere: nothing is compressed and no chunk occurs
twice, as with weights. Wire formats: huggingface_hub 0.36.2 (utils/_xet.py) for the way to the token; xet-core
(openapi/cas.openapi.yaml, cas_types, xorb_chunk_format.rs) for the rest. As there, a chunk is 64 KiB on average and a
xorb, which a client asks for with one request, 64 MiB at most. The hashes are made up: no client compares them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.hub import Link, Server
from tests.hub.__main__ import parser, totals
from tests.hub.api import Site
from tests.hub.content import Content, RepoFile, Repository
from tests.hub.messages import Answer, Request, asked_range, page, ranged

CHUNK = 64 * 1024
HEADER = 8
"""Bytes: version 0, length on the wire (3, little endian), 0 for no compression, length (3)."""
CHUNKS = 64 * 1024 * 1024 // (CHUNK + HEADER)
"""Chunks of a full xorb."""
RECONSTRUCTION = re.compile(r"/v2/reconstructions/[0-9a-f]{64}")
TOKEN = "/token"


@dataclass(frozen=True)
class Xorb:
    """A part of the file, cut into chunks that each have a header, as a file of its own."""

    content: Content
    hash: str
    start: int
    """Offset in the file, bytes."""
    length: int
    """Bytes of the file."""

    def term(self, start: int, stop: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What reconstructs [start, stop) of this part, widened to whole chunks: the term, and how to fetch it."""
        first, last = start // CHUNK, -(-stop // CHUNK)
        covered = min(last * CHUNK, self.length) - first * CHUNK
        chunks = {"start": first, "end": last}
        begin = first * (CHUNK + HEADER)
        wire = {"start": begin, "end": begin + covered + (last - first) * HEADER - 1}
        return {"hash": self.hash, "unpacked_length": covered, "range": chunks}, {"chunks": chunks, "bytes": wire}


class XetHub:
    """The hub's host, and one for both the store's questions and its bytes, which lie apart in truth."""

    def __init__(self, repo: str, path: str, local: Path, link: Link) -> None:
        self.xorbs = list(xorbs(local))
        self.size = local.stat().st_size
        self.api = Server("hub", "127.0.0.1", 0, self._hub, Link(), None)
        self.store = Server("cdn", "127.0.0.2", 0, self._store, link, None)
        content = Content(local)
        repository = Repository(repo)
        repository.put(RepoFile(path, content, True, content.sha256, content.size), None)
        self.site = Site(lambda _: f"{self.store.address}/nothing", {}, {repo: repository})

    def _hub(self, request: Request) -> Answer:
        if request.path == TOKEN:
            known = {
                "X-Xet-Cas-Url": self.store.address,
                "X-Xet-Access-Token": "token",
                "X-Xet-Token-Expiration": str(int(time.time()) + 3600),
            }
            return page(200, b"{}", "application/json", tuple(known.items()))
        answer = self.site.route(request)
        marks = (("X-Xet-Hash", self.xorbs[0].hash), ("X-Xet-Refresh-Route", self.api.address + TOKEN))
        return replace(answer, headers=(*answer.headers, *marks))

    def _store(self, request: Request) -> Answer:
        for xorb in self.xorbs:
            if request.path == f"/xorbs/{xorb.hash}":
                return ranged(request, xorb.content, f'"{xorb.hash}"')
        if not RECONSTRUCTION.fullmatch(request.path):
            return page(404, b"Not Found", "text/plain")
        start, stop = asked_range(request, self.size) or (0, self.size)
        if start >= stop:
            return page(416, b"", "text/plain")
        return page(200, json.dumps(self.reconstruction(start, stop)).encode(), "application/json")

    def reconstruction(self, start: int, stop: int) -> dict[str, Any]:
        """How to put [start, stop) of the file together."""
        terms, fetched = [], {}
        for xorb in self.xorbs:
            begin, end = max(start - xorb.start, 0), min(stop - xorb.start, xorb.length)
            if begin < end:
                term, fetch = xorb.term(begin, end)
                terms.append(term)
                fetched[xorb.hash] = [{"url": f"{self.store.address}/xorbs/{xorb.hash}", "ranges": [fetch]}]
        return {"offset_into_first_range": start % CHUNK, "terms": terms, "xorbs": fetched}


def xorbs(local: Path) -> Iterator[Xorb]:
    """Cut the file; the parts stay in a folder beside it for the next server."""
    folder = local.with_suffix(".xorbs")
    size, step = local.stat().st_size, CHUNKS * CHUNK
    if not folder.exists():
        folder.mkdir()
        with local.open("rb") as source:
            for start in range(0, size, step):
                with (folder / str(start)).open("wb") as file:
                    for _ in range(CHUNKS):
                        file.write(with_header(source.read(CHUNK)))
        os.sync()  # or it would happen while the client is measured
    for start in range(0, size, step):
        name = hashlib.sha256(b"%d" % start).hexdigest()
        yield Xorb(Content(folder / str(start), name), name, start, min(step, size - start))


def with_header(chunk: bytes) -> bytes:
    length = len(chunk).to_bytes(3, "little")
    return b"\0" + length + b"\0" + length + chunk if chunk else b""


def main() -> None:
    options = parser().parse_args()
    ((repo, path, _, local),) = options.file
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    hub = XetHub(repo, path, local, Link(options.rate_per_connection, options.rate_total, options.latency))
    with contextlib.ExitStack() as stack:
        for server in (hub.api, hub.store):
            server.start()
            stack.callback(server.stop)
        print(f"HF_ENDPOINT={hub.api.address}", flush=True)
        while not ended.wait(0.2):
            pass
        print(json.dumps({"hub": totals(hub.api), "cdn": totals(hub.store)}), flush=True)


if __name__ == "__main__":
    main()
