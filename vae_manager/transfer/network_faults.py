"""Failures of a request as errors of this project; those of this machine's own network name the variable to correct."""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

from ..errors import NetworkError, TransientNetworkError, VaeManagerError
from ..messages import msg
from .urls import host

__all__ = ["network_error", "proxy_sign_in_error"]


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
    if "NO_CERTIFICATE_OR_CRL_FOUND" in text.upper().replace(" ", "_"):  # OpenSSL's reason, worded by its version
        return NetworkError(
            msg(
                "The file that {variable} names holds no certificate, so nothing was fetched. Correct the variable, or "
                "remove it.",
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
    has_unknown_scheme = text.startswith("Proxy URL had unsupported scheme")  # urllib3, inside an InvalidURL
    if isinstance(error, requests.exceptions.InvalidProxyURL) or has_unknown_scheme or not _can_be_proxy(proxy):
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


def _can_be_proxy(place: str) -> bool:
    """Return False for a proxy's place, without its scheme, that cannot be one; an empty place is no proxy."""
    try:
        parts = urlsplit(f"//{place}")
        return not place or (bool(parts.hostname) and (parts.port is None or parts.port > 0) and " " not in place)
    except ValueError:
        return False


def _variable(*names: str) -> str:
    return next((name for name in names if os.environ.get(name)), names[0])


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return True if `kind` is at the bottom of `error`: urllib3 hides it in `reason` and requests in `args`."""
    seen: list[object] = [error]
    for one in seen:
        if isinstance(one, kind):
            return True
        if isinstance(one, BaseException) and len(seen) < 50:
            seen += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False
