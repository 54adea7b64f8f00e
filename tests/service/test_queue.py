"""The queue of downloads, from a real server on loopback: order, pausing, cancelling, trying again, one for all."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.gadgets import SYSTEM
from tests.files.torch_files import Made, as_zip, call, text
from tests.hub import Fault, Hub, Link
from tests.service.test_get import until
from tests.transfer.ordering import some_bytes
from tests.wording import says
from vae_manager.catalogue import Entry, HubSource
from vae_manager.downloads import Download, DownloadOutcome
from vae_manager.downloads.addresses import NetworkFor
from vae_manager.errors import RefusedError, UsageError
from vae_manager.jobs import JobState, Move
from vae_manager.service import Service
from vae_manager.transfer import DownloadResult, Network, RetryPolicy

SOON = 20.0
Asked = Callable[[], Network]
ROOT = Path(__file__).parents[2]


def offered(hub: Hub, id: str, size: int = 500_000) -> Entry:
    data = some_bytes(size, id)
    hub.add("me/vaes", f"{id}.safetensors", data)
    return Entry(
        id=id,
        name=id.capitalize(),
        family="sd1",
        file_name=f"{id}.safetensors",
        sha256=hashlib.sha256(data).hexdigest(),
        purpose="",
        licence=None,
        sources=(HubSource("me/vaes", f"{id}.safetensors"),),
        size=size,
        offered=True,
    )


@pytest.fixture
def network(hub: Hub) -> Asked:
    return lambda: Network(endpoint=hub.endpoint, retry_policy=RetryPolicy(max_attempts=2, first_delay=0.01))


@pytest.fixture
def typed(hub: Hub) -> NetworkFor:
    return lambda sources: Network(endpoint=hub.endpoint, retry_policy=RetryPolicy(max_attempts=2, first_delay=0.01))


def one(service: Service, key: str) -> Download:
    return next(found for found in service.downloads.views() if found.job.key == key)


def states(service: Service) -> dict[str, JobState]:
    return {found.wanted.name: found.job.state for found in service.downloads.views()}


def ended(service: Service, key: str) -> JobState:
    view = service.downloads.wait(key, SOON)
    assert view is not None
    return view.state


def arriving(service: Service, key: str, least: int = 1) -> None:
    until(lambda: one(service, key).job.phase == "fetching" and one(service, key).job.done >= least)


# -- order ---------------------------------------------------------------------------------------------------------
def test_they_come_one_after_another_in_the_order_that_was_made(
    hub: Hub, service: Service, folder: Path, network: Asked
) -> None:
    came: list[str] = []
    hub.cdn.link = Link(rate_total=300_000)
    keys = {
        id: service.get(offered(hub, id), folder, network, lambda delivery: came.append(delivery.path.stem))
        for id in ("first", "second", "third", "fourth")
    }
    arriving(service, keys["first"])
    service.downloads.move(keys["fourth"], Move.FRONT)
    service.downloads.move(keys["third"], Move.UP)
    hub.cdn.link = Link()
    for key in keys.values():
        assert ended(service, key) is JobState.DONE
    assert came == ["first", "fourth", "third", "second"]


def test_a_paused_one_does_not_hold_up_the_others_and_goes_on_where_it_was(
    hub: Hub, service: Service, folder: Path, network: Asked
) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    first = service.get(offered(hub, "first", 2_000_000), folder, network)
    second = service.get(offered(hub, "second"), folder, network)
    arriving(service, first, 300_000)
    service.downloads.pause(first)
    hub.cdn.link = Link()
    assert ended(service, second) is JobState.DONE
    paused = one(service, first).job
    assert (paused.state, paused.speed, paused.seconds_left) == (JobState.PAUSED, None, None)
    assert paused.done >= 300_000
    before = hub.cdn.sent()
    service.downloads.resume(first)
    assert ended(service, first) is JobState.DONE
    assert hub.cdn.sent() - before < 1_900_000, "it did not start over"
    [past, _] = service.history.entries()
    assert (past.ending, past.proven, past.size) == (DownloadOutcome.DELIVERED, True, 2_000_000)
    assert past.seconds > 0.2
    assert past.fetched >= 1_900_000, "both runs are counted"


def test_kept_bytes_are_no_speed(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    key = service.get(offered(hub, "first", 4_000_000), folder, network)
    arriving(service, key, 1_000_000)
    service.downloads.pause(key)
    until(lambda: one(service, key).job.state is JobState.PAUSED)
    service.downloads.resume(key)
    until(lambda: one(service, key).job.state is JobState.RUNNING and one(service, key).job.speed is not None)
    speed = one(service, key).job.speed
    assert speed is not None
    assert speed < 1_300_000
    service.downloads.cancel(key)
    ended(service, key)


# -- cancelling ----------------------------------------------------------------------------------------------------
def test_a_cancelled_one_leaves_nothing_once_it_has_really_stopped(
    hub: Hub, service: Service, folder: Path, network: Asked
) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    key = service.get(offered(hub, "first", 2_000_000), folder, network)
    arriving(service, key, 200_000)
    service.downloads.cancel(key)
    assert ended(service, key) is JobState.STOPPED
    assert list(folder.iterdir()) == []
    [past] = service.history.entries()
    assert (past.ending, past.name) == (DownloadOutcome.CANCELLED, "First")
    assert service.downloads.left_over(folder) == ()


def test_a_paused_one_is_cancelled(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    key = service.get(offered(hub, "first", 2_000_000), folder, network)
    arriving(service, key, 200_000)
    service.downloads.pause(key)
    until(lambda: one(service, key).job.state is JobState.PAUSED)
    assert list(folder.iterdir()) != []
    service.downloads.cancel(key)
    assert list(folder.iterdir()) == []


def test_one_that_waits_is_cancelled_before_it_asks_anybody(
    hub: Hub, service: Service, folder: Path, network: Asked
) -> None:
    held, begun = threading.Event(), threading.Event()

    def then(delivery: DownloadResult) -> None:
        begun.set()
        assert held.wait(SOON)

    first = service.get(offered(hub, "first"), folder, network, then)
    second = service.get(offered(hub, "second"), folder, network)
    assert begun.wait(SOON)
    service.downloads.cancel(second)
    assert ended(service, second) is JobState.STOPPED
    held.set()
    assert ended(service, first) is JobState.DONE
    assert not any("second" in seen.path for seen in hub.requests)
    assert [past.name for past in service.history.entries()] == ["First"], "nothing came of the other"


def test_cancelled_and_asked_for_again_at_once(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    entry = offered(hub, "first", 2_000_000)
    key = service.get(entry, folder, network)
    arriving(service, key, 200_000)
    service.downloads.cancel(key)
    hub.cdn.link = Link()
    assert service.get(entry, folder, network) == key
    assert ended(service, key) is JobState.DONE
    assert sorted(path.name for path in folder.iterdir()) == ["first.safetensors"]


# -- the same twice ------------------------------------------------------------------------------------------------
def test_the_same_bytes_by_another_id_are_one_download_and_both_wishes_are_met(
    hub: Hub, service: Service, folder: Path, network: Asked
) -> None:
    hub.cdn.link = Link(rate_total=1_000_000)
    entry = offered(hub, "first")
    followed: list[str] = []
    key = service.get(entry, folder, network, lambda delivery: followed.append("one"))
    again = replace(entry, id="same", name="The same", file_name="first.safetensors")
    assert service.get(again, folder, network, lambda delivery: followed.append("other")) == key
    assert len(service.downloads.views()) == 1
    assert ended(service, key) is JobState.DONE
    assert followed == ["one", "other"]
    hub.settle()
    assert hub.cdn.sent() == entry.size
    assert service.get(entry, folder.parent / "elsewhere", network) != key, "another folder is another download"


def test_two_processes_share_one(hub: Hub, service: Service, folder: Path, network: Asked) -> None:
    """The command line beside the page: whoever comes second waits for the first and then has the file."""
    hub.cdn.link = Link(rate_total=1_500_000)
    entry = offered(hub, "first", 3_000_000)
    key = service.get(entry, folder, network)
    arriving(service, key)
    catalogue = folder.parent / "own.yaml"
    catalogue.write_text(
        f"- {{id: first, name: First, family: sd1, sha256: {entry.sha256}, source: '{entry.sources[0]}'}}"
    )
    command = [sys.executable, "-m", "vae_manager", "get", "first", "--dir", str(folder), "--catalogue", str(catalogue)]
    done = subprocess.run(
        [*command, "--endpoint", hub.endpoint], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "was there already" in done.stdout
    assert ended(service, key) is JobState.DONE
    hub.settle()
    assert hub.cdn.sent() < 1.1 * 3_000_000


# -- failing -------------------------------------------------------------------------------------------------------
def test_what_has_failed_is_tried_again_with_the_settings_of_that_moment(
    hub: Hub, service: Service, folder: Path
) -> None:
    endpoint = ["http://127.0.0.1:9"]
    network = lambda: Network(endpoint=endpoint[0], retry_policy=RetryPolicy(max_attempts=1, first_delay=0.01))  # noqa: E731
    came: list[DownloadResult] = []
    key = service.get(offered(hub, "first"), folder, network, came.append)
    assert ended(service, key) is JobState.FAILED
    endpoint[0] = hub.endpoint
    service.downloads.retry(key)
    until(lambda: states(service)["First"] is JobState.DONE)
    assert len(came) == 1
    [later, earlier] = service.history.entries()
    assert (later.ending, earlier.ending) == (DownloadOutcome.DELIVERED, DownloadOutcome.FAILED)
    assert earlier.problem is not None and says(str(earlier.problem), "unreachable")


# -- what a person types -------------------------------------------------------------------------------------------
def test_a_typed_address_is_fetched_inspected_and_told_as_not_proven(
    hub: Hub, service: Service, folder: Path, typed: NetworkFor
) -> None:
    address = hub.publish("/files/mine.safetensors", some_bytes(13_000))
    key = service.get_from(f"{address}?token=hidden", folder, typed, remote_users=False)
    assert ended(service, key) is JobState.DONE
    [past] = service.history.entries()
    assert (past.ending, past.proven, past.name) == (DownloadOutcome.DELIVERED, False, "mine.safetensors")
    assert past.problem is not None
    assert past.sources == (address,)
    assert service.recognise(folder / "mine.safetensors") is None


def test_a_typed_one_that_holds_code_gets_no_name(hub: Hub, service: Service, folder: Path, typed: NetworkFor) -> None:
    code = as_zip(Made(call(SYSTEM, text("true")), {}))
    key = service.get_from(hub.publish("/files/mine.safetensors", code), folder, typed, remote_users=False)
    assert ended(service, key) is JobState.FAILED
    assert list(folder.iterdir()) == []


def test_the_hubs_own_hash_proves_a_typed_one(hub: Hub, service: Service, folder: Path, typed: NetworkFor) -> None:
    entry = offered(hub, "first")
    key = service.get_from("hub:me/vaes/first.safetensors", folder, typed, remote_users=True)
    assert ended(service, key) is JobState.DONE
    [past] = service.history.entries()
    assert (past.proven, past.sha256) == (True, entry.sha256)


def test_a_cancelled_typed_one_leaves_nothing_either(
    hub: Hub, service: Service, folder: Path, typed: NetworkFor
) -> None:
    hub.cdn.link = Link(rate_total=500_000)
    address = hub.publish("/files/mine.safetensors", some_bytes(2_000_000))
    key = service.get_from(f"{address}?token=hidden", folder, typed, remote_users=False)
    arriving(service, key, 100_000)
    service.downloads.cancel(key)
    assert ended(service, key) is JobState.STOPPED
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "remote_users", "error"),
    [
        ("/etc/passwd.safetensors", True, RefusedError),
        ("~/mine.safetensors", True, RefusedError),
        ("hub:me/vaes/first.ckpt", False, RefusedError),
        ("https://example.org/page", False, RefusedError),
        ("http://example.org/a.safetensors", False, UsageError),
        ("", False, UsageError),
    ],
)
def test_what_is_not_fetched(
    service: Service,
    folder: Path,
    typed: NetworkFor,
    text: str,
    remote_users: bool,
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        service.get_from(text, folder, typed, remote_users=remote_users)
    assert service.downloads.views() == ()


def test_a_file_of_this_machine_is_copied_where_nobody_else_can_ask(
    service: Service, folder: Path, tmp_path: Path, typed: NetworkFor
) -> None:
    (tmp_path / "mine.safetensors").write_bytes(some_bytes(1000))
    key = service.get_from(str(tmp_path / "mine.safetensors"), folder, typed, remote_users=False)
    assert ended(service, key) is JobState.DONE
    assert (folder / "mine.safetensors").is_file()


# -- after a restart -----------------------------------------------------------------------------------------------
def test_a_broken_one_is_offered_again_and_can_be_discarded(
    hub: Hub, service: Service, folder: Path, data_folder: Path, network: Asked
) -> None:
    hub.cdn.fail_always(Fault.reset_after(200_000))
    key = service.get(offered(hub, "first"), folder, network)
    assert ended(service, key) is JobState.FAILED
    later = Service(data_folder)
    [left] = later.downloads.left_over(folder)
    assert left.done > 0
    later.downloads.discard(left)
    assert later.downloads.left_over(folder) == ()
    assert list(folder.iterdir()) == []


def test_what_waited_when_the_process_ended_is_offered_again_too(
    hub: Hub, service: Service, folder: Path, data_folder: Path, network: Asked
) -> None:
    hub.cdn.link = Link(rate_total=300_000)
    first, second = offered(hub, "first", 3_000_000), offered(hub, "second")
    running = service.get(first, folder, network)
    service.get(second, folder, network)
    address = "https://a.example/typed.safetensors?token=swordfish"
    service.get_from(address, folder, lambda order: network(), remote_users=False)
    arriving(service, running, 100_000)
    until(lambda: any(folder.glob("*.journal")) or any(folder.glob(".*.journal")))
    assert "swordfish" not in (data_folder / "queue.json").read_text()

    later = Service(data_folder)  # as after a kill -9
    assert later.downloads.views() == (), "nothing starts by itself"
    begun, waited = later.downloads.left_over(folder)
    assert (begun.request.file_name, begun.done > 0) == ("first.safetensors", True)
    assert (waited.request, waited.done, waited.total) == (service.downloads.views()[1].wanted.request, 0, second.size)
    hub.cdn.link = Link()
    key = later.go_on(waited, lambda order: network(), remote_users=False)
    assert ended(later, key) is JobState.DONE
    for found in service.downloads.views():
        service.downloads.cancel(found.job.key)
    assert ended(service, running).ended
    assert [left.request.file_name for left in Service(data_folder).downloads.left_over(folder)] == []


def test_once_all_is_done_nothing_is_noted(
    hub: Hub, service: Service, folder: Path, data_folder: Path, network: Asked
) -> None:
    keys = [service.get(offered(hub, id), folder, network) for id in ("first", "second")]
    for key in keys:
        assert ended(service, key) is JobState.DONE
    until(lambda: not (data_folder / "queue.json").exists())


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[5]", b'[{"folder": 5}]', b"\xff", b'[{"file_name": "../x"}]'])
def test_a_damaged_note_offers_nothing(service: Service, folder: Path, data_folder: Path, content: bytes) -> None:
    data_folder.mkdir(parents=True)
    (data_folder / "queue.json").write_bytes(content)
    assert service.downloads.left_over(folder) == ()
