"""Pytest fixtures and helpers around the hub: `from tests.hub.fixtures import hub` in a conftest.py."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .hub import Hub

_SUBJECT = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2"


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub of one's own, on free ports."""
    with Hub() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for the loopback hosts that signs itself: nobody trusts it unasked."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, chain, both = folder / "key.pem", folder / "chain.pem", folder / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(chain), "-days", "2", "-subj", "/CN=localhost", "-addext", _SUBJECT]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + chain.read_bytes())
    return both


@pytest.fixture
def https_hub(certificate: Path) -> Iterator[Hub]:
    """A hub whose two servers speak https, with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Hub(tls=context) as running:
        yield running


def client_environment(hub: Hub, home: Path) -> dict[str, str]:
    """The environment for a process that uses huggingface_hub: this hub, a home of its own, no proxy, no token."""
    dropped = ("HF_", "HUGGING", "TRANSFORMERS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    return kept | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }
