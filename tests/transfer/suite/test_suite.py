"""Every case of the table, over real sockets."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vae_manager.errors import TransientNetworkError

from . import answers, contents, disk, line, places, sources
from .case import HELPING, Case
from .line import NOTHING_LIMITED
from .world import World, a_world, threads_left

CASES = [*line.CASES, *answers.CASES, *contents.CASES, *places.CASES, *disk.CASES, *sources.CASES]


def test_the_table() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, tmp_path: Path) -> None:
    before = set(threading.enumerate())  # the queues of other tests may still wait for work
    with a_world(tmp_path, case.size, case.link, dict(case.network)) as world:
        try:
            case.fail(world)
            world.attempt(case.get)
            ends_as_expected(case, world)
            stands_as_expected(case, world)
            case.check(world)
            world.patch.undo()
            if world.error is None:
                assert_delivered(world)
            elif case.heals:
                delivers_next(world)
        finally:
            for wait in world.others:
                wait()
        wasted = world.sent() - (len(world.data) if world.delivery else 0)
        assert wasted <= case.twice + may_help(case, world), f"{wasted / 1e6:.2f} MB twice"
        nothing_got_out(world)
    assert threads_left(before) == []


def may_help(case: Case, world: World) -> float:
    """What connections may lose by helping each other: on a line without a limit much is on its way."""
    if world.delivery is None or case.network.get("connections") == 1:
        return 0
    return 3 * HELPING if case.link == NOTHING_LIMITED else HELPING


def ends_as_expected(case: Case, world: World) -> None:
    error = world.error
    fits = any(error is None if outcome is None else isinstance(error, outcome) for outcome in case.outcomes)
    assert fits, f"{type(error).__name__} instead of {case.ends}: {error}"
    assert not isinstance(error, TransientNetworkError), "the end is no invitation to try again"
    assert not case.code or (error is not None and error.code in case.code.split("|")), error


def stands_as_expected(case: Case, world: World) -> None:
    """What lies in the folder after an error."""
    world.look()
    assert world.seen_wrong == []
    if not world.folder.is_dir():
        assert case.left == "nothing"
        return
    if world.error is None:
        return
    hidden = set(world.hidden()) - {"lock", "recent"}
    if case.left == "file":
        assert hidden <= {"part", "journal"}
        return
    assert world.order.file_name not in names(world)
    if case.left == "nothing":
        assert names(world) == []
    elif case.left == "hidden":
        assert hidden <= {"part", "journal", "journal.new", "recent.new"}
    else:
        assert hidden == {"part", "journal"}
        assert world.left.done > 0


def names(world: World) -> list[str]:
    return [path.name for path in world.folder.iterdir()]


def assert_delivered(world: World) -> None:
    assert world.target.read_bytes() in world.allowed
    assert names(world) == [world.order.file_name]
    assert world.seen_wrong == []


def delivers_next(world: World) -> None:
    """With nothing wrong any more the next call ends well, whatever was before."""
    world.repair()
    world.attempt()
    assert world.error is None, world.error
    assert_delivered(world)


def nothing_got_out(world: World) -> None:
    """The token is for the hub's own host alone, and no sentence carries a key."""
    elsewhere = [*world.hub.cdn.requests, *world.mirror.requests]
    assert [seen.target for seen in elsewhere if seen.authorization] == []
    assert all(secret not in str(world.error) for secret in ("hf_0123", "geheim", "Signature"))
