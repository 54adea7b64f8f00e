"""HTTP client of a download.

The client has one session, follows redirects itself, and turns every failure into an error of this project. `requests`
is imported at the first use. TLS is always verified. An Authorization header reaches only the origin that it was made
for: redirects are never left to `requests`, and ~/.netrc is not read.
"""

from __future__ import annotations

import copy
import logging
import math
import re
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..errors import NetworkError, TransientNetworkError
from ..messages import msg
from .deadline import Deadline, Sockets, run_cancellable, using
from .network_faults import network_error
from .request import NETWORK_THREAD, Network
from .urls import after_redirect, checked, host, origin

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from requests import PreparedRequest, Response, Session
    from requests.adapters import HTTPAdapter


Result = TypeVar("Result")

LOGGER = "urllib3.connectionpool"
QUERY = re.compile(r"\?[^\s\"'<>]*")

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 10
MAX_JSON_BYTES: Final = 20_000_000
"""Bytes of an answer of the API; real ones have some ten thousand, most of them about pictures."""
_COUNT = re.compile(r"[0-9]{1,19}")
SHORT = 1 << 16
"""Bytes that are faster to read than a new connection is to open."""


class WithoutQueries(logging.Filter):
    """A log filter that removes URL queries from the texts of a record and lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True always; the record of a download's thread loses its queries, any other is unchanged."""
        if (record.threadName or "").startswith(NETWORK_THREAD):
            record.msg = QUERY.sub("?…", record.getMessage())
            record.args = ()
        return True


_FILTER = WithoutQueries()


def keep_queries_out_of_the_log() -> None:
    """Install the filter; repeated calls have no effect."""
    logging.getLogger(LOGGER).addFilter(_FILTER)


class HttpClient:
    """The connections of one download."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._deadline: Deadline | None = None
        self._sockets = [Sockets()]
        """The collection of all open sockets, replaced at each `close`; a list, since `within` shares it."""
        self._session = _session()
        self._session.headers.update({"User-Agent": network.user_agent, "Accept-Encoding": "identity", "Accept": "*/*"})
        self._session.auth = _no_netrc
        # As many kept connections as one file uses: the session would drop those above ten.
        adapter = _adapter(network.public_only, pool_maxsize=network.connections + 1)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        keep_queries_out_of_the_log()

    def within(self, deadline: Deadline) -> HttpClient:
        """Return these connections for requests whose sockets are shut down with `deadline`."""
        limited = copy.copy(self)
        limited._deadline = deadline
        return limited

    def close(self) -> None:
        """Close the kept connections and end those in use, whose threads get errors; the next request opens another."""
        self._sockets[0].shut_down()
        self._sockets[0] = Sockets()
        self._session.close()

    def checked(self, address: str) -> str:
        """Return `address` if a request to it is allowed, else raise RefusedError."""
        return checked(address, self.network.http_hosts)

    def after_redirect(self, address: str, location: str) -> str:
        """Return the target of a redirect from `address`, if it may be followed; `location` is the raw header."""
        return after_redirect(address, location, self.network.http_hosts)

    def ask(self, method: str, address: str, headers: Mapping[str, str]) -> Response:
        """Send one request and return its answer with any status; the body of a file is not read yet."""
        checked = self.checked(address)
        if self._deadline is not None:
            self._deadline.name = host(checked)
        with using(self._sockets[0], *([self._deadline] if self._deadline is not None else [])):
            try:
                response = self._session.request(
                    method,
                    checked,
                    headers=dict(headers),
                    stream=True,
                    allow_redirects=False,
                    timeout=(self.network.connect_timeout, self.network.read_timeout),
                )
            except (OSError, ValueError) as error:
                raise network_error(error, address) from None
            if response.is_redirect:
                _read_if_short(response)
        return response

    def follow(self, address: str, headers: Mapping[str, str]) -> Response:
        """GET `address` and follow redirects, without Authorization from the first foreign origin on."""
        sent = dict(headers)
        for _ in range(MAX_REDIRECTS):
            response = self.ask("GET", address, sent)
            location = response.headers.get("Location")
            if response.status_code not in REDIRECTS or not location:
                return response
            response.close()
            there = self.after_redirect(address, location)
            if origin(there) != origin(address):
                sent.pop("Authorization", None)
            address = there
        raise too_many_redirects(address)


def answered(
    work: Callable[[HttpClient], Result],
    network: Network,
    stop: threading.Event,
    name: str,
    most: float = math.inf,
) -> Result:
    """Return the result of `work` with connections of its own, which are closed afterwards.

    Args:
        work: Sends the requests.
        network: The settings; `answer_timeout` is the time for all of `work`.
        stop: Ends the work.
        name: The name of what is asked, until a request names its host.
        most: The most seconds, if `answer_timeout` is longer.

    Raises:
        Cancelled: `stop` is set.
        TransientNetworkError: The time is over (code `answer-too-slow`).
    """
    deadline = Deadline(min(network.answer_timeout, most), name)

    def run() -> Result:
        client = HttpClient(network)
        try:
            return work(client.within(deadline))
        finally:
            client.close()

    return run_cancellable(run, stop, deadline)


def _read_if_short(response: Response) -> None:
    """Read a short redirect answer to its end, so that its connection can carry the next request.

    A long answer, or one of unknown length, is not read: it may never end.
    """
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    length = response.raw.length_remaining
    if length is not None and length <= SHORT:
        with suppress(OSError, ValueError, HTTPError, HTTPException):  # on failure, another connection is opened
            response.raw.read(decode_content=False)


def reader(response: Response, address: str) -> Callable[[int], bytes]:
    """Return a function that returns the next bytes of the answer, at most so many; b"" is the end.

    It reads below `requests`, which reads in chunks of one size: a connection that breaks inside a chunk would lose it.
    """
    from http.client import HTTPException

    from urllib3.exceptions import HTTPError

    raw = response.raw

    def read(count: int) -> bytes:
        try:
            data: bytes = raw.read1(count, decode_content=False) if hasattr(raw, "read1") else _read1(raw, count)
        except (OSError, ValueError, AttributeError, HTTPError, HTTPException):  # AttributeError: closed meanwhile
            raise TransientNetworkError(msg("{host} broke off or stopped sending.", host=host(address))) from None
        return data

    return read


def unpacking_reader(read: Callable[[int], bytes], address: str) -> Callable[[int], bytes]:
    """Return a reader of the unpacked bytes of the gzip or deflate stream that `read` returns."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either kind of header
    waiting = b""

    def read_unpacked(count: int) -> bytes:
        nonlocal waiting
        while not unpacker.eof:
            packed = waiting or read(count)
            try:
                data = unpacker.decompress(packed, count)
            except zlib.error:
                raise TransientNetworkError(
                    msg("{host} sends a damaged compressed answer.", code="bad-compression", host=host(address))
                ) from None
            waiting = unpacker.unconsumed_tail
            if data or not packed:
                return data
        return b""

    return read_unpacked


def _read1(raw: Any, count: int) -> bytes:
    """Read the available bytes with urllib3 before 2.2, which lacks `read1`; the code of 1.26 is frozen."""
    inner: HTTPResponse = raw._fp
    data = inner.read1(count)
    if inner.length == 0:
        raw.read(1, decode_content=False)  # the body is complete: this releases the connection
    return data


def count_of(text: str) -> int | None:
    """Return the number that a header states; None for another text, and for more than a file can have."""
    return int(text) if _COUNT.fullmatch(text) else None


def json_of(response: Response, address: str) -> bytes:
    """Return the body of an answer, bounded. Raises NetworkError for a longer one, and the errors of reading."""
    data, read = bytearray(), reader(response, address)
    while chunk := read(MAX_JSON_BYTES):
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            raise senseless_answer(address)
    return bytes(data)


def senseless_answer(address: str) -> NetworkError:
    """Return the error for an answer that is not what this server gives."""
    return NetworkError(
        msg("{host} answers with something that is no list of files.", code="no-file-list", host=host(address))
    )


def too_many_redirects(address: str) -> NetworkError:
    """Return the error for too long a chain of redirects; it names the host alone, since a query may be secret."""
    return NetworkError(
        msg("{host} leads from one address to the next without end.", code="endless-redirects", host=host(address))
    )


def _session() -> Session:
    import requests

    class Unled(requests.Session):
        def get_redirect_target(self, resp: Response) -> None:
            """Return None: else `requests` reads the whole body of a redirect that it does not follow."""

    return Unled()


def _adapter(public_only: bool, pool_maxsize: int) -> HTTPAdapter:
    if not public_only:
        from .connections import WatchedAdapter

        return WatchedAdapter(pool_maxsize=pool_maxsize)
    from . import ssrf_guard

    return ssrf_guard.PublicAdapter(ssrf_guard.is_public, pool_maxsize=pool_maxsize)


def _no_netrc(request: PreparedRequest) -> PreparedRequest:
    return request
