"""A remote file as a file object: a few ranges of it, fetched when they are read, and kept in memory.

A server without ranges answers with the whole file; its beginning is read, and the connection is closed then. Requests
and bytes are bounded; the client bounds the time. A server can send anything, so nothing here is a proof of the file's
bytes.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import Any, Final

from ..errors import ExpiredAddressError, NetworkError, TransientNetworkError, VaeManagerError
from ..messages import Message, msg
from .http_client import HttpClient
from .range_requests import Body, open_range, refuse_misfit
from .resolved_url import ResolvedUrl, SignedUrl, shown_source
from .urls import host

__all__ = ["MAX_BYTES", "MAX_REQUESTS", "NO_LOOK", "RemoteFile"]

NO_LOOK: Final = "no-look"
"""The code of the error for a file that cannot be looked at before its download."""

MAX_REQUESTS: Final = 3
"""Ranges of one file. Redirects of the first one and the renewal of an address come on top; a bucket's driver sends its
own requests."""
MAX_BYTES: Final = 3_000_000
"""Bytes of one file that are received; the largest header has `files.headers.MAX_HEADER` of them."""
FIRST_BYTES: Final = 1 << 17
"""Bytes of the first range, which contain the header of a VAE."""
FIRST_PICKLE_BYTES: Final = 1 << 19
"""Bytes of the first range of a file with the extension of a pickle. They contain the pickle of a checkpoint."""
LAST_BYTES: Final = 1 << 19
"""Bytes of the range at the end, which contain the table of a checkpoint's zip archive."""
_PICKLE_SUFFIXES: Final = (".ckpt", ".pt", ".pth", ".bin")
_CHUNK: Final = 1 << 16


class RemoteFile(io.RawIOBase):
    """The bytes of a resolved source by their position. Not for several threads; `close` ends its connection.

    Reading raises the errors of `open_range`, and NetworkError with the code `NO_LOOK` for what the bounds or the
    server do not permit.
    """

    def __init__(self, client: HttpClient, address: SignedUrl, name: str) -> None:
        """Send the first request; the extension of `name` decides its length alone."""
        super().__init__()
        self._client = client
        self._address = address
        self._location = address.now
        self._direct: ResolvedUrl | None = None
        """The address to which the known one leads, once an answer has come from there."""
        self._pieces: list[tuple[int, bytes]] = []
        """Offsets and bytes of what has arrived."""
        self._stream: Body | None = None
        """The answer of a server without ranges, whose rest is not read yet."""
        self._stream_ended = False
        self._etag: str | None = None
        self._at = 0
        self.requests = 0
        self.received = 0
        """Bytes."""
        self.size: int | None = self._location.size
        """Bytes of the whole file; None if the server does not say it."""
        is_pickle = PurePosixPath(name.lower()).suffix in _PICKLE_SUFFIXES
        self._begin(FIRST_PICKLE_BYTES if is_pickle else FIRST_BYTES)

    # -- a file object -------------------------------------------------------------------------------------------------
    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: a position is sought without a request."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position. Raises NetworkError for the end of a file of unknown size."""
        if whence == 2 and self.size is None:
            raise self._no_look(msg("the server does not say how long it is.", code="length-unknown"))
        self._at = max(0, offset + (0, self._at, self.size or 0)[whence])
        return self._at

    def read(self, count: int = -1) -> bytes:
        """Return `count` bytes, fewer at the end of the file alone."""
        start = self._at
        end = self.size if count < 0 else start + count
        if end is None:
            raise self._no_look(msg("the server does not say how long it is.", code="length-unknown"))
        if self.size is not None:
            end = min(end, self.size)
        if end <= start:
            return b""
        self._need(start, end)
        data = self._present(start, end)
        self._at = start + len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as `read` would, and return the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the connection of an answer that was not read to its end."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    # -- what is there -------------------------------------------------------------------------------------------------
    def _present(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end` that are there without a gap."""
        found = bytearray()
        for at, piece in sorted(self._pieces):
            position = start + len(found)
            if at <= position < at + len(piece):
                found += piece[position - at : end - at]
        return bytes(found)

    def _need(self, start: int, end: int) -> None:
        """Fetch what is missing from `start` up to `end`."""
        if self._stream is not None or self._stream_ended:
            self._read_stream(end)
            return
        while (have := start + len(self._present(start, end))) < end:
            first = have
            if end == self.size:  # what comes before the end is read next: the table of an archive
                first = max(self._known_from_start(), min(have, end - LAST_BYTES))
            self._fetch(first, end)

    def _known_from_start(self) -> int:
        return len(self._present(0, self.size or 0))

    # -- requests ------------------------------------------------------------------------------------------------------
    def _begin(self, count: int) -> None:
        if self.size == 0:
            return
        end = count if self.size is None else min(count, self.size)
        body = self._open(0, end)
        self._etag = body.etag
        try:
            if body.is_labelled_page:
                refuse_misfit(body, self._location)
            self._check_size(body)
        except VaeManagerError:
            body.close()
            raise
        if body.is_part:
            end = end if self.size is None else min(end, self.size)
            self._take(body, 0, end)
            self._need(0, end)  # a connection that broke off
            return
        self._keep(0, body.head)
        self._stream = body
        if self.size is not None and len(body.head) >= self.size:
            self._end_stream()

    def _check_size(self, body: Body) -> None:
        """Adopt the size that the answer states. Raises NetworkError if it is not the known one."""
        if body.total is None:
            return
        if self.size is not None and body.total != self.size:
            raise self._no_look(msg("its length is stated in two ways.", code="two-lengths"))
        self.size = body.total

    def _fetch(self, start: int, end: int) -> None:
        """Fetch the bytes from `start` up to `end` by one request; fewer may arrive."""
        body = self._open(start, end)
        try:
            if not body.is_part:
                raise self._no_look(msg("it has changed in between.", code="changed-in-between"))
            self._check_size(body)
        except VaeManagerError:
            body.close()
            raise
        self._take(body, start, end)

    def _open(self, start: int, end: int) -> Body:
        if self.requests == MAX_REQUESTS or self.received + end - start > MAX_BYTES:
            raise self._no_look(msg("too much of it would have to be read.", code="too-much-to-read"))
        self.requests += 1
        body = self._ask(start, end)
        if body is None and not self._pieces:  # a server that cannot give a part may give the whole
            self.requests += 1
            body = open_range(self._client, self._location, 0, None, None)
        if body is None:
            raise self._no_look(
                msg(
                    "{host} sends other bytes than those that it was asked for.",
                    code="other-range",
                    host=host(self._location.address) or shown_source(self._location.source),
                )
            )
        direct = body.direct(self._location)
        self._direct = direct if direct is not self._location else None
        return body

    def _ask(self, start: int, end: int) -> Body | None:
        """Ask where the last range came from; an address that has expired is renewed, by its redirects or its site."""
        if self._direct is not None:
            try:
                return open_range(self._client, self._direct, start, end, self._etag)
            except ExpiredAddressError:
                self._direct = None
        try:
            return open_range(self._client, self._location, start, end, self._etag)
        except ExpiredAddressError:
            self._location = self._address.after(self._location)
            return open_range(self._client, self._location, start, end, self._etag)

    def _take(self, body: Body, start: int, end: int) -> None:
        """Keep the bytes of a part, at most up to `end`; a connection that breaks off leaves a gap."""
        stop = end if body.end is None else min(end, body.end)
        data = bytearray(body.head)
        try:
            while start + len(data) < stop and (chunk := self._read(body, stop - start - len(data))):
                data += chunk
        except TransientNetworkError:  # the next request begins where this one ended
            if not data:
                raise
        finally:
            body.close()
        if not data:
            raise self._no_look(msg("the server sends nothing.", code="nothing-sent"))
        self._keep(start, bytes(data[: stop - start]))

    def _read_stream(self, end: int) -> None:
        """Read the answer of a server without ranges up to `end`, or to its end."""
        if end > MAX_BYTES and not self._stream_ended:
            raise self._no_look(msg("the server sends it as a whole only.", code="no-ranges"))
        while self._stream is not None and (have := self._known_from_stream()) < end:
            data = self._read(self._stream, end - have)
            if not data:
                if self.size is not None and have < self.size:
                    raise self._no_look(msg("the server broke off.", code="broken-off"))
                self.size = have
                self._end_stream()
                return
            self._keep(have, data)

    def _known_from_stream(self) -> int:
        return sum(len(piece) for _, piece in self._pieces)

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._stream_ended = None, True

    def _read(self, body: Body, count: int) -> bytes:
        return body.read(min(count, _CHUNK))

    def _keep(self, start: int, data: bytes) -> None:
        self._pieces.append((start, data))
        self.received += len(data)

    def _no_look(self, reason: Message) -> NetworkError:
        return NetworkError(
            msg(
                "{source} cannot be looked at before the download: {reason}",
                code=NO_LOOK,
                source=shown_source(self._location.source),
                reason=reason,
            )
        )
