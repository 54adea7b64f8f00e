"""Where open files can be neither renamed nor removed, as on Windows: everything is let go of in time."""

from __future__ import annotations

import pytest

from tests.hub import Fault, Hub, Link
from vae_manager.errors import Cancelled, WrongBytesError
from vae_manager.transfer import unfinished

from .ordering import COMMIT, MB, NAME, REPO, Desk, some_bytes
from .windows import be_strict

DATA = some_bytes(12 * MB)
"""More than the proof hashes at once."""


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.transfer.resume_journal.boot_id", lambda: None)  # Linux alone has one
    monkeypatch.setattr("vae_manager.transfer.resume_journal.has_ended", lambda owner: False)
    be_strict(monkeypatch)


def left(desk: Desk) -> list[str]:
    """The lock goes when its process lets go of it, there."""
    return [name for name in desk.names if not name.endswith(".lock")]


def test_a_file_gets_its_name(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    for number in range(10):
        desk.get(desk.order(DATA, name=f"{number}.safetensors"))
        assert (desk.folder / f"{number}.safetensors").read_bytes() == DATA
    assert left(desk) == [f"{number}.safetensors" for number in range(10)]


def stopped_in_the_middle(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.cdn.link = Link(rate_total=15 * MB)
    desk.on_progress = lambda told: desk.stop.set() if told.done > 5 * MB else None
    with pytest.raises(Cancelled):
        desk.get(desk.order(DATA))
    desk.on_progress = lambda told: None
    desk.stop.clear()


def test_what_an_earlier_process_has_fetched_is_gone_on_with(hub: Hub, desk: Desk) -> None:
    stopped_in_the_middle(hub, desk)
    [kept] = unfinished(desk.folder)
    before = desk.sent()
    desk.get(desk.order(DATA), desk.network(connections=1))  # of several, one may end what another has begun
    assert desk.target.read_bytes() == DATA
    assert desk.sent() - before == len(DATA) - kept.done
    assert left(desk) == [NAME]


def test_wrong_bytes_are_thrown_away(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.cdn.fail_next(*[Fault.flip(1000)] * 20, covering=1000)
    with pytest.raises(WrongBytesError):
        desk.get(desk.order(DATA))
    assert left(desk) == []


def test_copies_of_a_process_that_was_killed_are_removed(hub: Hub, desk: Desk) -> None:
    stopped_in_the_middle(hub, desk)
    [part] = desk.folder.glob(".*.part")
    (desk.folder / f"{part.name}.0a1b2c3d").write_bytes(DATA[: 3 * MB])
    desk.get(desk.order(DATA))
    assert left(desk) == [NAME]
