"""HTTP: one session, redirects followed by hand, every failure an error of this project.

`requests` is imported at the first use. TLS is always verified. A header that signs in reaches the origin it was made
for and no other: redirects are never left to `requests`, and ~/.netrc is not read.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..errors import NetworkError, TransientNetworkError, VaeManagerError
from ..sentences import say
from .addresses import after_redirect, checked, host, origin
from .order import Network

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

CHUNK = 1 << 16
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 10


class Wire:
    """The connections of one delivery."""

    def __init__(self, network: Network) -> None:
        import requests

        self.network = network
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": network.user_agent, "Accept-Encoding": "identity", "Accept": "*/*"})
        self._session.auth = _no_netrc

    def close(self) -> None:
        self._session.close()

    def ask(self, method: str, address: str, headers: Mapping[str, str]) -> Response:
        """Send one request and return its answer, whatever it is; the body is not read yet."""
        try:
            return self._session.request(
                method,
                checked(address),
                headers=dict(headers),
                stream=True,
                allow_redirects=False,
                timeout=(self.network.connect_timeout, self.network.read_timeout),
            )
        except (OSError, ValueError) as error:
            raise network_error(error, address) from None

    def follow(self, address: str, headers: Mapping[str, str]) -> Response:
        """GET `address` and follow where it leads, without Authorization from the first foreign origin on."""
        sent = dict(headers)
        for _ in range(MOST_REDIRECTS):
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


def body(response: Response, address: str) -> Iterator[bytes]:
    """Yield what the answer carries."""
    try:
        yield from response.iter_content(CHUNK)
    except (OSError, ValueError):
        raise TransientNetworkError(say("{host} broke off or stopped sending.", host=host(address))) from None


def too_many_redirects(address: str) -> NetworkError:
    return NetworkError(say("{host} leads from one address to the next without end.", host=host(address)))


def network_error(error: Exception, address: str) -> VaeManagerError:
    """Say what a failure of `requests` was. Its own text is left out: it repeats the whole address."""
    import requests

    name = host(address)
    if _caused_by(error, ssl.SSLCertVerificationError):
        return NetworkError(
            say(
                "The certificate of {host} could not be verified, so nothing was fetched from it. "
                "Check the clock of this computer and the network (a hotel's sign-in page, a company's proxy).",
                host=name,
            )
        )
    if isinstance(error, requests.exceptions.ReadTimeout | requests.exceptions.ConnectTimeout):
        return TransientNetworkError(
            say("{host} does not answer. Check the network, or choose a mirror in the settings.", host=name)
        )
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return TransientNetworkError(
            say("{host} cannot be reached. Check the network, or choose a mirror in the settings.", host=name)
        )
    return NetworkError(say("The address at {host} cannot be used.", host=name))


def status_error(response: Response, address: str) -> NetworkError:
    """Say what a status means that no source has an own sentence for."""
    status = response.status_code
    if status == 429:
        return TransientNetworkError(say("{host} is asked too often (429).", host=host(address)), retry_after(response))
    if status >= 500 or status in (408, 425):
        return TransientNetworkError(
            say("{host} has a server error ({status}). Try again later.", host=host(address), status=status),
            retry_after(response),
        )
    return NetworkError(say("{host} answers with status {status}.", host=host(address), status=status))


def retry_after(response: Response) -> float | None:
    """Return the seconds that the server wants us to wait, in either of the header's two forms."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Tell whether `kind` is at the bottom of `error`: urllib3 hides it in `reason` and requests in `args`."""
    seen: list[object] = [error]
    for one in seen:
        if isinstance(one, kind):
            return True
        if isinstance(one, BaseException) and len(seen) < 50:
            seen += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def _no_netrc(request: PreparedRequest) -> PreparedRequest:
    return request
