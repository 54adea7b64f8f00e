"""Whole processes: killed in the middle, two at once, none that pays at its start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Hub, Link
from vae_manager.errors import NetworkError
from vae_manager.files import disk
from vae_manager.transfer import unfinished

from .ordering import COMMIT, MB, NAME, REPO, Desk, sha256, some_bytes

ROOT = Path(__file__).parents[2]
DATA = some_bytes(24 * MB)
CUT = 20 * MB


@pytest.fixture(autouse=True)
def _the_file(hub: Hub) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)


def start(hub: Hub, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.transfer.process", hub.endpoint, str(folder), sha256(DATA), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.02)


def kept(folder: Path) -> int:
    return sum(left.done for left in unfinished(folder))


def test_a_killed_process_goes_on_where_it_was(hub: Hub, desk: Desk) -> None:
    hub.cdn.link = Link(rate_total=40 * MB)
    process = start(hub, desk.folder)
    wait_for(lambda: kept(desk.folder) > CUT - MB)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.settle()
    assert not desk.target.exists()
    first, had = hub.cdn.sent(), kept(desk.folder)

    hub.cdn.link = Link()
    again = result(start(hub, desk.folder))
    assert desk.target.read_bytes() == DATA
    assert desk.sent() - first == again["fetched"] == len(DATA) - had
    assert hub.cdn.sent() - len(DATA) < 6 * MB, "what came after the last note, and what was under way"
    assert desk.names == [NAME]


def test_killed_at_any_moment_it_still_ends_right(hub: Hub, desk: Desk) -> None:
    hub.cdn.link = Link(rate_total=20 * MB)
    for delay in (0.15, 0.3, 0.45):
        process = start(hub, desk.folder)
        seen = len(hub.requests)
        wait_for(lambda seen=seen: len(hub.requests) > seen)  # type: ignore[misc]
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert not desk.target.exists()
    hub.cdn.link = Link()
    result(start(hub, desk.folder))
    assert desk.target.read_bytes() == DATA
    assert desk.names == [NAME]


def test_two_processes_fetch_it_once(hub: Hub, desk: Desk) -> None:
    hub.cdn.link = Link(rate_total=12 * MB)
    other = start(hub, desk.folder)
    wait_for(lambda: len(desk.gets()) >= 1)
    delivery = desk.get(desk.order(DATA))
    assert (delivery.fetched, delivery.already_there) == (0, True)
    assert [progress.phase for progress in desk.told].count("waiting") >= 1, "it says that it waits"
    found = result(other)
    assert not found["there"]
    assert found["fetched"] <= desk.sent() < len(DATA) + MB, "but for what was under way of a share taken over"
    assert desk.names == [NAME]


def test_where_locks_fail_the_file_is_right_all_the_same(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def fail(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    hub.cdn.link = Link(rate_per_connection=48 * MB)
    other = start(hub, desk.folder)
    wait_for(lambda: len(desk.gets()) >= 1)
    with suppress(NetworkError):  # the two may take the partial file from each other until one gives up
        desk.get(desk.order(DATA))
    result(other)
    desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize("name", ["recent.new", "journal.new", "part"])
def test_where_locks_fail_a_name_that_another_process_was_faster_with_is_no_failure(
    hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hub.cdn.link = Link(rate_total=40 * MB)
    taken: list[Path] = []

    def outrun(real: Callable[[Path, Path], Any]) -> Callable[[Path, Path], Any]:
        def one_is_faster(path: Path, target: Path) -> Any:
            if path.name.endswith(name) and not taken:
                taken.append(path)
                path.unlink()
            return real(path, target)

        return one_is_faster

    for method in ("replace", "rename"):
        monkeypatch.setattr(Path, method, outrun(getattr(Path, method)))
    monkeypatch.setattr(disk, "_rename_exclusively", outrun(disk._rename_exclusively))
    desk.get(desk.order(DATA))
    assert taken, "it has happened"
    assert desk.target.read_bytes() == DATA
    assert desk.names == [NAME]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_a_write_that_the_system_refuses_keeps_what_has_arrived(hub: Hub, desk: Desk) -> None:
    found = result(start(hub, desk.folder, str(18 * MB)))
    assert found["error"] == "DiskError"
    assert "is full" in found["text"]
    assert not desk.target.exists()
    had = kept(desk.folder)
    assert 8 * MB < had <= 18 * MB, "what lies beyond the limit was never written"
    again = desk.get(desk.order(DATA)).fetched - (len(DATA) - had)
    assert 0 <= again < MB, "connections that help each other bring a little twice"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(desk.folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no mounts here")
    try:
        found = result(start(hub, desk.folder))
        assert found["error"] == "DiskError"
        assert "MB are needed" in found["text"], "known before the first byte"
        assert hub.cdn.sent() == 0
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1 << 60}))
        with pytest.raises(Exception, match="is full") as caught:
            desk.get(desk.order(DATA))
        assert type(caught.value).__name__ == "DiskError"
        assert not desk.target.exists()
    finally:
        subprocess.run(["umount", "-l", str(desk.folder)], check=True)


def test_the_import_does_no_work_and_loads_nothing_slow() -> None:
    code = (
        "import sys, vae_manager.transfer; "
        "slow = {'requests', 'huggingface_hub', 'filelock', 'urllib3', 'asyncio', 'torch'} & set(sys.modules); "
        "sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
