"""What can be wrong with the hub, the network and the disk: each is a sentence, and nothing is lost."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.hub import Fault, Hub, Link
from vae_manager.catalogue.entry import HttpsSource, HubSource
from vae_manager.errors import DiskError, IntegrityError, NetworkError, NotFoundError, RefusedError
from vae_manager.transfer import Network, Progress, RetryPolicy, unfinished
from vae_manager.transfer.range_requests import FIRST_CONNECTIONS

from .ordering import CHUNK, COMMIT, MB, NAME, PINNED, QUICK, REPO, Desk, hosts_of, some_bytes

DATA = some_bytes(2 * MB)
TOKEN = "hf_reader"


@pytest.fixture(autouse=True)
def _the_file(hub: Hub) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)


# -- the hub says no -----------------------------------------------------------------------------------------------
def test_gated(hub: Hub, desk: Desk) -> None:
    hub.gate(REPO, TOKEN)
    with pytest.raises(RefusedError) as caught:
        desk.get(desk.order(DATA))
    assert f"https://huggingface.co/{REPO}" in str(caught.value)
    assert "huggingface-cli login" in str(caught.value)
    assert desk.names == []


def test_gated_for_this_token(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "hf_other")
    hub.gate(REPO, TOKEN)
    hub.gate("some/thing", "hf_other")
    with fails_with(RefusedError, "licence-at-hub"):
        desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub)))


@pytest.mark.parametrize("signed_in", [False, True])
def test_no_such_repository(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch, signed_in: bool) -> None:
    hub.gate("some/thing", TOKEN)
    if signed_in:
        sign_in(monkeypatch, TOKEN)
    with pytest.raises(NotFoundError, match="no repository nobody/nothing, or it is private"):
        desk.get(
            desk.order(DATA, HubSource("nobody/nothing", NAME)),
            desk.network(token_hosts=hosts_of(hub) if signed_in else frozenset()),
        )


def test_a_private_repository(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.make_private(REPO, TOKEN)
    with pytest.raises(NotFoundError, match="private"):
        desk.get(desk.order(DATA))
    sign_in(monkeypatch, TOKEN)
    assert desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub))).proven


def test_a_token_that_is_no_longer_valid_does_not_hinder(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "hf_old")
    assert desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub))).proven


def test_no_such_file(desk: Desk) -> None:
    with pytest.raises(NotFoundError, match=rf"no file other\.safetensors in {REPO} at revision main"):
        desk.get(desk.order(DATA, HubSource(REPO, "other.safetensors")))


def test_no_such_file_at_an_address(hub: Hub, desk: Desk) -> None:
    with fails_with(NotFoundError, "no-such-file"):
        desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/nothing")))


def sign_in(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, token)


# -- the network ---------------------------------------------------------------------------------------------------
def test_offline(desk: Desk) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with fails_with(NetworkError, "unreachable"):
            desk.get(desk.order(DATA), Network(endpoint=endpoint, retry_policy=QUICK))
    assert desk.names == []


def test_no_such_host(desk: Desk) -> None:
    with fails_with(NetworkError, "unreachable"):
        desk.get(desk.order(DATA), Network(endpoint="https://nowhere.invalid", retry_policy=QUICK))


def test_hf_hub_offline_is_honoured(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with fails_with(NetworkError, "offline"):
        desk.get(desk.order(DATA))
    assert hub.requests == []


PASSING = {
    "429": Fault.status(429, retry_after=0),
    "500": Fault.status(500),
    "503 with a date": Fault.status(503, retry_after=formatdate(time.time() - 5, usegmt=True)),
    "408": Fault.status(408),
    "reset": Fault.reset_before_headers(),
    "close": Fault.close_before_headers(),
    "150 headers": Fault.many_headers(),
    "a large header": Fault.large_header(),
}


@pytest.mark.parametrize("server", ["api", "cdn"])
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(hub: Hub, desk: Desk, server: str, fault: str) -> None:
    getattr(hub, server).fail_next(PASSING[fault], PASSING[fault])
    assert desk.get(desk.order(DATA)).fetched == len(DATA)


@pytest.mark.parametrize("server", ["api", "cdn"])
def test_what_does_not_pass_is_given_up(hub: Hub, desk: Desk, server: str) -> None:
    getattr(hub, server).fail_always(Fault.status(503))
    with fails_with(NetworkError, "server-error"):
        desk.get(desk.order(DATA))
    assert len(getattr(hub, server).requests) == QUICK.max_attempts


def test_retry_after_is_kept(hub: Hub, desk: Desk) -> None:
    hub.api.fail_next(Fault.status(429, retry_after=1))
    began = time.monotonic()
    desk.get(desk.order(DATA))
    assert time.monotonic() - began >= 1


def test_a_server_that_wants_an_hour_is_given_up_at_once(hub: Hub, desk: Desk) -> None:
    hub.api.fail_always(Fault.status(429, retry_after=3600))
    with fails_with(NetworkError, "too-many-requests"):
        desk.get(desk.order(DATA))
    assert len(hub.api.requests) == 1


def test_an_answer_that_does_not_come(hub: Hub, desk: Desk) -> None:
    hub.api.fail_always(Fault.late(5))
    with fails_with(NetworkError, "no-answer"):
        desk.get(desk.order(DATA), desk.network(read_timeout=0.2, retry_policy=RetryPolicy(max_attempts=1)))


def test_a_server_that_never_answers_is_not_asked_for_minutes(hub: Hub, desk: Desk) -> None:
    hub.api.fail_always(Fault.late(5))
    patience = RetryPolicy(first_delay=0.01, max_delay=0.02, max_silent_seconds=0.35)
    with fails_with(NetworkError, "no-answer"):
        desk.get(desk.order(DATA), desk.network(read_timeout=0.2, retry_policy=patience))
    assert len(hub.api.requests) == 2


def test_a_folder_below_a_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with fails_with(DiskError, "not-a-folder", obstacle=file):
        desk.get(replace(desk.order(DATA), folder=file / "VAE"))


def test_redirects_without_end(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.redirect("{target}"))
    with fails_with(NetworkError, "endless-redirects"):
        desk.get(desk.order(DATA))
    hub.api.fail_always(Fault.redirect("{target}"))
    with fails_with(NetworkError, "endless-redirects"):
        desk.get(desk.order(DATA))


# -- other bytes than asked for ------------------------------------------------------------------------------------
@pytest.mark.parametrize("server", ["api", "cdn"])
def test_a_web_page_instead_of_the_file(hub: Hub, desk: Desk, server: str) -> None:
    getattr(hub, server).fail_always(Fault.portal())
    with fails_with(IntegrityError, "web-page"):
        desk.get(desk.order(DATA))
    assert desk.names == []


def test_a_web_page_under_the_headers_of_the_file(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.filled())
    with fails_with(IntegrityError, "web-page"):
        desk.get(desk.order(DATA))


def test_a_web_page_takes_nothing_of_what_is_kept(hub: Hub, desk: Desk) -> None:
    kept = desk.keep(desk.order(DATA), 10 * CHUNK)
    hub.cdn.fail_next(Fault.portal())
    with pytest.raises(IntegrityError):
        desk.get(desk.order(DATA))
    assert desk.get(desk.order(DATA)).fetched == len(DATA) - kept


def test_a_web_page_where_no_hash_is_known(hub: Hub, desk: Desk) -> None:
    page = b"  <!DOCTYPE html><title>vae.safetensors</title>"
    for address in (hub.publish("/a", b"Sign in", content_type="text/html; charset=utf-8"), hub.publish("/b", page)):
        with fails_with(IntegrityError, "web-page"):
            desk.get(desk.order(page, HttpsSource(address), known=False))
    assert desk.names == []


def test_a_pointer_instead_of_the_file(hub: Hub, desk: Desk) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 334641164\n"
    url = hub.publish("/raw/vae.safetensors", pointer, content_type="text/plain")
    with fails_with(IntegrityError, "lfs-pointer"):
        desk.get(desk.order(DATA, HttpsSource(url), size=len(DATA)))


@pytest.mark.parametrize("known_by", ["order", "hub"])
def test_another_size_than_the_known_one(hub: Hub, desk: Desk, known_by: str) -> None:
    hub.cdn.fail_always(Fault.other_content(DATA[:-1]))
    if known_by == "order":
        hub.api.fail_always(Fault.without("X-Linked-Size"))
    with pytest.raises(IntegrityError, match=f"has {len(DATA) - 1} bytes"):
        desk.get(desk.order(DATA, size=len(DATA) if known_by == "order" else None))
    assert desk.names == []


def test_a_body_that_does_not_end(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    url = hub.publish("/endless", DATA)
    hub.cdn.fail_always(Fault.chunked() | Fault.range_ignored())
    with fails_with(IntegrityError, "endless-body"):
        desk.get(desk.order(DATA[:MB], HttpsSource(url), size=MB))
    monkeypatch.setattr("vae_manager.transfer.scheduler.MAX_UNKNOWN_BYTES", MB)
    with fails_with(IntegrityError, "endless-body"):
        desk.get(desk.order(DATA, HttpsSource(url)))
    assert desk.names == []


def test_a_chunked_body(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.chunked())
    assert desk.get(desk.order(DATA)).proven


def test_a_body_without_its_length(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.without("Content-Length", "ETag"))
    assert desk.get(desk.order(DATA)).proven


def test_a_body_that_is_shorter_than_it_says_is_no_short_file(hub: Hub, desk: Desk) -> None:
    """Whether the end is noticed at once, or at the next range only, depends on the version of urllib3."""
    url = hub.publish("/short", DATA)
    hub.cdn.fail_always(Fault.length_off(1000) | Fault.range_ignored())
    with contextlib.suppress(NetworkError):
        desk.get(desk.order(DATA, HttpsSource(url), known=False))
    assert not desk.target.exists() or desk.target.read_bytes() == DATA
    assert len(desk.gets()) > 1


def test_nobody_is_asked_for_a_compressed_body(hub: Hub, desk: Desk) -> None:
    desk.get(desk.order(DATA))
    assert all(seen.headers["accept-encoding"] == "identity" for seen in hub.requests)


def test_a_mirror_that_leads_back_to_the_origin(hub: Hub, desk: Desk) -> None:
    with Hub() as mirror:
        mirror.api.fail_always(Fault.redirect(hub.endpoint + "{target}", 308))
        assert desk.get(desk.order(DATA, known=False), desk.network(endpoint=mirror.endpoint)).proven


def test_a_mirror_that_strips_headers(hub: Hub, desk: Desk) -> None:
    hub.api.fail_always(Fault.without("X-Linked-Size", "X-Linked-ETag", "X-Repo-Commit"))
    hub.cdn.fail_always(Fault.without("ETag", "Content-Length", "Accept-Ranges"))
    assert desk.get(desk.order(DATA)).proven


# -- the disk ------------------------------------------------------------------------------------------------------
def test_no_space(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": MB}))
    with pytest.raises(DiskError, match=r"1\.0 MB free, but 2\.0 MB are needed"):
        desk.get(desk.order(DATA))
    assert (desk.sent(), desk.names) == (0, [])


def test_no_space_for_a_file_whose_size_the_cdn_tells(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": MB}))
    with pytest.raises(DiskError, match="MB are needed"):
        desk.get(desk.order(DATA, HttpsSource(hub.publish("/file", DATA))))
    assert not desk.target.exists()


@pytest.mark.parametrize("below", [".", "VAE"])
def test_a_file_in_place_of_the_folder(hub: Hub, desk: Desk, below: str) -> None:
    desk.folder = desk.folder / "file" / below
    desk.folder.parent.joinpath("file").touch() if below == "." else desk.folder.parent.write_bytes(b"")
    with fails_with(DiskError, "not-a-folder"):
        desk.get(desk.order(DATA))
    desk.folder = desk.folder.parent if below == "VAE" else desk.folder
    desk.folder = desk.folder.parent


@pytest.mark.parametrize("name", ["EACCES", "EROFS"])
def test_a_folder_that_may_not_be_written(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As root no permission binds, so the system's answer is put in its place."""
    import errno

    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, name), "refused")

    monkeypatch.setattr("vae_manager.transfer.partial_file.FileIO", refuse)
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with fails_with(DiskError, "not-writable"):
        desk.get(desk.order(DATA))
    assert desk.names == []


def test_a_folder_that_goes_away(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    hub.cdn.fail_next(Fault.reset_after(MB))

    def go_away(told: Progress) -> None:
        if told.done and desk.folder.exists():
            desk.folder.rename(moved)

    desk.on_progress = go_away
    with pytest.raises(DiskError):
        desk.get(desk.order(DATA))
    assert not (moved / NAME).exists()
    moved.rename(desk.folder)


def test_a_failure_leaves_no_empty_files_behind(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.reset_before_headers())
    with pytest.raises(NetworkError):
        desk.get(desk.order(DATA, PINNED))
    assert desk.names == []
    assert unfinished(desk.folder) == ()


def test_a_cdn_that_ignores_ranges_although_the_hub_promises_them(hub: Hub, desk: Desk) -> None:
    """Nobody takes over a part of a whole that comes over one connection, however long that takes."""
    data = some_bytes(16 * MB, seed=3)
    hub.add(REPO, NAME, data, revision=COMMIT)
    hub.cdn.link = Link(rate_per_connection=12 * MB)
    hub.cdn.fail_always(Fault.range_ignored())
    desk.get(desk.order(data))
    assert desk.target.read_bytes() == data
    assert len(desk.gets()) <= 1 + FIRST_CONNECTIONS
