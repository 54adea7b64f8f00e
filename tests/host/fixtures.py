"""Starts the stand-in WebUI as a process of its own, for tests and for the demo."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bytecode import with_bytecode
from tests.host.forking import PARENT, PROGRAM, Forked, ForkServer

ROOT = Path(__file__).resolve().parents[2]
READY = "Running on local URL: http"
"""With one space: gradio itself says it with two, before the routes are there."""

START_SECONDS = 120.0

fork_server: ForkServer | None = None
"""Server that forks the stand-ins, set by tests/conftest.py. With None, each starts as a process of its own."""


class NotStarted(Exception):
    """The process ended, or said nothing for too long; the message ends with what it wrote."""


@dataclass
class WebUI:
    """A stand-in that serves. It is stopped at the end of a `with`."""

    data: Path
    """Its data folder, with models, outputs and config.json."""

    port: int
    arguments: list[str]
    """Those of `python -m tests.host`."""

    environment: dict[str, str]
    forked: bool = True
    """False for one that is started, though there is a fork server."""

    python: str = sys.executable
    """That of the environment with its gradio; another one than this process's is never forked."""

    process: subprocess.Popen[bytes] | Forked = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it wrote to stdout and stderr, of all its lives."""
        return self.data / "webui.log"

    def start(self) -> None:
        """Gives back when it says that it serves."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        seen = self.log.stat().st_size
        self.process = self._forked() or self._started()
        self.wait_until_ready(seen)

    def _forked(self) -> Forked | None:
        if fork_server is None or not self.forked or self.python != sys.executable:
            return None
        return fork_server.fork(self.arguments, self.environment, self.log)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [self.python, "-m", PROGRAM, *self.arguments]
        environment = {**self.environment, PARENT: str(os.getpid())}
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def wait_until_ready(self, seen: int) -> None:
        """Waits for the line that says so, beyond the first `seen` bytes of the log: also after Reload UI."""
        self.wait_for_line(READY, seen)

    def wait_for_line(self, text: str, seen: int) -> None:
        """Waits until the log has the text beyond its first `seen` bytes."""
        end = time.monotonic() + START_SECONDS
        while text.encode() not in self._said(seen):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise NotStarted(self._said(seen).decode("utf-8", "replace")[-4000:])
            time.sleep(0.05)

    def _said(self, seen: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(seen)
            return log.read()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut does."""
        self._end(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)

    def restart(self) -> None:
        """The same flags, port and data in a new process."""
        self.stop()
        self.start()

    def call(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """Status and JSON of a route: POST with a body, else GET."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=240) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def __enter__(self) -> WebUI:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_webui(
    data: Path,
    *flags: str,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    forked: bool = True,
    python: str = sys.executable,
) -> WebUI:
    """`flags` are those of `python -m tests.host` and the WebUI's; `env` comes on top of this process's variables."""
    number = port or free_port()
    arguments = ["--data", str(data), "--port", str(number), *flags]
    environment = {**with_bytecode(os.environ), "PYTHONUNBUFFERED": "1", **(env or {})}
    environment.pop("COMMANDLINE_ARGS", None)
    webui = WebUI(data, number, arguments, environment, forked, python)
    webui.start()
    return webui


def free_port() -> int:
    """Return a port that nothing listens at, below those that systems give to outgoing connections: one of these could
    take it before the WebUI does."""
    while True:
        number = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
        return number
