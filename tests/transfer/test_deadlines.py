"""Servers that send a byte now and then: each look and each resolving request ends at its deadline, with its thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failing import fails_with
from vae_manager.catalogue.entry import CivitaiSource, HttpsSource, HubSource, Source
from vae_manager.errors import Cancelled, NetworkError, VaeManagerError, WholeRepositoryError
from vae_manager.messages import msg
from vae_manager.transfer import (
    DownloadRequest,
    Network,
    Progress,
    RetryPolicy,
    download_file,
    inspect_remote,
    listed_files,
    only_file,
    proposed_name,
    version_files,
)
from vae_manager.transfer.request import NETWORK_THREAD

SECONDS = 1.0
"""The deadline; each byte comes long before any time-out. A busy machine connects within it."""
SOON = 60.0
"""Seconds after which what has not ended is a fault; it is held for minutes without a deadline."""
PAUSE = 0.05
FILE = "/a/b/resolve/main/vae.safetensors"

STATUS_LINE = b"HTTP/1.1 200 " + b"O" * 60_000
HEADERS = b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 60_000
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\nContent-Type: application/json\r\n\r\n" + b"[" + b" " * 60_000
PART = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 60000\r\nContent-Range: bytes 0-59999/60000\r\n\r\n" + bytes(
    60000
)
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 60000\r\n\r\n" + b" " * 60_000
HANDSHAKE = b"\x16\x03\x03\x40\x00" + bytes(16_384)
"""The beginning of a record of TLS that is 16 kB long."""


class Trickler:
    """A server that sends the first `quick` bytes of its answer at once, and the others one by one."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.quick = min(answer.find(b"x" * 20) % len(answer), 100)
        self.heard: list[bytes] = []
        self.hung_up = threading.Event()
        """Set once a client has ended its connection before the end of the answer."""
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.heard.append(connection.recv(65_536))
            connection.settimeout(PAUSE)
            for at in range(len(self.answer)):
                connection.sendall(self.answer[at : at + 1])
                if at >= self.quick and self._has_gone(connection):
                    self.hung_up.set()
                    return

    def _has_gone(self, connection: socket.socket) -> bool:
        try:
            return self._stopped.is_set() or connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def stop(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


Serve = Callable[[bytes], Trickler]


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """The first import of these takes as long as the deadline."""
    import huggingface_hub  # noqa: F401
    import requests  # noqa: F401

    from vae_manager.transfer import ssrf_guard  # noqa: F401


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[Trickler] = []

    def start(answer: bytes) -> Trickler:
        started.append(Trickler(answer))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def network(server: Trickler, **changes: object) -> Network:
    settings = {"endpoint": server.address, "civitai": server.address, "read_timeout": 20, "answer_timeout": SECONDS}
    return Network(**{**settings, "retry_policy": RetryPolicy(max_attempts=1), **changes})  # type: ignore[arg-type]


def end(server: Trickler) -> None:
    """The connection is over, and so are the threads; both were held for minutes otherwise."""
    assert server.hung_up.wait(SOON)
    until = time.monotonic() + SOON
    while any(thread.name == NETWORK_THREAD for thread in threading.enumerate()):
        assert time.monotonic() < until, "a thread stays"
        time.sleep(0.01)


def look(source: Callable[[Trickler], Source]) -> Callable[[Trickler, Network], object]:
    return lambda server, network: inspect_remote(source(server), network=network, stop=threading.Event())


def whole() -> WholeRepositoryError:
    return WholeRepositoryError(msg("x"), "a/b", "", None)


HUB_FILE = look(lambda _: HubSource("a/b", "vae.safetensors"))
ADDRESS = look(lambda server: HttpsSource(f"{server.address}/vae.safetensors"))
MODELSCOPE = look(lambda server: HttpsSource(f"{server.address}/models/a/b/resolve/master/vae.safetensors"))
CIVITAI = look(lambda _: CivitaiSource(7))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (HUB_FILE, STATUS_LINE),
        (HUB_FILE, HEADERS),
        (HUB_FILE, REDIRECT),
        (ADDRESS, STATUS_LINE),
        (ADDRESS, HEADERS),
        (ADDRESS, REDIRECT),
        (ADDRESS, PART),
        (ADDRESS, BODY.replace(b"json", b"octet-stream")),
        (MODELSCOPE, BODY),
        (CIVITAI, HEADERS),
        (CIVITAI, BODY),
        (lambda _, network: listed_files(whole(), network=network, stop=threading.Event()), HEADERS),
        (lambda _, network: only_file(whole(), network=network, stop=threading.Event()), BODY),
        (lambda _, network: version_files(CivitaiSource(7), network=network, stop=threading.Event()), BODY),
        (lambda _, network: proposed_name(CivitaiSource(7), network=network, stop=threading.Event()), STATUS_LINE),
    ],
)  # fmt: skip
def test_a_question_ends_at_its_deadline(
    serve: Serve, ask: Callable[[Trickler, Network], object], answer: bytes
) -> None:
    server = serve(answer)
    began = time.monotonic()
    with fails_with(NetworkError, "answer-too-slow", host="127.0.0.1"):
        ask(server, network(server))
    assert time.monotonic() - began < SOON
    assert server.heard
    end(server)


def test_a_handshake_ends_at_its_deadline(serve: Serve) -> None:
    server = serve(HANDSHAKE)
    with fails_with(NetworkError, "answer-too-slow", host="127.0.0.1"):
        inspect_remote(
            HttpsSource(f"https://127.0.0.1:{server.port}/a.safetensors"),
            network=network(server),
            stop=threading.Event(),
        )
    end(server)


@pytest.mark.parametrize("answer", [STATUS_LINE, HEADERS])
def test_a_proxy_ends_at_the_deadline(serve: Serve, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(answer)
    monkeypatch.setenv("HTTPS_PROXY", server.address)
    with fails_with(NetworkError, "answer-too-slow", host="vaes.example"):
        inspect_remote(
            HttpsSource("https://vaes.example/a.safetensors"), network=network(server), stop=threading.Event()
        )
    assert server.heard[0].startswith(b"CONNECT")
    end(server)


def test_a_guarded_connection_ends_too(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.transfer.ssrf_guard.is_public", lambda address: address == "127.0.0.1")
    server = serve(HEADERS)
    with fails_with(NetworkError, "answer-too-slow"):
        ADDRESS(server, network(server, public_only=True))
    end(server)


def test_a_stop_ends_the_connection_too(serve: Serve) -> None:
    server, stop = serve(HEADERS), threading.Event()
    source = HttpsSource(f"{server.address}/vae.safetensors")
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Cancelled):
        inspect_remote(source, network=network(server, answer_timeout=60), stop=stop)
    end(server)


def download(source: Source, folder: Path, network: Network) -> VaeManagerError:
    def report(_: Progress) -> None: ...

    request = DownloadRequest((source,), folder, "vae.safetensors", None)
    with pytest.raises(NetworkError) as failed:
        download_file(request, network=network, report=report, stop=threading.Event())
    return failed.value


@pytest.mark.parametrize("answer", [STATUS_LINE, HEADERS, REDIRECT])
@pytest.mark.parametrize("source", [HubSource("a/b", "vae.safetensors"), CivitaiSource(7)])
def test_a_download_resolves_within_its_deadline(serve: Serve, folder: Path, source: Source, answer: bytes) -> None:
    server = serve(answer)
    failure = download(source, folder, network(server))
    assert (failure.code, failure.message.fields["host"]) == ("answer-too-slow", "127.0.0.1")
    end(server)


@pytest.mark.parametrize("answer", [STATUS_LINE, HEADERS])
def test_a_download_leaves_no_thread_behind(serve: Serve, folder: Path, answer: bytes) -> None:
    """The answer with the bytes has no deadline but a least speed; its thread ends with the download."""
    server = serve(answer)
    failure = download(HttpsSource(f"{server.address}/vae.safetensors"), folder, network(server, read_timeout=SECONDS))
    assert failure.code == "too-slow"
    end(server)
