"""HTTP client of a download, and the parsing of URLs.

The client has one session, follows redirects itself, and turns every failure into an error of this project. `requests`
is imported at the first use. TLS is always verified. An Authorization header reaches only the origin that it was made
for: redirects are never left to `requests`, and ~/.netrc is not read.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ..catalogue.entry import is_loopback
from ..errors import NetworkError, RefusedError, TransientNetworkError, VaeManagerError
from ..messages import msg
from .request import NETWORK_THREAD, Network, retry_after_of

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from requests import PreparedRequest, Response, Session
    from requests.adapters import HTTPAdapter


SECRET = re.compile(r"token|key|secret|sig|pass|auth|credential|policy", re.IGNORECASE)
"""Names of query fields whose value is a secret."""

LOGGER = "urllib3.connectionpool"
QUERY = re.compile(r"\?[^\s\"'<>]*")

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 10
SHORT = 1 << 16
"""Bytes that are faster to read than a new connection is to open."""


def checked(address: str) -> str:
    """Return `address` if a request to it is allowed."""
    parts = _parts(address)
    if parts.username is not None or parts.password is not None:
        raise RefusedError(
            msg(
                "The address of {host} carries a name or password. Leave it out of the address.",
                code="address-with-password",
                host=parts.hostname,
            )
        )
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return address
    if parts.scheme == "http":
        raise RefusedError(
            msg(
                "{address} is not encrypted. Only https addresses are used; http only on this computer itself.",
                code="not-encrypted",
                address=shown(address),
            )
        )
    raise RefusedError(msg("{address} is not an https address.", code="not-https", address=shown(address)))


def after_redirect(address: str, location: str) -> str:
    """Return the target of a redirect from `address`, if it may be followed; `location` is the raw header."""
    there = urljoin(address, _as_sent(location))
    if _parts(address).scheme == "https" and _parts(there).scheme != "https":
        raise RefusedError(
            msg(
                "{host} leads away from https to an address that is not encrypted. It is not followed.",
                code="leads-away-from-https",
                host=host(address),
            )
        )
    return checked(there)


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port: the scope of a token."""
    parts = _parts(address)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def host(address: str) -> str:
    """Return the host, for display."""
    return _parts(address).hostname or ""


def shown(address: str) -> str:
    """Return `address` without user, query and fragment, for display."""
    parts = _parts(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(address: str) -> str:
    """Return `address` without the query fields that look like keys, for the journal."""
    parts = _parts(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not SECRET.search(name)]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(query), ""))


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise RefusedError(msg("This is not a valid address.", code="bad-address")) from None
    return parts


def _as_sent(header: str) -> str:
    """Decode a header as UTF-8 if possible: http.client reads Latin-1, and servers send UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


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
        self._session = _session()
        self._session.headers.update({"User-Agent": network.user_agent, "Accept-Encoding": "identity", "Accept": "*/*"})
        self._session.auth = _no_netrc
        # As many kept connections as one file uses: the session would drop those above ten.
        adapter = _adapter(network.public_only, pool_maxsize=network.connections + 1)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        keep_queries_out_of_the_log()

    def close(self) -> None:
        """Close the kept connections; the next request opens a new one."""
        self._session.close()

    def ask(self, method: str, address: str, headers: Mapping[str, str]) -> Response:
        """Send one request and return its answer with any status; the body of a file is not read yet."""
        try:
            response = self._session.request(
                method,
                checked(address),
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
            there = after_redirect(address, location)
            if origin(there) != origin(address):
                sent.pop("Authorization", None)
            address = there
        raise too_many_redirects(address)


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


def _read1(raw: Any, count: int) -> bytes:
    """Read the available bytes with urllib3 before 2.2, which lacks `read1`; the code of 1.26 is frozen."""
    inner: HTTPResponse = raw._fp
    data = inner.read1(count)
    if inner.length == 0:
        raw.read(1, decode_content=False)  # the body is complete: this releases the connection
    return data


def too_many_redirects(address: str) -> NetworkError:
    """Return the error for too long a chain of redirects; it names the host alone, since a query may be secret."""
    return NetworkError(
        msg("{host} leads from one address to the next without end.", code="endless-redirects", host=host(address))
    )


def network_error(error: Exception, address: str) -> VaeManagerError:
    """Return the error for a failure of `requests`, without its own text, which repeats the whole address."""
    import requests

    name = host(address)
    if _caused_by(error, ssl.SSLCertVerificationError):
        return NetworkError(
            msg(
                "The certificate of {host} could not be verified, so nothing was fetched from it. "
                "Check the clock of this computer and the network (a hotel's sign-in page, a company's proxy). "
                "REQUESTS_CA_BUNDLE can name a file with your company's certificates; SSL_CERT_FILE is not read.",
                code="bad-certificate",
                host=name,
            )
        )
    own = _fault_of_this_machine(error, address)
    if own is not None:
        return own
    if isinstance(error, requests.exceptions.ReadTimeout | requests.exceptions.ConnectTimeout):
        return TransientNetworkError(
            msg(
                "{host} does not answer. Check the network, or choose a mirror: in the WebUI's settings, or by "
                "HF_ENDPOINT.",
                code="no-answer",
                host=name,
            )
        )
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return TransientNetworkError(
            msg(
                "{host} cannot be reached. Check the network, or choose a mirror: in the WebUI's settings, or by "
                "HF_ENDPOINT.",
                code="unreachable",
                host=name,
            )
        )
    return NetworkError(msg("The address at {host} cannot be used.", host=name))


def _fault_of_this_machine(error: Exception, address: str) -> VaeManagerError | None:
    """Return the error for a wrong proxy or certificate setting of this machine, by the name of its variable."""
    import requests

    text = str(error)
    if "CA certificate bundle" in text:  # an OSError of requests/adapters.py, without a class of its own
        return NetworkError(
            msg(
                "The file of certificates that {variable} names is not there, so nothing was fetched. Correct the "
                "variable, or remove it.",
                code="no-certificates",
                variable=_variable("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
            )
        )
    variable, proxy = _proxy_for(address)
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in text:
        return NetworkError(
            msg(
                "{variable} names a SOCKS proxy, for which this Python lacks the package PySocks. Install it "
                "(pip install pysocks), or name an http proxy.",
                code="socks-missing",
                variable=variable,
            )
        )
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return NetworkError(
            msg(
                "{variable} is not the address of a proxy. Write http://HOST:PORT, or remove the variable.",
                code="bad-proxy",
                variable=variable,
            )
        )
    if not isinstance(error, requests.exceptions.ProxyError):
        return None
    if " 407 " in f"{text} ":
        return proxy_sign_in_error(address)
    return TransientNetworkError(
        msg(
            "The proxy {proxy}, which {variable} names, cannot be reached or does not let {host} through. Check the "
            "proxy, correct the variable, or remove it.",
            code="proxy-unreachable",
            proxy=proxy,
            variable=variable,
            host=host(address),
        )
    )


def proxy_sign_in_error(address: str) -> NetworkError:
    """Return the error for a proxy that asks for a name and a password."""
    variable, proxy = _proxy_for(address)
    return NetworkError(
        msg(
            "The proxy {proxy} asks for a name and a password (407). Give them in {variable}: "
            "http://NAME:PASSWORD@HOST:PORT.",
            code="proxy-sign-in",
            proxy=proxy,
            variable=variable,
        )
    )


def _proxy_for(address: str) -> tuple[str, str]:
    """Return the variable that names the proxy for `address`, and the proxy's host and port, for display."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(address, get_environ_proxies(address)) or ""
    names = [name for name, value in os.environ.items() if value == proxy and name.upper().endswith("_PROXY")]
    netloc = proxy.rpartition("//")[2].rpartition("@")[2].rstrip("/")
    return (names[0] if names else f"{urlsplit(address).scheme.upper()}_PROXY"), netloc


def _variable(*names: str) -> str:
    return next((name for name in names if os.environ.get(name)), names[0])


def status_error(response: Response, address: str) -> NetworkError:
    """Return the error for a status without a more specific sentence from its source."""
    status = response.status_code
    if status == 407:
        return proxy_sign_in_error(address)
    if status == 429:
        message = msg("{host} is asked too often (429).", code="too-many-requests", host=host(address))
        return TransientNetworkError(message, retry_after_of(response.headers))
    if status >= 500 or status in (408, 425):
        return TransientNetworkError(
            msg(
                "{host} has a server error ({status}). Try again later.",
                code="server-error",
                host=host(address),
                status=status,
            ),
            retry_after_of(response.headers),
        )
    return NetworkError(msg("{host} answers with status {status}.", host=host(address), status=status))


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return True if `kind` is at the bottom of `error`: urllib3 hides it in `reason` and requests in `args`."""
    seen: list[object] = [error]
    for one in seen:
        if isinstance(one, kind):
            return True
        if isinstance(one, BaseException) and len(seen) < 50:
            seen += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def _session() -> Session:
    import requests

    class Unled(requests.Session):
        def get_redirect_target(self, resp: Response) -> None:
            """Return None: else `requests` reads the whole body of a redirect that it does not follow."""

    return Unled()


def _adapter(public_only: bool, pool_maxsize: int) -> HTTPAdapter:
    import requests

    if not public_only:
        return requests.adapters.HTTPAdapter(pool_maxsize=pool_maxsize)
    from . import ssrf_guard

    return ssrf_guard.PublicAdapter(ssrf_guard.is_public, pool_maxsize=pool_maxsize)


def _no_netrc(request: PreparedRequest) -> PreparedRequest:
    return request
