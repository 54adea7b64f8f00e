"""A setting of this machine that keeps a download from the network is named: proxies, certificates, variables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.hub.fixtures import client_environment
from tests.wording import says
from vae_manager.errors import NetworkError, TransientNetworkError
from vae_manager.transfer import Network
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.hub import hub_endpoint

AWAY = "https://vaes.example.org/a.safetensors"


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)


@pytest.fixture
def strict_proxy() -> Iterator[str]:
    """A proxy that asks each client for a name and a password."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def failure(address: str = AWAY) -> NetworkError:
    client = HttpClient(Network())
    try:
        with pytest.raises(NetworkError) as caught:
            client.follow(address, {})
    finally:
        client.close()
    return caught.value


def unused_address() -> str:
    """Return host and port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    place = unused_address()
    monkeypatch.setenv(variable, f"http://me:hunter2@{place}")
    error = failure()
    assert (error.code, error.message.fields["variable"], error.message.fields["proxy"]) == (
        "proxy-unreachable",
        variable,
        place,
    )
    assert isinstance(error, TransientNetworkError)
    assert "hunter2" not in str(error)


def test_a_proxy_that_asks_for_a_password(monkeypatch: pytest.MonkeyPatch, strict_proxy: str, hub: Hub) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{strict_proxy}")
    error = failure()
    assert (error.code, error.message.fields["proxy"]) == ("proxy-sign-in", strict_proxy)
    assert not isinstance(error, TransientNetworkError)
    monkeypatch.setenv("HTTP_PROXY", f"http://{strict_proxy}")
    client = HttpClient(Network())
    response = client.ask("GET", hub.endpoint, {})
    client.close()
    assert response.status_code == 407


def test_a_socks_proxy_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    error = failure()
    assert (error.code, error.message.fields["variable"]) == ("socks-missing", "HTTPS_PROXY")
    assert not isinstance(error, TransientNetworkError)


@pytest.mark.parametrize(
    "proxy", ["http://", "htp://a", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[::1", "http://a b:9"]
)
def test_a_proxy_that_is_no_address(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = failure()
    assert (error.code, error.message.fields["variable"]) == ("bad-proxy", "HTTPS_PROXY")
    assert not isinstance(error, TransientNetworkError)


def test_certificates_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    error = failure()
    assert (error.code, error.message.fields["variable"]) == ("no-certificates", "REQUESTS_CA_BUNDLE")


def test_a_file_without_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = failure(f"https://127.0.0.1:{server.getsockname()[1]}/")
    assert (error.code, error.message.fields["variable"]) == ("no-certificates", "REQUESTS_CA_BUNDLE")
    assert not isinstance(error, TransientNetworkError)


def test_an_empty_endpoint_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "")
    assert hub_endpoint(Network()) == "https://huggingface.co"


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("HF_HUB_ETAG_TIMEOUT", "abc", "hub-library-broken"),
        ("HF_ENDPOINT", "hub.example.org", "bad-endpoint-variable"),
        ("HF_ENDPOINT", "ftp://hub.example.org", "bad-endpoint-variable"),
    ],
)
def test_a_variable_that_is_wrong(hub: Hub, tmp_path: Path, variable: str, value: str, code: str) -> None:
    environment = {**client_environment(hub, tmp_path), variable: value}
    imports = [sys.executable, "-c", "from huggingface_hub import constants"]
    if (
        code == "hub-library-broken"
        and subprocess.run(imports, env=environment, stderr=subprocess.DEVNULL).returncode == 0
    ):
        pytest.skip("this huggingface_hub does not read the variable when it is imported")
    command = [sys.executable, "-m", "vae_manager", "get", "hub:o/n/a.safetensors", "--dir", str(tmp_path / "VAE")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert says(ended.stderr, code)
    assert (value if code == "bad-endpoint-variable" else variable) in ended.stderr
    assert "Traceback" not in ended.stderr
