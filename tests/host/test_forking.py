"""A stand-in that is forked is what a started one is, and none outlives the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.bytecode import with_bytecode
from tests.host.fixtures import ROOT, NotStarted, start_webui
from tests.host.forking import AVAILABLE, Forked, ForkServer
from tests.host.inside import inside, install_inside

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="stand-ins are started here")

FLAGS = ("--api", "--step-seconds", "0.001")
MADE = {"HF_ENDPOINT": "http://127.0.0.1:9/hub", "OMP_NUM_THREADS": "1", "TMPDIR": ""}

SEEN = """
    import huggingface_hub, inside_package, os, signal, sys, tempfile, threading, torch
    answer = {
        "endpoint": huggingface_hub.constants.ENDPOINT,
        "threads": torch.get_num_threads(),
        "temporary": tempfile.gettempdir(),
        "environment": {name: value for name, value in os.environ.items()},
        "path": sys.path,
        "argv": sys.argv,
        "main": [sys.modules["__main__"].__name__, sys.modules["__main__"].__file__],
        "folder": os.getcwd(),
        "routes": sorted(str(getattr(route, "path", "")) for route in inside_package.app.routes),
        "handlers": [str(signal.getsignal(number)).split(" at ")[0] for number in (signal.SIGINT, signal.SIGTERM)],
        "running": sorted(thread.name.split("-")[0] for thread in threading.enumerate()),
        "ours": sorted(name for name in sys.modules if name.split(".")[0] in ("vae_manager", "modules")),
        "session": os.getsid(0) == os.getpid(),
    }
"""

LIGHT = ("http.server", ())
"""A program that needs no package, for what holds of every fork."""

CLIENT = """
import os, sys
from pathlib import Path
from tests.host.forking import ForkServer
server = ForkServer("http.server", ())
forks = [server.fork(["0", "--bind", "127.0.0.1"], os.environ, Path(log)) for log in sys.argv[1:]]
print(server.pid, *(fork.pid for fork in forks), flush=True)
sys.stdin.read()
"""

STARTING_CLIENT = """
import sys
from pathlib import Path
from tests.host.fixtures import start_webui
print(start_webui(Path(sys.argv[1]), "--nowebui", "--no-extension").process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[ForkServer]:
    """One of the test's own."""
    made = ForkServer(*LIGHT)
    yield made
    made.close()


def forked_by(server: ForkServer, log: Path) -> Forked:
    """One that serves."""
    fork = server.fork(["0", "--bind", "127.0.0.1"], {**with_bytecode(os.environ), "PYTHONUNBUFFERED": "1"}, log)
    assert fork is not None
    wait_until_said(log)
    return fork


def wait_until_said(log: Path) -> None:
    while not (log.exists() and "Serving HTTP" in log.read_text(encoding="utf-8")):
        time.sleep(0.02)


def test_what_is_forked_is_what_is_started(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    for forked in (False, True):
        data = tmp_path / "data"  # the same folder, so that paths are the same
        if not data.exists():
            install_inside(data)
        environment = {**MADE, "TMPDIR": str(tmp_path)}
        with start_webui(data, *FLAGS, env=environment, port=taken_port(seen), forked=forked) as webui:
            assert isinstance(webui.process, Forked) is forked
            seen.append(inside(webui, SEEN))
    started, forked_one = seen
    assert forked_one["endpoint"] == MADE["HF_ENDPOINT"]
    assert forked_one["threads"] == 1
    assert forked_one.pop("session") and not started.pop("session")
    assert forked_one == started


def taken_port(seen: list[dict[str, Any]]) -> int | None:
    """That of the one before."""
    return int(seen[0]["argv"][seen[0]["argv"].index("--port") + 1]) if seen else None


def test_a_fork_ends_as_a_process_does(tmp_path: Path) -> None:
    stopped = start_webui(tmp_path / "stopped", "--nowebui", "--no-extension")
    stopped.stop()
    assert stopped.process.returncode == 0
    killed = start_webui(tmp_path / "killed", "--nowebui", "--no-extension")
    killed.kill()
    assert killed.process.returncode == -signal.SIGKILL
    killed.start()  # again, in the same folder
    killed.stop()
    with pytest.raises(NotStarted, match="--nonsense"):
        start_webui(tmp_path / "refused", "--nonsense")


def test_a_variable_of_the_interpreter_needs_a_start(server: ForkServer, tmp_path: Path) -> None:
    assert server.fork(["--help"], {**os.environ, "PYTHONUTF8": "1"}, tmp_path / "log") is None


def test_forks_end_with_their_server(server: ForkServer, tmp_path: Path) -> None:
    fork = forked_by(server, tmp_path / "log")
    server.close()
    wait_until_gone(fork.pid)
    assert fork.wait(timeout=1) == -signal.SIGKILL


def test_forks_end_with_a_killed_server(server: ForkServer, tmp_path: Path) -> None:
    fork = forked_by(server, tmp_path / "log")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until_gone(fork.pid)
    forked_by(server, tmp_path / "another")  # of a new server
    assert fork.poll() == -signal.SIGKILL


def test_nothing_outlives_a_killed_client(tmp_path: Path) -> None:
    logs = [tmp_path / name for name in ("one", "two")]
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, *map(str, logs)],
        cwd=ROOT,
        env={**with_bytecode(os.environ), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with client:
        assert client.stdout is not None
        pids = [int(pid) for pid in client.stdout.readline().split()]
        assert len(pids) == 3
        for log in logs:
            wait_until_said(log)
        client.kill()
    wait_until_gone(*pids)


def test_a_started_one_ends_with_its_killed_client(tmp_path: Path) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", STARTING_CLIENT, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.kill()
    wait_until_gone(pid)


def wait_until_gone(*pids: int) -> None:
    left = set(pids)
    while left:
        left = {pid for pid in left if runs(pid)}
        time.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
