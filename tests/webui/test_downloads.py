"""What the page says of downloads, and what its forms may ask for."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.failing import fails_with
from tests.hub import Hub, Link
from tests.transfer.ordering import some_bytes
from tests.webui.host import PlainHost, unfit
from tests.webui.test_page import BYTES, ENTRY, actions, do, row, text, wait_for, write_catalogue
from tests.wording import templates, worded
from vae_manager import transfer
from vae_manager.downloads import DownloadOutcome, PastDownload
from vae_manager.errors import NotFoundError, RefusedError, UsageError
from vae_manager.jobs import JobState, JobView, PendingCommand
from vae_manager.messages import Message, msg
from vae_manager.service import Service
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.translation import Translator
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.rendering import amount, progress_text, time_left

RUNNING = JobView("key", 1, "ft-MSE", JobState.RUNNING, "fetching", 182_000_000, 335_000_000, 48_000_000, 3.19)
KEY = "0123456789abcdef0123456789abcdef"
PAST = PastDownload(
    ended_at=time.time(),
    name="ft-MSE 840k",
    file_name="vae.safetensors",
    folder="/models/VAE",
    sources=("hub:me/vaes/vae.safetensors",),
    ending=DownloadOutcome.DELIVERED,
    size=334_641_190,
    sha256="ab" * 32,
    proven=True,
    seconds=7.5,
    fetched=300_000_000,
)


# -- what a download says ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("job", "said"),
    [
        (RUNNING, "182 MB of 335 MB · 48.0 MB/s · 3.2 s left"),
        (replace(RUNNING, speed=None, seconds_left=None), "182 MB of 335 MB"),
        (replace(RUNNING, total=None, seconds_left=None), "182 MB · 48.0 MB/s"),
        (replace(RUNNING, speed=0.0, seconds_left=None), "182 MB of 335 MB · 0 kB/s"),
        (replace(RUNNING, phase="resolving"), worded("looking-for-file")),
        (replace(RUNNING, phase="proving"), worded("checking-bytes")),
        (replace(RUNNING, phase=""), worded("looking-for-file")),
        (replace(RUNNING, phase="waiting", done=120_000_000),
         worded("fetched-by-other-of", done="120 MB", total="335 MB")),
        (replace(RUNNING, phase="waiting", done=0, total=None), worded("fetched-by-other", done="0 kB")),
        (replace(RUNNING, command=PendingCommand.PAUSE), "Pausing …"),
        (replace(RUNNING, command=PendingCommand.STOP), "Cancelling …"),
        (replace(RUNNING, command=PendingCommand.RESUME), "182 MB of 335 MB · 48.0 MB/s · 3.2 s left"),
        (replace(RUNNING, state=JobState.PAUSED), "Paused · 182 MB of 335 MB"),
        (replace(RUNNING, state=JobState.PAUSED, done=0), "Paused"),
        (replace(RUNNING, state=JobState.WAITING, position=1), worded("waiting-for-turn")),
        (replace(RUNNING, state=JobState.WAITING, position=3), worded("waiting-in-queue", place=3)),
    ],
)  # fmt: skip
def test_each_state_has_its_sentence(job: JobView, said: str) -> None:
    assert progress_text(job, Translator({})) == said


@given(some.integers(min_value=100_000, max_value=10**12))
def test_amounts_are_read_as_what_they_are(count: int) -> None:
    number, unit = amount(count).split()
    assert float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit] == pytest.approx(count, rel=0.006)


@given(some.floats(min_value=2, max_value=200_000))
def test_time_left_is_read_as_what_it_is(seconds: float) -> None:
    shown = str(time_left(seconds))
    units = {"h": 3600, "min": 60, "s": 1}
    read = sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)", shown))
    assert read == pytest.approx(seconds, rel=0.0255)


# -- the queue -----------------------------------------------------------------------------------------------------
def test_what_another_program_or_an_earlier_one_left_can_be_discarded(
    page: Page, host: PlainHost, hub: Hub, service: Service
) -> None:
    hub.add("owner/repo", "mine.safetensors", BYTES)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)
    hub.cdn.link = Link(rate_total=1_000_000)
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: service.downloads.views()[0].job.done > 300_000)
    key = service.downloads.views()[0].job.key
    do(page, do="pause", job=key)
    wait_for(lambda: service.downloads.views()[0].job.state is JobState.PAUSED)

    later = Page(host, Service(host.data_folder))
    html = later.state({})["regions"]["offers"]
    assert [action["use"] for action in actions(html, "get") if action["entry"] == "mine"] == [True, False]
    assert [action["job"] for action in actions(html, "discard")] == [key]
    assert "Mine 4.0 MB Continue Discard" in text(later, "downloads")
    do(later, do="discard", job=key)
    html = later.state({})["regions"]["offers"]
    assert [action["use"] for action in actions(html, "get") if action["entry"] == "mine"] == [True, False]
    assert actions(html, "discard") == []
    assert list(host.vaes.iterdir()) == []
    with pytest.raises(NotFoundError):
        do(later, do="continue", job=key)


def test_the_figures_can_be_asked_for_alone(page: Page, host: PlainHost, hub: Hub) -> None:
    hub.add("owner/repo", "mine.safetensors", BYTES)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)
    hub.cdn.link = Link(rate_total=2_000_000)
    still = page.state({})["stamp"]
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: page.pace()["jobs"])
    assert page.pace()["stamp"] != still
    [(key, figures)] = page.pace()["jobs"].items()
    wait_for(lambda: "MB/s" in page.pace()["jobs"][key]["text"])
    assert figures.keys() == {"text", "percent"}
    do(page, do="cancel", job=key)
    wait_for(lambda: page.pace()["jobs"] == {})


# -- how the network is used ---------------------------------------------------------------------------------------
@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[transfer.Network]:
    """What each delivery was told."""
    told: list[transfer.Network] = []

    def download_file(order: transfer.DownloadRequest, *, network: transfer.Network, **_: object) -> None:
        told.append(network)
        raise NotFoundError(msg("Nothing is there."))

    monkeypatch.setattr(transfer, "download_file", download_file)
    return told


def test_the_settings_and_the_keys_reach_the_network(page: Page, host: PlainHost, used: list[transfer.Network]) -> None:
    write_catalogue(host, ENTRY)
    host.most_connections, host.bytes_per_second, host.endpoint_address = 4, 2e6, "https://mirror.example"
    do(page, do="save-key", key=KEY)
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: used)
    assert (used[0].connections, used[0].bandwidth, used[0].endpoint) == (4, 2e6, "https://mirror.example")
    assert (used[0].keys, used[0].public_only) == ({"civitai.com": KEY}, False)
    host.most_connections = 8
    wait_for(lambda: "Try again" in row(page))
    [one] = page.service.downloads.views()
    do(page, do="retry", job=one.job.key)
    wait_for(lambda: len(used) == 2)
    assert used[1].connections == 8, "a changed setting counts for the next try"


@pytest.mark.parametrize(
    ("address", "shared", "public_only"),
    [
        ("https://a.example/b.safetensors", False, False),
        ("https://a.example/b.safetensors", True, True),
        ("hub:me/vaes/b.safetensors", True, False),
        ("civitai:17/b.safetensors", True, True),
        ("s3://bucket/b.safetensors", True, True),
    ],
)
def test_what_strangers_type_stays_on_public_addresses(
    page: Page, host: PlainHost, used: list[transfer.Network], address: str, shared: bool, public_only: bool
) -> None:
    host.shared_with_others = shared
    do(page, do="get-from", address=address, name="", anyway=False)
    wait_for(lambda: used)
    assert used[0].public_only is public_only


def test_strangers_read_no_files_of_this_machine(page: Page, host: PlainHost, tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    file.write_bytes(some_bytes(1000))
    host.shared_with_others = True
    with fails_with(RefusedError, "local-path-refused"):
        do(page, do="get-from", address=str(file), name="", anyway=False)
    host.shared_with_others = False
    do(page, do="get-from", address=str(file), name="", anyway=False)
    wait_for(lambda: "own.safetensors" in text(page, "downloads") and (host.vaes / "own.safetensors").exists())


def test_where_sources_may_not_be_changed_there_are_no_forms_and_no_ways_around(page: Page, host: PlainHost) -> None:
    host.refused[Permission.CHANGE_SOURCES] = msg("Not with --freeze-settings.")
    assert "--freeze-settings" in text(page, "forms")
    assert "<form" not in page.state({})["regions"]["forms"]
    typed = {"do": "get-from", "address": "hub:a/b/c.safetensors", "name": "", "anyway": False}
    for action in (typed, {"do": "save-key", "key": KEY}, {"do": "remove-key"}):
        with pytest.raises(RefusedError, match="freeze"):
            do(page, **action)


def test_a_key_is_never_told(page: Page, host: PlainHost) -> None:
    with pytest.raises(UsageError):
        do(page, do="save-key", key="two words")
    do(page, do="save-key", key=KEY)
    assert KEY not in json.dumps(page.state({}))
    assert actions(page.state({})["regions"]["forms"], "remove-key") == [{"do": "remove-key"}]
    do(page, do="remove-key")
    assert 'type="password"' in page.state({})["regions"]["forms"]


# -- the history ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("past", "said"),
    [
        (PAST, r"ft-MSE 840k 335 MB · ⌀ 40\.0 MB/s ✓ verified File vae.safetensors From hub:me/vaes/vae.safetensors "
               r"SHA-256 (ab){32} Time 7\.5 s$"),
        (replace(PAST, proven=False), "! unverified"),
        (replace(PAST, proven=False, problem=unfit("a")),
         f"! {worded('not-usable')} ! {unfit('a')}"),
        (replace(PAST, ending=DownloadOutcome.ALREADY_THERE, fetched=0), f"335 MB ✓ {worded('already-here')}"),
        (replace(PAST, ending=DownloadOutcome.FAILED, proven=False, problem=msg("Nothing is there.")),
         "✗ failed ✗ Nothing is there"),
        (replace(PAST, ending=DownloadOutcome.CANCELLED, proven=False), "ft-MSE 840k – cancelled"),
    ],
)  # fmt: skip
def test_each_ending_is_told(page: Page, service: Service, past: PastDownload, said: str) -> None:
    assert 'class="vm-past"' not in page.state({})["regions"]["downloads"]
    service.history.add(past)
    assert re.search(said, text(page, "downloads")), text(page, "downloads")


def test_the_history_is_told_in_the_language_of_the_page(page: Page, host: PlainHost, service: Service) -> None:
    [template] = [one for one in templates("unreachable") if "{host}" in one]
    problem = Message(template, {"host": "hub.example"})
    service.history.add(replace(PAST, ending=DownloadOutcome.FAILED, problem=problem))
    host.spoken = "zh_CN"
    assert "✗ 失败 ✗ 无法连接 hub.example" in text(page, "downloads")


def test_names_of_the_history_are_not_html(page: Page, service: Service, host: PlainHost) -> None:
    evil = "<img src=x onerror=alert(1)>"
    service.history.add(replace(PAST, name=evil, file_name=evil, sources=(evil,), sha256=evil))
    assert "<img" not in page.state({})["regions"]["downloads"]
