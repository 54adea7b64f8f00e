"""Background work: its order, its end, and what is told of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from vae_manager.errors import Cancelled, NetworkError
from vae_manager.jobs import KEPT_AFTER_END, JobContext, JobQueue, JobState, JobView, PendingCommand, Step
from vae_manager.messages import Message, msg

SOON = 10.0
"""Seconds after which a test that waits has failed."""


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """A piece of work that begins, and ends when the test lets it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.stopped = False
        self.error = error

    def __call__(self, handle: JobContext) -> None:
        self.begun.set()
        assert self.may_end.wait(SOON)
        self.stopped = handle.stop.is_set()
        if self.error is not None:
            raise self.error
        if self.stopped:
            raise Cancelled(msg("Stopped."))


@pytest.fixture
def lane() -> JobQueue:
    return JobQueue("test")


@contextmanager
def busy(lane: JobQueue) -> Iterator[Work]:
    """The lane is held by a job called "first" until this ends."""
    work = Work()
    lane.start("first", "First", work)
    assert work.begun.wait(SOON)
    try:
        yield work
    finally:
        work.may_end.set()
        lane.wait("first", SOON)


def ended(lane: JobQueue, key: str) -> JobView:
    view = lane.wait(key, SOON)
    assert view is not None
    assert view.state.ended
    return view


def nothing(handle: JobContext) -> None: ...


def raiser(error: BaseException) -> Callable[[JobContext], None]:
    def work(handle: JobContext) -> None:
        raise error

    return work


# -- order ---------------------------------------------------------------------------------------------------------
def test_jobs_run_in_the_order_in_which_they_were_asked_for(lane: JobQueue) -> None:
    order: list[str] = []
    names = [f"job {number}" for number in range(10)]
    with busy(lane):
        for name in names:
            lane.start(name, name, lambda handle, name=name: order.append(name))  # type: ignore[misc]
        assert [view.key for view in lane.views()] == ["first", *names]
        assert [view.state for view in lane.views()] == [JobState.RUNNING] + [JobState.WAITING] * len(names)
    ended(lane, names[-1])
    assert order == names


def test_one_at_a_time_and_each_on_the_lanes_own_thread(lane: JobQueue) -> None:
    at_work: list[int] = []
    threads: set[str] = set()
    alone = threading.Lock()

    def work(handle: JobContext) -> None:
        assert alone.acquire(blocking=False), "two jobs at once"
        threads.add(threading.current_thread().name)
        at_work.append(1)
        alone.release()

    def ask(number: int) -> None:
        lane.start(f"{number}", f"{number}", work)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(KEPT_AFTER_END)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    for number in range(KEPT_AFTER_END):
        assert ended(lane, f"{number}").state is JobState.DONE
    assert len(at_work) == KEPT_AFTER_END
    assert threads == {"vae-manager test"}


def test_the_thread_is_a_daemon_and_starts_with_the_first_job() -> None:
    lane = JobQueue("lazy one")

    def own() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "vae-manager lazy one"]

    assert own() == []
    lane.start("a", "A", nothing)
    ended(lane, "a")
    [thread] = own()
    assert thread.daemon


def test_two_lanes_do_not_wait_for_each_other(lane: JobQueue) -> None:
    with busy(lane):
        other = JobQueue("other")
        other.start("a", "A", nothing)
        assert ended(other, "a").state is JobState.DONE


# -- one key, one job ----------------------------------------------------------------------------------------------
def test_asked_for_twice_while_it_runs_or_waits_it_is_one_job(lane: JobQueue) -> None:
    calls: list[str] = []
    with busy(lane):
        lane.start("first", "First again", lambda handle: calls.append("first again"))
        lane.start("second", "Second", lambda handle: calls.append("second"))
        lane.start("second", "Second again", lambda handle: calls.append("second again"))
        assert [(view.key, view.title) for view in lane.views()] == [("first", "First"), ("second", "Second")]
    ended(lane, "second")
    assert calls == ["second"]


def test_an_ended_job_can_be_asked_for_again_and_starts_clean(lane: JobQueue) -> None:
    def failing(handle: JobContext) -> None:
        handle.report("fetching", 10, 20)
        raise NetworkError(msg("No luck."))

    lane.start("a", "A", failing)
    assert str(ended(lane, "a").error) == "No luck."
    lane.start("b", "B", nothing)
    ended(lane, "b")
    with busy(lane):
        lane.start("a", "A, once more", nothing)
        assert lane.view("a") == JobView("a", 4, "A, once more", JobState.WAITING, place=1)
        assert [view.key for view in lane.views()] == ["b", "first", "a"]
    assert ended(lane, "a") == JobView("a", 4, "A, once more", JobState.DONE)


def test_each_asking_has_a_number_of_its_own(lane: JobQueue) -> None:
    """So that a page can tell a job from the one of the same key before it."""
    with busy(lane):
        for key in ("first", "second", "second", "third"):
            lane.start(key, key, nothing)
        assert [(view.key, view.serial) for view in lane.views()] == [("first", 1), ("second", 2), ("third", 3)]
    ended(lane, "third")
    lane.start("second", "Second", nothing)
    assert ended(lane, "second").serial == 4


# -- stopping ------------------------------------------------------------------------------------------------------
def test_a_job_that_waits_never_starts_when_it_is_stopped(lane: JobQueue) -> None:
    work = Work()
    with busy(lane):
        lane.start("second", "Second", work)
        lane.stop("second")
        assert ended(lane, "second").state is JobState.STOPPED
        lane.start("third", "Third", nothing)
    ended(lane, "third")
    assert not work.begun.is_set()


def test_a_job_that_runs_hears_of_it_and_ends_as_stopped(lane: JobQueue) -> None:
    with busy(lane) as work:
        lane.stop("first")
        view = lane.view("first")
        assert view is not None
        assert view.state is JobState.RUNNING, "it has not ended yet"
        work.may_end.set()
        assert ended(lane, "first") == JobView("first", 1, "First", JobState.STOPPED)
    assert work.stopped


def test_work_that_is_done_before_it_hears_of_the_stop_is_done(lane: JobQueue) -> None:
    asked = threading.Event()

    def deaf(handle: JobContext) -> None:
        assert asked.wait(SOON)

    lane.start("a", "A", deaf)
    lane.stop("a")
    asked.set()
    # Stopped when the stop came before its turn, else it went through: never something in between.
    assert ended(lane, "a").state in (JobState.DONE, JobState.STOPPED)


def test_to_stop_what_is_unknown_or_has_ended_does_nothing(lane: JobQueue) -> None:
    lane.stop("nobody")
    lane.start("a", "A", nothing)
    ended(lane, "a")
    lane.stop("a")
    assert ended(lane, "a").state is JobState.DONE


def test_a_stopped_job_can_be_asked_for_again(lane: JobQueue) -> None:
    with busy(lane):
        lane.start("second", "Second", nothing)
        lane.stop("second")
        lane.start("second", "Second", nothing)
    assert ended(lane, "second").state is JobState.DONE


# -- errors --------------------------------------------------------------------------------------------------------
def test_an_error_of_the_project_is_shown_as_its_sentence(lane: JobQueue, caplog: pytest.LogCaptureFixture) -> None:
    message = msg("{host} is too far.", host="hub.example")
    lane.start("a", "ft-MSE", raiser(NetworkError(message)))
    view = ended(lane, "a")
    assert (view.state, view.error) == (JobState.FAILED, message)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, f"ft-MSE: {message}")
    assert record.exc_info is None, "it needs no traceback"


def test_an_unexpected_error_becomes_a_sentence_and_its_traceback_goes_to_the_console(
    lane: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    lane.start("a", "ft-MSE", raiser(KeyError("{odd}")))
    view = ended(lane, "a")
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert str(view.error) == (
        "ft-MSE: something unexpected happened (KeyError: '{odd}'). The details are in the console."
    )
    [record] = caplog.records
    assert record.exc_info is not None


def test_the_lane_goes_on_after_a_failure(lane: JobQueue) -> None:
    with busy(lane):
        lane.start("second", "Second", raiser(RuntimeError("odd")))
        lane.start("third", "Third", raiser(NetworkError(msg("No luck."))))
        lane.start("fourth", "Fourth", nothing)
    assert ended(lane, "fourth").state is JobState.DONE
    assert [ended(lane, key).state for key in ("second", "third")] == [JobState.FAILED] * 2


# -- what stays in view --------------------------------------------------------------------------------------------
def test_forget_drops_what_has_ended_and_nothing_else(lane: JobQueue) -> None:
    lane.start("old", "Old", nothing)
    ended(lane, "old")
    with busy(lane):
        lane.start("second", "Second", nothing)
        for key in ("old", "first", "second", "nobody"):
            lane.forget(key)
        assert [view.key for view in lane.views()] == ["first", "second"]
    assert lane.view("old") is None


def test_ended_jobs_stay_until_enough_others_have_ended(lane: JobQueue) -> None:
    for number in range(KEPT_AFTER_END):
        lane.start(f"{number}", f"{number}", nothing)
        ended(lane, f"{number}")
    assert len(lane.views()) == KEPT_AFTER_END
    with busy(lane):
        assert lane.view("0") is not None
    assert [view.key for view in lane.views()] == [*(f"{number}" for number in range(1, KEPT_AFTER_END)), "first"]


def test_what_has_just_ended_is_not_dropped_for_what_was_stopped_before_its_turn(lane: JobQueue) -> None:
    with busy(lane) as work:
        work.error = NetworkError(msg("No luck."))
        for number in range(2 * KEPT_AFTER_END):
            lane.start(f"{number}", f"{number}", nothing)
            lane.stop(f"{number}")
        assert len(lane.views()) == KEPT_AFTER_END + 1
    assert str(ended(lane, "first").error) == "No luck."
    assert len(lane.views()) == KEPT_AFTER_END


def test_jobs_that_wait_are_never_dropped(lane: JobQueue) -> None:
    with busy(lane):
        for number in range(3 * KEPT_AFTER_END):
            lane.start(f"{number}", f"{number}", nothing)
        assert len(lane.views()) == 3 * KEPT_AFTER_END + 1


def test_views_of_what_nobody_asked_for(lane: JobQueue) -> None:
    assert lane.views() == ()
    assert lane.view("a") is None
    assert lane.wait("a", SOON) is None


def test_wait_gives_up_after_its_time_and_shows_how_it_stands(lane: JobQueue) -> None:
    with busy(lane):
        view = lane.wait("first", 0.0)
        assert view is not None
        assert view.state is JobState.RUNNING


# -- progress ------------------------------------------------------------------------------------------------------
def test_progress_speed_and_time_left() -> None:
    clock = Clock()
    lane = JobQueue("test", clock)
    told, may_end = threading.Event(), threading.Event()

    def work(handle: JobContext) -> None:
        handle.report("fetching", 100, 1_000)
        clock.now += 2
        handle.report("fetching", 300, 1_000)
        told.set()
        assert may_end.wait(SOON)

    lane.start("a", "A", work)
    assert told.wait(SOON)
    running = lane.view("a")
    may_end.set()
    assert running == JobView("a", 1, "A", JobState.RUNNING, "fetching", 300, 1_000, speed=100.0, seconds_left=7.0)
    assert ended(lane, "a").done == 300, "what was done stays readable"


def test_each_phase_has_a_speed_of_its_own() -> None:
    """What was there already is hashed much faster than the rest arrives."""
    clock = Clock()
    handle = JobContext(clock)
    handle.report("resuming", 0, 1_000)
    clock.now += 1
    handle.report("resuming", 800, 1_000)
    assert handle.measured() == ("resuming", 800, 1_000, 800.0, 0.25)
    handle.report("fetching", 800, 1_000)
    assert handle.measured() == ("fetching", 800, 1_000, None, None)
    clock.now += 1
    handle.report("fetching", 850, 1_000)
    assert handle.measured() == ("fetching", 850, 1_000, 50.0, 3.0)


def test_work_of_which_nobody_knows_the_size() -> None:
    clock = Clock()
    handle = JobContext(clock)
    assert handle.measured() == ("", 0, None, None, None)
    handle.report("fetching", 0, None)
    clock.now += 1
    handle.report("fetching", 10, None)
    assert handle.measured() == ("fetching", 10, None, 10.0, None)


def test_what_was_kept_from_before_is_no_speed() -> None:
    clock = Clock()
    handle = JobContext(clock)
    handle.report("fetching", 100, 1_000, kept=100)
    clock.now += 1
    handle.report("fetching", 550, 1_000, kept=500)  # 400 more were found on the disk
    assert handle.measured() == ("fetching", 550, 1_000, 50.0, 9.0)


# -- pausing -------------------------------------------------------------------------------------------------------
def state_of(lane: JobQueue, key: str) -> JobState | None:
    view = lane.view(key)
    return view.state if view is not None else None


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_a_paused_job_lets_the_next_one_run_and_goes_on_before_later_ones(lane: JobQueue) -> None:
    order: list[str] = []
    runs: list[Work] = [Work(), Work()]
    attempts = iter(runs)
    lane.start("first", "First", lambda handle: next(attempts)(handle))
    assert runs[0].begun.wait(SOON)
    held = Work()
    lane.start("second", "Second", held)
    lane.start("third", "Third", lambda handle: order.append("third"))
    lane.pause("first")
    assert (view := lane.view("first")) is not None
    assert (view.state, view.wish) == (JobState.RUNNING, PendingCommand.PAUSE)
    runs[0].may_end.set()
    assert held.begun.wait(SOON)
    assert state_of(lane, "first") is JobState.PAUSED
    lane.resume("first")
    runs[1].may_end.set()
    held.may_end.set()
    ended(lane, "third")
    assert ended(lane, "first").state is JobState.DONE
    assert runs[1].begun.is_set()
    assert runs[1].stopped is False, "the second run is not stopped by the pause of the first"


def test_resumed_before_it_had_stopped_it_runs_again(lane: JobQueue) -> None:
    runs = [Work(), Work()]
    attempts = iter(runs)
    lane.start("a", "A", lambda handle: next(attempts)(handle))
    assert runs[0].begun.wait(SOON)
    lane.pause("a")
    lane.resume("a")
    for work in runs:
        work.may_end.set()
    assert ended(lane, "a").state is JobState.DONE
    assert runs[0].stopped


def test_a_paused_job_is_asked_for_again_and_goes_on(lane: JobQueue) -> None:
    with busy(lane):
        lane.start("second", "Second", nothing)
        lane.pause("second")
    assert state_of(lane, "second") is JobState.PAUSED
    lane.start("second", "Second", nothing)
    assert ended(lane, "second").state is JobState.DONE


def test_what_has_failed_is_tried_again_with_the_same_work(lane: JobQueue) -> None:
    attempts = iter([NetworkError(msg("No luck.")), None])

    def work(handle: JobContext) -> None:
        if (error := next(attempts)) is not None:
            raise error

    lane.start("a", "A", work)
    assert ended(lane, "a").state is JobState.FAILED
    lane.retry("a")
    until(lambda: state_of(lane, "a") is JobState.DONE)
    assert ended(lane, "a").error is None


def test_the_order_is_changed(lane: JobQueue) -> None:
    order: list[str] = []
    with busy(lane):
        for name in ("a", "b", "c"):
            lane.start(name, name, lambda handle, name=name: order.append(name))  # type: ignore[misc]
        lane.move("c", Step.FRONT)
        lane.move("a", Step.DOWN)
        assert [view.place for view in lane.views()] == [None, 1, 2, 3]
    for name in order:
        ended(lane, name)
    until(lambda: len(order) == 3)
    assert order == ["c", "b", "a"]


# -- what follows the end ------------------------------------------------------------------------------------------
def test_how_a_job_ended_is_told_before_it_is_seen(lane: JobQueue) -> None:
    told: list[tuple[JobState, JobState | None]] = []

    def after(state: JobState, error: Message | None) -> None:
        told.append((state, state_of(lane, "first")))

    work = Work()
    lane.start("first", "First", work, after)
    assert work.begun.wait(SOON)
    lane.stop("first")
    assert told == [], "it has not really stopped yet"
    work.may_end.set()
    assert ended(lane, "first").state is JobState.STOPPED
    assert told == [(JobState.STOPPED, JobState.RUNNING)]


def test_a_pause_is_no_end(lane: JobQueue) -> None:
    told: list[JobState] = []
    with busy(lane):
        lane.start("second", "Second", nothing, lambda state, error: told.append(state))
        lane.pause("second")
    assert told == []
    lane.stop("second")
    assert told == [JobState.STOPPED]


def test_what_goes_wrong_afterwards_changes_nothing(lane: JobQueue, caplog: pytest.LogCaptureFixture) -> None:
    def after(state: JobState, error: Message | None) -> None:
        raise OSError("the disk is full")

    lane.start("a", "A", nothing, after)
    assert ended(lane, "a").state is JobState.DONE
    assert "the disk is full" in caplog.text


def test_a_stopped_one_and_its_follower_of_the_same_name(lane: JobQueue) -> None:
    told: list[JobState] = []
    with busy(lane) as work:
        lane.stop("first")
        lane.start("first", "First, again", nothing, lambda state, error: told.append(state))
        assert [(view.title, view.state) for view in lane.views()] == [("First, again", JobState.WAITING)]
        work.may_end.set()
        assert ended(lane, "first").state is JobState.DONE
    assert told == [JobState.DONE]
