"""A download in the background, from a real server on loopback."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hub import Fault, Hub
from vae_manager.catalogue import Entry, HubSource
from vae_manager.jobs import JobState, JobView
from vae_manager.service import Service
from vae_manager.transfer import DownloadResult, Network, RetryPolicy

SOON = 20.0
Asked = Callable[[], Network]
DATA = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
ENTRY = Entry(
    id="mine",
    name="My VAE",
    family="sd1",
    file_name="mine.safetensors",
    sha256=SHA256,
    purpose="",
    licence=None,
    sources=(HubSource("me/vaes", "some/where/mine.safetensors"),),
    size=len(DATA),
    offered=True,
)


@pytest.fixture(autouse=True)
def _published(hub: Hub) -> None:
    hub.add("me/vaes", "some/where/mine.safetensors", DATA)


@pytest.fixture
def network(hub: Hub) -> Asked:
    return lambda: Network(endpoint=hub.endpoint, retry_policy=RetryPolicy(max_attempts=2, first_delay=0.01))


@pytest.fixture
def in_catalogue(service: Service) -> Service:
    """The service, with the entry in the user's catalogue."""
    service.catalogue_file.parent.mkdir(parents=True)
    service.catalogue_file.write_text(
        f"- {{id: mine, name: My VAE, family: sd1, sha256: {SHA256}, source: '{ENTRY.sources[0]}'}}"
    )
    return service


def job(service: Service) -> JobView | None:
    """The one download, as it stands."""
    return next((one.job for one in service.downloads.views()), None)


def ended(service: Service) -> JobView:
    view = job(service)
    assert view is not None
    view = service.downloads.wait(view.key, SOON)
    assert view is not None
    assert view.state.ended
    return view


def until(condition: Callable[[], bool]) -> None:
    """Progress has no event that a test could wait for."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def file_gets(hub: Hub) -> int:
    hub.settle()
    return sum(seen.method == "GET" for seen in hub.cdn.requests)


def test_the_file_is_there_its_hash_is_remembered_and_it_is_recognised(
    hub: Hub, in_catalogue: Service, folder: Path, data_folder: Path, network: Asked
) -> None:
    in_catalogue.get(in_catalogue.catalogue.entry("mine"), folder, network)
    view = ended(in_catalogue)
    assert (view.title, view.state, view.error) == ("My VAE", JobState.DONE, None)
    assert (view.done, view.total) == (len(DATA), len(DATA))
    target = folder / "mine.safetensors"
    assert target.read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == ["mine.safetensors"]
    for service in (in_catalogue, Service(data_folder)):
        assert service.stores.hashes.known(target) == SHA256
        found = service.recognise(target)
        assert found is not None
        assert found.id == "mine"
    assert job(in_catalogue) == view


def test_then_runs_in_the_same_job_once_all_is_done(service: Service, folder: Path, network: Asked) -> None:
    seen: list[tuple[DownloadResult, str | None, bool]] = []
    states: list[JobState] = []

    def then(delivery: DownloadResult) -> None:
        seen.append((delivery, service.stores.hashes.known(delivery.path), delivery.path.read_bytes() == DATA))
        view = job(service)
        assert view is not None
        states.append(view.state)

    service.get(ENTRY, folder, network, then)
    assert ended(service).state is JobState.DONE
    [(delivery, known, is_whole)] = seen
    assert (delivery.path, delivery.sha256, delivery.proven) == (folder / "mine.safetensors", SHA256, True)
    assert (known, is_whole, states) == (SHA256, True, [JobState.RUNNING])


def test_it_runs_too_when_the_file_is_there_already(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.safetensors").write_bytes(DATA)
    ran = threading.Event()
    service.get(ENTRY, folder, network, lambda delivery: ran.set())
    assert ended(service).state is JobState.DONE
    assert ran.is_set()
    assert hub.requests == []


def test_asked_for_twice_it_is_one_download(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    held, ran = threading.Event(), []

    def then(delivery: DownloadResult) -> None:
        ran.append(delivery)
        assert held.wait(SOON)

    for _ in range(3):
        service.get(ENTRY, folder, network, then)
    assert len(service.downloads.views()) == 1
    held.set()
    assert ended(service).state is JobState.DONE
    assert (file_gets(hub), len(ran)) == (1, 1)


def test_paused_in_the_middle_it_keeps_what_it_has_and_a_later_process_goes_on(
    hub: Hub, service: Service, folder: Path, data_folder: Path, network: Asked
) -> None:
    hub.cdn.fail_next(Fault.stall_at(2_000_000))
    ran: list[DownloadResult] = []
    key = service.get(ENTRY, folder, network, ran.append)
    until(lambda: (view := job(service)) is not None and view.done > 1_900_000)
    running = job(service)
    assert running is not None
    assert (running.state, running.phase, running.total) == (JobState.RUNNING, "fetching", len(DATA))
    service.downloads.pause(key)
    until(lambda: (view := job(service)) is not None and view.state is JobState.PAUSED)
    assert ran == []
    assert not (folder / "mine.safetensors").exists()
    assert service.downloads.left_over(folder) == (), "it is in the queue"

    later = Service(data_folder)  # as after a restart
    [left] = later.downloads.left_over(folder)
    assert (left.request.file_name, left.request.sha256, left.total) == ("mine.safetensors", SHA256, len(DATA))
    assert left.key == key
    assert 0 < left.done <= 2_000_000
    later.go_on(left, lambda order: network(), ran.append, remote_users=True)
    assert ended(later).state is JobState.DONE
    assert hub.cdn.requests[-1].sent == len(DATA) - left.done
    assert ran[0].fetched == len(DATA) - left.done
    assert (folder / "mine.safetensors").read_bytes() == DATA
    assert later.downloads.left_over(folder) == ()


def test_wrong_bytes_fail_with_a_sentence_and_nothing_follows(service: Service, folder: Path, network: Asked) -> None:
    ran: list[DownloadResult] = []
    service.get(replace(ENTRY, sha256="0" * 64, size=None), folder, network, ran.append)
    view = ended(service)
    assert view.state is JobState.FAILED
    assert "0" * 64 in str(view.error)
    assert SHA256 in str(view.error)
    assert ran == []
    assert not (folder / "mine.safetensors").exists()


def test_what_fails_afterwards_leaves_the_file(service: Service, folder: Path, network: Asked) -> None:
    def then(delivery: DownloadResult) -> None:
        raise RuntimeError("the model is not there")

    service.get(ENTRY, folder, network, then)
    view = ended(service)
    assert view.state is JobState.FAILED
    assert "the model is not there" in str(view.error)
    assert (folder / "mine.safetensors").read_bytes() == DATA
    assert service.stores.hashes.known(folder / "mine.safetensors") == SHA256


def void(_: object) -> None: ...
