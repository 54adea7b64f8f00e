"""A queue of thousands: its cost is counted in steps and bytes, which do not depend on how busy the machine is."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from vae_manager.catalogue import HubSource
from vae_manager.downloads import DownloadItem
from vae_manager.files.state_file import StateFile
from vae_manager.jobs import JobContext, JobQueue
from vae_manager.service import Service
from vae_manager.transfer import DownloadRequest, Network

FEW, MANY = 250, 1000


def steps(work: Callable[[], object]) -> int:
    """Count the executed lines of this project's code."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if "vae_manager" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def is_linear(few: float, many: float) -> bool:
    """Half more than the numbers' ratio, for what begins once: a square would be four times that ratio."""
    return many / few < 1.5 * MANY / FEW


@pytest.fixture
def held() -> threading.Event:
    """Lets the first job end."""
    return threading.Event()


def test_asking_a_queue_is_linear(held: threading.Event) -> None:
    def wait(handle: JobContext) -> None:
        held.wait(60)

    def ask(count: int) -> Callable[[], None]:
        queue = JobQueue("test")

        def work() -> None:
            for number in range(count):
                queue.start(f"{number}", f"{number}", wait)
            assert len(queue.views()) == count
            for number in range(count - 1, 0, -1):
                queue.pause(f"{number}")
                queue.resume(f"{number}")
                queue.stop(f"{number}")

        return work

    few, many = steps(ask(FEW)), steps(ask(MANY))
    held.set()
    assert is_linear(few, many), (few, many)


def test_queueing_downloads_is_linear(tmp_path: Path, held: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    append, write_bytes = StateFile.append, StateFile.write_bytes

    def count_line(self: StateFile, line: bytes) -> None:
        nonlocal written
        written += len(line)
        append(self, line)

    def count_all(self: StateFile, data: bytes | None) -> None:
        nonlocal written
        written += len(data or b"")
        write_bytes(self, data)

    monkeypatch.setattr(StateFile, "append", count_line)
    monkeypatch.setattr(StateFile, "write_bytes", count_all)

    def network() -> Network:
        held.wait(60)
        raise OSError("no network here")

    def queue(count: int) -> tuple[int, int]:
        nonlocal written
        service = Service(tmp_path / f"data-{count}")
        folder = tmp_path / f"vaes-{count}"

        def add() -> None:
            for number in range(count):
                digest = hashlib.sha256(f"{number}".encode()).hexdigest()
                order = DownloadRequest(
                    (HubSource("a/b", f"{number}.safetensors"),), folder, f"{number}.safetensors", digest
                )
                service.downloads.get(DownloadItem(order, f"{number}"), network)
            assert len(service.downloads.views()) == count

        def cancel() -> None:
            for one in reversed(service.downloads.views()[1:]):
                service.downloads.cancel(one.job.key)

        written = 0
        return steps(add) + steps(cancel), written

    few, many = queue(FEW), queue(MANY)
    held.set()
    assert is_linear(few[0], many[0]), (few, many)
    assert is_linear(few[1], many[1]), (few, many)
