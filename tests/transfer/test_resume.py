"""What has arrived is kept, and goes on: after a cut, a stop, from another source."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.hub import Fault, Hub, Link
from vae_manager.catalogue.entry import HttpsSource, HubSource, LocalSource
from vae_manager.errors import Cancelled, IntegrityError, NetworkError, RefusedError
from vae_manager.transfer import Progress, RetryPolicy, discard, unfinished
from vae_manager.transfer.partial_file import PartialFile

from .ordering import CHUNK, COMMIT, MB, NAME, PINNED, REPO, Desk, some_bytes

DATA = some_bytes(4 * MB)
PART = 30 * CHUNK


@pytest.fixture(autouse=True)
def _the_file(hub: Hub) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)


def ranges(desk: Desk) -> list[str | None]:
    return [seen.headers.get("range") for seen in desk.gets()]


# -- within one call -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cut", [Fault.reset_after, Fault.close_after])
def test_a_cut_costs_next_to_nothing(hub: Hub, desk: Desk, cut: object) -> None:
    hub.cdn.fail_next(cut(1 * MB), cut(1 * MB), cut(1 * MB))  # type: ignore[operator]
    assert desk.get(desk.order(DATA)).fetched <= len(DATA) + 3 * CHUNK
    assert desk.target.read_bytes() == DATA
    assert desk.sent() <= len(DATA) + 3 * 256 * 1024, "what the server's system had taken beyond the cut"
    heads = [seen for seen in hub.api.requests if seen.method == "HEAD"]
    assert len(heads) == 1, "the address is still good"


def test_a_line_that_drops_often_still_finishes(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.reset_after(17 * CHUNK))
    patience = RetryPolicy(max_attempts=2, first_delay=0.01)
    assert desk.get(desk.order(DATA), desk.network(retry_policy=patience)).fetched == len(DATA)


def test_an_expired_address_is_asked_for_again(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_next(Fault.expired(), Fault.expired())
    assert desk.get(desk.order(DATA)).fetched == len(DATA)


def test_a_stall_ends_and_goes_on(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_next(Fault.stall_at(PART))
    assert desk.get(desk.order(DATA), desk.network(read_timeout=0.3)).fetched == len(DATA)
    assert ranges(desk) == [f"bytes=0-{len(DATA) - 1}", f"bytes={PART}-{len(DATA) - 1}"]


# -- across calls --------------------------------------------------------------------------------------------------
def test_a_stop_keeps_what_has_arrived(hub: Hub, desk: Desk) -> None:
    kept = desk.keep(desk.order(DATA), PART)
    assert kept == PART
    assert not desk.target.exists()
    before = hub.cdn.sent()
    delivery = desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == DATA
    assert delivery.fetched == len(DATA) - kept
    assert desk.sent() - before == len(DATA) - kept
    assert desk.names == [NAME]
    assert [progress.phase for progress in desk.told][:2] == ["resolving", "resuming"]
    assert all(progress.kept == kept and progress.done >= kept for progress in desk.told)
    last = desk.gets()[-1]
    assert last.headers["range"] == f"bytes={kept}-{len(DATA) - 1}"
    assert last.headers["if-range"].startswith('"')


def test_what_is_unfinished_can_be_found_and_ordered_again(desk: Desk) -> None:
    order = desk.order(DATA, PINNED, HttpsSource("https://mirror.example/vae.safetensors?v=1"))
    kept = desk.keep(order, PART)
    [left] = unfinished(desk.folder)
    assert (left.request, left.done, left.total) == (order, kept, len(DATA))
    assert desk.get(left.request).fetched == len(DATA) - kept
    assert unfinished(desk.folder) == ()


def test_and_discarded(desk: Desk) -> None:
    desk.keep(desk.order(DATA), PART)
    discard(unfinished(desk.folder)[0])
    assert desk.names == []


def test_but_not_while_it_arrives(desk: Desk) -> None:
    refused: list[RefusedError] = []

    def try_to_discard(_: object) -> None:
        for left in unfinished(desk.folder):
            with pytest.raises(RefusedError, match="right now") as caught:
                discard(left)
            refused.append(caught.value)

    desk.keep(desk.order(DATA), PART)
    desk.on_progress = try_to_discard
    desk.get(desk.order(DATA))
    assert refused
    assert desk.target.read_bytes() == DATA


def test_kept_bytes_go_on_from_another_source(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    kept = desk.keep(desk.order(DATA), PART)
    url = hub.publish("/files/vae.safetensors", DATA)
    assert desk.get(desk.order(DATA, HttpsSource(url))).fetched == len(DATA) - kept
    assert "if-range" not in desk.gets()[-1].headers

    desk.target.rename(tmp_path / NAME)
    kept = desk.keep(desk.order(DATA), PART)
    assert desk.get(desk.order(DATA, LocalSource(tmp_path / NAME))).fetched == 0
    assert desk.target.read_bytes() == DATA


def test_a_complete_partial_file_needs_its_proof_only(hub: Hub, desk: Desk) -> None:
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    left.path.write_bytes(DATA)
    journal = left.path.with_suffix(".journal")
    journal.write_text(journal.read_text().replace(str(PART), str(len(DATA))))
    before = len(desk.gets())
    assert desk.get(desk.order(DATA)).fetched == 0
    assert len(desk.gets()) == before


@pytest.mark.parametrize("size", [0, PART // 2, PART + 5, len(DATA) + 5])
def test_a_partial_file_of_another_length_than_its_journal_says(desk: Desk, size: int) -> None:
    """Shorter: what is there counts. Longer: what the journal does not know was not on the disk for sure."""
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    left.path.write_bytes((DATA + b"+++++")[:size])
    assert desk.get(desk.order(DATA)).fetched == len(DATA) - min(size, PART)
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"version": 1}', '{"version": 9}', "\0" * 300])
def test_a_garbled_journal_costs_bytes_only(desk: Desk, text: str) -> None:
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    left.path.with_suffix(".journal").write_text(text)
    assert unfinished(desk.folder) == ()
    assert desk.get(desk.order(DATA)).fetched == len(DATA)
    assert desk.names == [NAME]


def test_a_link_in_place_of_the_partial_file_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    victim = tmp_path / "precious"
    victim.write_bytes(b"precious")
    left.path.unlink()
    left.path.symlink_to(victim)
    desk.get(desk.order(DATA))
    assert victim.read_bytes() == b"precious"
    assert not desk.target.is_symlink()
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize("other", [b"", b"not " * MB, None])
def test_a_partial_file_that_another_process_takes_over_is_never_published(
    hub: Hub, desk: Desk, other: bytes | None
) -> None:
    """A lock that lies, as some network file systems have: each writer must publish what it has proven itself."""
    hub.cdn.link = Link(rate_per_connection=16 * MB)
    taken: list[Path] = []

    def take_over(told: Progress) -> None:
        for path in desk.folder.glob(".*.part"):
            if told.phase == "fetching" and not taken:
                taken.append(path)
                path.unlink()
                if other is not None:
                    path.write_bytes(other)

    desk.on_progress = take_over
    with contextlib.suppress(IntegrityError):  # the other one's bytes may be taken for ours, and are then found out
        desk.get(desk.order(DATA))
    assert taken
    assert not desk.target.exists() or desk.target.read_bytes() == DATA
    desk.get(desk.order(DATA))
    assert desk.target.read_bytes() == DATA


def test_poisoned_kept_bytes_are_thrown_away_and_fetched_again(desk: Desk) -> None:
    kept = desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    left.path.write_bytes(b"x" * PART)
    assert desk.get(desk.order(DATA)).fetched == 2 * len(DATA) - kept
    assert desk.target.read_bytes() == DATA
    assert desk.names == [NAME]


def test_wrong_bytes_are_fetched_once_more_and_then_given_up(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_next(Fault.flip(5))
    assert desk.get(desk.order(DATA)).fetched == 2 * len(DATA)
    assert len({seen.connection for seen in desk.gets()}) == 2, "over another connection"
    desk.target.unlink()
    hub.cdn.fail_always(Fault.flip(5))
    before = desk.sent()
    with pytest.raises(IntegrityError, match="thrown away"):
        desk.get(desk.order(DATA))
    assert desk.sent() - before == 2 * len(DATA)
    assert desk.names == []


def test_wrong_bytes_are_fetched_from_the_next_source(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.flip(5), path="/repos/")
    url = hub.publish("/files/vae.safetensors", DATA)
    assert desk.get(desk.order(DATA, PINNED, HttpsSource(url))).fetched == 2 * len(DATA)


# -- what a server can answer to a range ---------------------------------------------------------------------------
START_OVER = {
    "range ignored": Fault.range_ignored(),
    "another start": Fault.other_start(-100),
    "no Content-Range": Fault.without("Content-Range"),
    "416 with the size": Fault.unsatisfiable(),
    "416 with a smaller size": Fault.unsatisfiable("bytes */5"),
    "416 without": Fault.unsatisfiable(None),
    "416 with nonsense": Fault.unsatisfiable("bytes 0-1/2"),
}


@pytest.mark.parametrize("answer", START_OVER)
def test_an_answer_that_is_not_what_follows_starts_over(hub: Hub, desk: Desk, answer: str) -> None:
    desk.keep(desk.order(DATA), PART)
    hub.cdn.fail_next(START_OVER[answer])
    delivery = desk.get(desk.order(DATA))
    assert (desk.target.read_bytes(), delivery.fetched) == (DATA, len(DATA))
    assert desk.told[-1].kept == 0


def test_a_part_that_lies_about_its_start_is_found_by_the_hash(hub: Hub, desk: Desk) -> None:
    desk.keep(desk.order(DATA), PART)
    hub.cdn.fail_next(Fault.other_start(-100, admitted=False))
    assert desk.get(desk.order(DATA)).fetched > len(DATA)
    assert desk.target.read_bytes() == DATA


def test_416_to_a_complete_file_of_unknown_size_is_its_end(hub: Hub, desk: Desk) -> None:
    hub.api.fail_always(Fault.without("X-Linked-Size"))
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    left.path.write_bytes(DATA)
    journal = left.path.with_suffix(".journal")
    journal.write_text(journal.read_text().replace(str(PART), str(len(DATA))))
    assert desk.get(desk.order(DATA)).fetched == 0
    assert desk.gets()[-1].status == 416


def test_content_that_has_changed_starts_over_where_no_hash_decides(hub: Hub, desk: Desk) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    order = desk.order(DATA, HttpsSource(url), known=False)
    desk.keep(order, PART)
    new = some_bytes(len(DATA), seed=2)
    hub.publish("/files/vae.safetensors", new)
    assert desk.get(order).fetched == len(new)
    assert desk.target.read_bytes() == new


def test_content_that_has_not_changed_goes_on(hub: Hub, desk: Desk) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    order = desk.order(DATA, HttpsSource(url), known=False)
    kept = desk.keep(order, PART)
    assert desk.get(order).fetched == len(DATA) - kept


# -- stop ----------------------------------------------------------------------------------------------------------
def stop_after(desk: Desk, seconds: float) -> float:
    """Order, press stop after so long, and return how many seconds later that was heard."""
    timer = threading.Timer(seconds, desk.stop.set)
    timer.start()
    with pytest.raises(Cancelled):
        desk.get(desk.order(DATA), desk.network(retry_policy=RetryPolicy(first_delay=60)))
    return time.monotonic()


SLOW = {
    "while the hub thinks": ("api", Fault.late(20)),
    "while it waits to try again": ("api", Fault.status(503)),
    "while the CDN thinks": ("cdn", Fault.late(20)),
    "while nothing comes": ("cdn", Fault.stall_at(1 * MB)),
    "while little comes": ("cdn", Fault.trickle(1000)),
}


@pytest.mark.parametrize("when", SLOW)
def test_stop_is_heard_at_once(hub: Hub, desk: Desk, when: str) -> None:
    server, fault = SLOW[when]
    getattr(hub, server).fail_always(fault)
    began = time.monotonic()
    assert stop_after(desk, 0.3) - began < 1.0
    assert not desk.target.exists()


def test_a_stop_says_what_is_kept(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.stall_at(PART))
    desk.on_progress = lambda told: desk.stop.set() if told.done == PART else None
    with pytest.raises(Cancelled, match=r"2\.0 MB of vae\.safetensors are kept"):
        desk.get(desk.order(DATA))


def test_what_arrives_after_the_last_save_is_not_told(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is ending writes its last piece."""
    checkpoint = PartialFile.checkpoint

    def then_some(partial: PartialFile) -> None:
        checkpoint(partial)
        if desk.stop.is_set():
            partial.write(partial.done, b"late")

    monkeypatch.setattr(PartialFile, "checkpoint", then_some)
    hub.cdn.fail_always(Fault.stall_at(PART))
    desk.on_progress = lambda told: desk.stop.set() if told.done == PART else None
    with pytest.raises(Cancelled):
        desk.get(desk.order(DATA))
    [left] = unfinished(desk.folder)
    assert desk.told[-1].done == left.done == PART


def test_the_last_figure_of_a_stopped_download_is_what_is_kept(
    hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came since the last report counts too, however lately that was."""
    monkeypatch.setattr(sys.modules["vae_manager.transfer.delivery"], "REPORT_INTERVAL_S", 1000.0)
    hub.cdn.fail_always(Fault.stall_at(PART))

    def stop() -> None:
        while hub.cdn.sent() < PART:
            time.sleep(0.01)
        desk.stop.set()

    waiting = threading.Thread(target=stop)
    waiting.start()
    with pytest.raises(Cancelled):
        desk.get(desk.order(DATA))
    waiting.join()
    [left] = unfinished(desk.folder)
    assert desk.told[-1].done == left.done > 0


def test_stopped_before_it_began(desk: Desk) -> None:
    desk.stop.set()
    with pytest.raises(Cancelled, match="Nothing of"):
        desk.get(desk.order(DATA))
    assert desk.names == []


def test_no_space_for_the_bytes_that_are_kept_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = desk.keep(desk.order(DATA), PART)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": len(DATA) - kept}))
    assert desk.get(desk.order(DATA)).fetched == len(DATA) - kept


def test_the_journal_is_readable_and_expects_several_segments(desk: Desk) -> None:
    desk.keep(desk.order(DATA), PART)
    [left] = unfinished(desk.folder)
    journal = json.loads(left.path.with_suffix(".journal").read_text())
    assert journal["segments"] == [[0, PART]]
    assert journal["sources"] == [{"hub": REPO, "path": NAME, "revision": COMMIT}]


def test_after_a_failure_of_the_network_too(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_next(Fault.close_after(PART))
    hub.cdn.fail_always(Fault.reset_before_headers())
    with pytest.raises(NetworkError):
        desk.get(desk.order(DATA, HubSource(REPO, NAME)))
    assert unfinished(desk.folder)[0].done == PART


def test_the_journal_counts_only_what_is_on_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut could leave a journal that counts bytes which were never written."""
    steps: list[str] = []
    synced: dict[str, int] = {}
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        for path in desk.folder.glob(".*"):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                synced[path.suffix] = path.stat().st_size
                steps.append(path.suffix)
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append(f"to {target.suffix}")
        if target.suffix == ".journal":
            assert json.loads(path.read_text())["segments"][0][1] <= synced[".part"]
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    desk.keep(desk.order(DATA), PART)
    assert steps[-3:] == [".part", ".new", "to .journal"]
