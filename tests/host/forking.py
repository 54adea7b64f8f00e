"""A fork server: it imports the WebUI's packages once, and each stand-in is a fork of it.

`python -m tests.host.forking PROGRAM PACKAGE …` answers requests of one client over the socket on its standard input.
A fork differs from a started process in the third-party packages that it finds imported, and in nothing else: it has
its own session, environment, arguments and log, it runs the program as `__main__`, and huggingface_hub, which reads
variables while it is imported, is imported anew. No fork outlives the server, and the server does not outlive its
client.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.bytecode import with_bytecode

ROOT = Path(__file__).resolve().parents[2]

AVAILABLE = sys.platform == "linux"
"""Elsewhere a process cannot be tied to its parent, and other systems' libraries do not all stand a fork."""

PROGRAM = "tests.host"

PACKAGES = [
    "gradio",
    "torch",
    "safetensors.torch",
    "huggingface_hub",
    "requests",
    "uvicorn",
    "starlette.middleware.gzip",
    "fastapi.responses",
    "yaml",
    "psutil",
    "PIL.Image",
    "PIL.PngImagePlugin",
]
"""What a stand-in imports anyway, none of it the project's own."""

READ_AT_IMPORT = "PYTHON"
"""Prefix of variables that the interpreter has read by the time of a fork."""

PARENT = "TESTS_HOST_PARENT"
"""Variable with the number of the process that a started one ends with."""

_PR_SET_PDEATHSIG = 1


class Forked:
    """A fork, with the methods of `subprocess.Popen` that the tests use."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                self.returncode = self._server.ask({"poll": self.pid})
            except ChildProcessError:  # it has ended with the server
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(PROGRAM, timeout or 0)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        """The server reaps a fork only when it is asked for its status: until then the number is of no other."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """The client's end. The server starts at the first fork, and imports the packages; forks run the program."""

    def __init__(self, program: str = PROGRAM, packages: Sequence[str] = PACKAGES) -> None:
        self._arguments = [program, *packages]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ours: Any = None
        self._environment: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """None before the first fork and after the end."""
        return None if self._process is None else self._process.pid

    def fork(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> Forked | None:
        """Start `python -m PROGRAM` with these arguments; None if a fork would differ from a started process."""
        if not AVAILABLE:
            return None
        self._start()
        if any(_of_interpreter(environment, name) != _of_interpreter(self._environment, name)
               for name in {*environment, *self._environment}):  # fmt: skip
            return None
        return Forked(self, self.ask({"arguments": arguments, "environment": dict(environment), "log": str(log)}))

    def _start(self) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            ours, its = socket.socketpair()
            self._environment = {**with_bytecode(os.environ), "PYTHONUNBUFFERED": "1"}
            with its:
                command: list[str] = [sys.executable, "-m", "tests.host.forking", *map(str, self._arguments)]
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self._environment,
                    stdin=its.fileno(),
                    start_new_session=True,
                )
            self._ours = ours.makefile("rwb")
            ours.close()
            atexit.register(self.close)

    def ask(self, request: dict[str, Any]) -> Any:
        """Raises ChildProcessError if the server has ended."""
        with self._lock:
            if self._process is None:
                raise ChildProcessError("the fork server is closed")
            try:
                self._ours.write(json.dumps(request).encode() + b"\n")
                self._ours.flush()
                line = self._ours.readline()
            except OSError as error:
                raise ChildProcessError("the fork server has ended") from error
        if not line:
            raise ChildProcessError("the fork server has ended")
        return json.loads(line)

    def close(self) -> None:
        """End the server, and with it each fork that still runs."""
        atexit.unregister(self.close)
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                with contextlib.suppress(OSError):
                    self._ours.close()
                process.wait(timeout=30)


def _of_interpreter(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name) if name.startswith(READ_AT_IMPORT) else None


def serve(program: str, packages: Sequence[str]) -> None:
    """Answer requests until the client closes its end, or has ended."""
    import gc

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # as tests.host.disguise sets it before these imports
    for name in packages:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    channel = socket.socket(fileno=os.dup(0))
    forks: set[int] = set()
    with channel.makefile("rwb") as requests:
        for line in requests:
            request = json.loads(line)
            if "poll" in request:
                answer = _status(request["poll"], forks)
            else:
                server = os.getpid()
                answer = os.fork()
                if answer == 0:
                    _become(program, request, server, channel)
                forks.add(answer)
            requests.write(json.dumps(answer).encode() + b"\n")
            requests.flush()
    for pid in forks:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _status(pid: int, forks: set[int]) -> int | None:
    """As `Popen.returncode`."""
    if pid not in forks:  # of a server before this one
        return -signal.SIGKILL
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended == 0:
        return None
    forks.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _become(program: str, request: dict[str, Any], server: int, channel: socket.socket) -> NoReturn:
    """In the fork: be what `python -m PROGRAM` would be."""
    import runpy
    import tempfile
    import traceback

    status = 1
    try:
        os.setsid()
        _end_with(server)
        os.close(channel.fileno())  # without a flush of what its file may hold
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for opened, place in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(opened, place)
        os.close(nothing)
        os.close(log)
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        _import_anew("huggingface_hub")
        _set_threads()
        sys.argv = [program, *request["arguments"]]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def end_with_parent() -> None:
    """Of a process that tests start: let it end when they are killed."""
    parent = os.environ.pop(PARENT, None)
    if parent is not None and AVAILABLE:
        _end_with(int(parent))


def _end_with(parent: int) -> None:
    """Let the kernel kill this process once its parent has ended, of which the number is given."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


def _import_anew(package: str) -> None:
    names = [name for name in sys.modules if name.split(".")[0] == package]
    for name in names:
        del sys.modules[name]
    for name in names:
        importlib.import_module(name)


def _set_threads() -> None:
    """OpenMP has read its variable."""
    torch, wanted = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS")
    if torch is not None and wanted:
        torch.set_num_threads(int(wanted))


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
