"""What each message makes of the line: a table of states, and rules that hold after any messages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vae_manager.jobs import JobEntry, JobState, Move, PendingCommand, QueueState, end_of

W, R, P, D, F, S = (
    JobState.WAITING, JobState.RUNNING, JobState.PAUSED, JobState.DONE, JobState.FAILED, JobState.STOPPED
)  # fmt: skip
NONE, PAUSE, STOP, RESUME = PendingCommand.NONE, PendingCommand.PAUSE, PendingCommand.STOP, PendingCommand.RESUME
As = tuple[JobState, PendingCommand]


Entries = tuple[JobEntry, ...]


def entries(**states: JobState) -> QueueState:
    return QueueState(JobEntry(number, key, state) for number, (key, state) in enumerate(states.items(), 1))


def keys(now: QueueState) -> str:
    return "".join(entry.key for entry in now)


def asked(before: Entries, key: str, serial: int) -> Entries:
    line = QueueState(before)
    line.request(key, serial)
    return tuple(line)


# -- one job -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "pause", "resume", "stop", "retry"),
    [
        ((W, NONE), (P, NONE), (W, NONE), (S, NONE), (W, NONE)),
        ((P, NONE), (P, NONE), (W, NONE), (S, NONE), (P, NONE)),
        ((R, NONE), (R, PAUSE), (R, NONE), (R, STOP), (R, NONE)),
        ((R, PAUSE), (R, PAUSE), (R, RESUME), (R, STOP), (R, PAUSE)),
        ((R, RESUME), (R, PAUSE), (R, RESUME), (R, STOP), (R, RESUME)),
        ((R, STOP), (R, STOP), (R, STOP), (R, STOP), (R, STOP)),
        ((D, NONE), (D, NONE), (D, NONE), (D, NONE), (D, NONE)),
        ((F, NONE), (F, NONE), (F, NONE), (F, NONE), (W, NONE)),
        ((S, NONE), (S, NONE), (S, NONE), (S, NONE), (S, NONE)),
    ],
)
def test_each_message_in_each_state(before: As, pause: As, resume: As, stop: As, retry: As) -> None:
    for message, wanted in (("pause", pause), ("resume", resume), ("stop", stop), ("retry", retry)):
        now = QueueState([JobEntry(1, "a", *before)])
        getattr(now, message)("unknown")
        assert list(now) == [JobEntry(1, "a", *before)]
        getattr(now, message)("a")
        [entry] = now
        assert (entry.state, entry.command) == wanted, message


@pytest.mark.parametrize(
    ("command", "done", "failed", "stopped"),
    [(NONE, D, F, S), (PAUSE, D, F, P), (RESUME, D, F, W), (STOP, D, S, S)],
)
def test_each_end_after_each_command(
    command: PendingCommand, done: JobState, failed: JobState, stopped: JobState
) -> None:
    before = JobEntry(1, "a", R, command)
    for outcome, wanted in ((D, done), (F, failed), (S, stopped)):
        now = QueueState([before])
        assert now.end(1, outcome) == end_of(before, outcome) == JobEntry(1, "a", wanted)
        assert list(now) == [JobEntry(1, "a", wanted)]
        assert now.ended == ((1,) if wanted.ended else ())


def test_asked_for_again() -> None:
    assert asked((), "a", 1) == (JobEntry(1, "a"),)
    for state in (W, R):
        assert asked((JobEntry(1, "a", state),), "a", 2) == (JobEntry(1, "a", state),)
    assert asked((JobEntry(1, "a", P),), "a", 2) == (JobEntry(1, "a"),)
    assert asked((JobEntry(1, "a", R, PAUSE),), "a", 2) == (JobEntry(1, "a", R, RESUME),)
    leaving = JobEntry(1, "a", R, STOP)
    assert asked((leaving,), "a", 2) == (leaving, JobEntry(2, "a"))
    for state in (D, F, S):
        assert asked((JobEntry(1, "a", state), JobEntry(2, "b")), "a", 3) == (JobEntry(2, "b"), JobEntry(3, "a"))


# -- order ---------------------------------------------------------------------------------------------------------
def test_a_paused_one_holds_up_nobody_and_keeps_its_place() -> None:
    now = entries(a=P, b=W, c=W)
    began = now.start_next()
    assert (began is not None and began.key, keys(now)) == ("b", "abc")
    now.resume("a")
    now.end(2, D)
    assert now.start_next() == JobEntry(1, "a", R), "it was first"


def test_one_runs_at_a_time() -> None:
    for now in (entries(a=R, b=W), entries(a=P, b=D)):
        before = list(now)
        assert now.start_next() is None
        assert list(now) == before


@pytest.mark.parametrize(
    ("key", "step", "wanted"),
    [
        ("d", Move.UP, "xabdcy"),
        ("d", Move.FRONT, "xdabcy"),
        ("b", Move.UP, "xbacdy"),
        ("b", Move.DOWN, "xacbdy"),
        ("d", Move.DOWN, "xabcdy"),
        ("a", Move.UP, "xabcdy"),
        ("x", Move.DOWN, "xabcdy"),
        ("y", Move.FRONT, "xabcdy"),
        ("nobody", Move.UP, "xabcdy"),
    ],
)
def test_moving(key: str, step: Move, wanted: str) -> None:
    now = entries(x=R, a=W, b=P, c=W, d=W, y=D)
    now.move(key, step)
    assert keys(now) == wanted


def test_places_count_what_waits() -> None:
    now = entries(x=R, a=W, b=P, c=W, y=D)
    assert {now.entry(serial).key: place for serial, place in now.positions().items()} == {"a": 1, "c": 2}


# -- after any messages --------------------------------------------------------------------------------------------
KEYS = some.sampled_from("abc")
MESSAGES = some.one_of(
    some.tuples(some.sampled_from(["request", "pause", "resume", "stop", "retry", "forget"]), KEYS, some.none()),
    some.tuples(some.just("move"), KEYS, some.sampled_from(Move)),
    some.tuples(some.just("end"), some.none(), some.sampled_from([D, F, S])),
    some.tuples(some.just("start_next"), some.none(), some.none()),
)


@given(some.lists(MESSAGES, max_size=40))
def test_what_always_holds(messages: list[tuple[str, str, object]]) -> None:
    line = QueueState()
    serials = itertools.count(1)
    for message in messages:
        before = tuple(line)
        send(line, message, serials)
        now = tuple(line)
        assert [line.newest(key) for key in "abc"] == [newest(now, key) for key in "abc"]
        assert set(line.ended) == {entry.serial for entry in now if entry.state.ended}
        assert len(line) == len(now)
        assert [entry.state for entry in now].count(R) <= 1
        assert all(entry.command is NONE for entry in now if entry.state is not R)
        assert len({entry.serial for entry in now}) == len(now)
        for key in "abc":
            assert sum(entry.key == key and entry.is_active for entry in now) <= 1, "one file, one download"
        gone = {entry.serial for entry in before} - {entry.serial for entry in now}
        assert all(entry.state.ended for entry in before if entry.serial in gone), "nothing that is wanted gets lost"
        stopping = {entry.serial for entry in before if entry.command is STOP}
        assert all(entry.state.ended or entry.command is STOP for entry in now if entry.serial in stopping), (
            "stop is final"
        )
        if message[0] == "move":
            assert sorted(before, key=serial_of) == sorted(now, key=serial_of)
            assert [entry for entry in before if not entry.is_queued] == [entry for entry in now if not entry.is_queued]


def serial_of(entry: JobEntry) -> int:
    return entry.serial


def newest(now: Entries, key: str) -> JobEntry | None:
    return next((entry for entry in reversed(now) if entry.key == key), None)


def send(now: QueueState, message: tuple[str, str, object], serials: itertools.count[int]) -> None:
    name, key, more = message
    if name == "request":
        now.request(key, next(serials))
    elif name == "start_next":
        now.start_next()
    elif name == "end":
        assert isinstance(more, JobState)
        running = next((entry.serial for entry in now if entry.state is R), None)
        if running is not None:
            now.end(running, more)
    elif name == "move":
        assert isinstance(more, Move)
        now.move(key, more)
    else:
        getattr(now, name)(key)
