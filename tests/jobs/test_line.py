"""What each message makes of the line: a table of states, and rules that hold after any messages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vae_manager.jobs import JobEntry, JobState, PendingCommand, QueueState, Step, end_of

W, R, P, D, F, S = (
    JobState.WAITING, JobState.RUNNING, JobState.PAUSED, JobState.DONE, JobState.FAILED, JobState.STOPPED
)  # fmt: skip
NONE, PAUSE, STOP, AGAIN = PendingCommand.NONE, PendingCommand.PAUSE, PendingCommand.STOP, PendingCommand.AGAIN
As = tuple[JobState, PendingCommand]


Slots = tuple[JobEntry, ...]


def slots(**states: JobState) -> QueueState:
    return QueueState(JobEntry(number, key, state) for number, (key, state) in enumerate(states.items(), 1))


def keys(now: QueueState) -> str:
    return "".join(slot.key for slot in now)


def asked(before: Slots, key: str, serial: int) -> Slots:
    line = QueueState(before)
    line.ask(key, serial)
    return tuple(line)


# -- one job -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "pause", "resume", "stop", "retry"),
    [
        ((W, NONE), (P, NONE), (W, NONE), (S, NONE), (W, NONE)),
        ((P, NONE), (P, NONE), (W, NONE), (S, NONE), (P, NONE)),
        ((R, NONE), (R, PAUSE), (R, NONE), (R, STOP), (R, NONE)),
        ((R, PAUSE), (R, PAUSE), (R, AGAIN), (R, STOP), (R, PAUSE)),
        ((R, AGAIN), (R, PAUSE), (R, AGAIN), (R, STOP), (R, AGAIN)),
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
        [slot] = now
        assert (slot.state, slot.wish) == wanted, message


@pytest.mark.parametrize(
    ("wish", "done", "failed", "stopped"),
    [(NONE, D, F, S), (PAUSE, D, F, P), (AGAIN, D, F, W), (STOP, D, S, S)],
)
def test_each_end_after_each_wish(wish: PendingCommand, done: JobState, failed: JobState, stopped: JobState) -> None:
    before = JobEntry(1, "a", R, wish)
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
    assert asked((JobEntry(1, "a", R, PAUSE),), "a", 2) == (JobEntry(1, "a", R, AGAIN),)
    leaving = JobEntry(1, "a", R, STOP)
    assert asked((leaving,), "a", 2) == (leaving, JobEntry(2, "a"))
    for state in (D, F, S):
        assert asked((JobEntry(1, "a", state), JobEntry(2, "b")), "a", 3) == (JobEntry(2, "b"), JobEntry(3, "a"))


# -- order ---------------------------------------------------------------------------------------------------------
def test_a_paused_one_holds_up_nobody_and_keeps_its_place() -> None:
    now = slots(a=P, b=W, c=W)
    began = now.begin()
    assert (began is not None and began.key, keys(now)) == ("b", "abc")
    now.resume("a")
    now.end(2, D)
    assert now.begin() == JobEntry(1, "a", R), "it was first"


def test_one_runs_at_a_time() -> None:
    for now in (slots(a=R, b=W), slots(a=P, b=D)):
        before = list(now)
        assert now.begin() is None
        assert list(now) == before


@pytest.mark.parametrize(
    ("key", "step", "wanted"),
    [
        ("d", Step.UP, "xabdcy"),
        ("d", Step.FRONT, "xdabcy"),
        ("b", Step.UP, "xbacdy"),
        ("b", Step.DOWN, "xacbdy"),
        ("d", Step.DOWN, "xabcdy"),
        ("a", Step.UP, "xabcdy"),
        ("x", Step.DOWN, "xabcdy"),
        ("y", Step.FRONT, "xabcdy"),
        ("nobody", Step.UP, "xabcdy"),
    ],
)
def test_moving(key: str, step: Step, wanted: str) -> None:
    now = slots(x=R, a=W, b=P, c=W, d=W, y=D)
    now.move(key, step)
    assert keys(now) == wanted


def test_places_count_what_waits() -> None:
    now = slots(x=R, a=W, b=P, c=W, y=D)
    assert {now.slot(serial).key: place for serial, place in now.places().items()} == {"a": 1, "c": 2}


# -- after any messages --------------------------------------------------------------------------------------------
KEYS = some.sampled_from("abc")
MESSAGES = some.one_of(
    some.tuples(some.sampled_from(["ask", "pause", "resume", "stop", "retry", "forget"]), KEYS, some.none()),
    some.tuples(some.just("move"), KEYS, some.sampled_from(Step)),
    some.tuples(some.just("end"), some.none(), some.sampled_from([D, F, S])),
    some.tuples(some.just("begin"), some.none(), some.none()),
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
        assert set(line.ended) == {slot.serial for slot in now if slot.state.ended}
        assert len(line) == len(now)
        assert [slot.state for slot in now].count(R) <= 1
        assert all(slot.wish is NONE for slot in now if slot.state is not R)
        assert len({slot.serial for slot in now}) == len(now)
        for key in "abc":
            assert sum(slot.key == key and slot.can_go_on for slot in now) <= 1, "one file, one download"
        gone = {slot.serial for slot in before} - {slot.serial for slot in now}
        assert all(slot.state.ended for slot in before if slot.serial in gone), "nothing that is wanted gets lost"
        stopping = {slot.serial for slot in before if slot.wish is STOP}
        assert all(slot.state.ended or slot.wish is STOP for slot in now if slot.serial in stopping), "stop is final"
        if message[0] == "move":
            assert sorted(before, key=serial_of) == sorted(now, key=serial_of)
            assert [slot for slot in before if not slot.queued] == [slot for slot in now if not slot.queued]


def serial_of(slot: JobEntry) -> int:
    return slot.serial


def newest(now: Slots, key: str) -> JobEntry | None:
    return next((slot for slot in reversed(now) if slot.key == key), None)


def send(now: QueueState, message: tuple[str, str, object], serials: itertools.count[int]) -> None:
    name, key, more = message
    if name == "ask":
        now.ask(key, next(serials))
    elif name == "begin":
        now.begin()
    elif name == "end":
        assert isinstance(more, JobState)
        running = next((slot.serial for slot in now if slot.state is R), None)
        if running is not None:
            now.end(running, more)
    elif name == "move":
        assert isinstance(more, Step)
        now.move(key, more)
    else:
        getattr(now, name)(key)
