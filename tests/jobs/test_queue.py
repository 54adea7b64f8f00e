"""Background work: its order, its end, and what is told of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.failing import has
from vae_manager.errors import Cancelled, NetworkError
from vae_manager.jobs import KEPT_AFTER_END, JobContext, JobQueue, JobState, JobView, Move, PendingCommand
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
def queue() -> JobQueue:
    return JobQueue("test")


@contextmanager
def busy(queue: JobQueue) -> Iterator[Work]:
    """The queue is held by a job called "first" until this ends."""
    work = Work()
    queue.start("first", "First", work)
    assert work.begun.wait(SOON)
    try:
        yield work
    finally:
        work.may_end.set()
        queue.wait("first", SOON)


def ended(queue: JobQueue, key: str) -> JobView:
    view = queue.wait(key, SOON)
    assert view is not None
    assert view.state.ended
    return view


def nothing(handle: JobContext) -> None: ...


def raiser(error: BaseException) -> Callable[[JobContext], None]:
    def work(handle: JobContext) -> None:
        raise error

    return work


# -- order ---------------------------------------------------------------------------------------------------------
def test_jobs_run_in_the_order_in_which_they_were_asked_for(queue: JobQueue) -> None:
    order: list[str] = []
    names = [f"job {number}" for number in range(10)]
    with busy(queue):
        for name in names:
            queue.start(name, name, lambda handle, name=name: order.append(name))  # type: ignore[misc]
        assert [view.key for view in queue.views()] == ["first", *names]
        assert [view.state for view in queue.views()] == [JobState.RUNNING] + [JobState.WAITING] * len(names)
    ended(queue, names[-1])
    assert order == names


def test_one_at_a_time_and_each_on_the_queues_own_thread(queue: JobQueue) -> None:
    at_work: list[int] = []
    threads: set[str] = set()
    alone = threading.Lock()

    def work(handle: JobContext) -> None:
        assert alone.acquire(blocking=False), "two jobs at once"
        threads.add(threading.current_thread().name)
        at_work.append(1)
        alone.release()

    def ask(number: int) -> None:
        queue.start(f"{number}", f"{number}", work)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(KEPT_AFTER_END)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    for number in range(KEPT_AFTER_END):
        assert ended(queue, f"{number}").state is JobState.DONE
    assert len(at_work) == KEPT_AFTER_END
    assert threads == {"vae-manager test"}


def test_the_thread_is_a_daemon_and_starts_with_the_first_job() -> None:
    queue = JobQueue("lazy one")

    def own() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "vae-manager lazy one"]

    assert own() == []
    queue.start("a", "A", nothing)
    ended(queue, "a")
    [thread] = own()
    assert thread.daemon


def test_two_queues_do_not_wait_for_each_other(queue: JobQueue) -> None:
    with busy(queue):
        other = JobQueue("other")
        other.start("a", "A", nothing)
        assert ended(other, "a").state is JobState.DONE


# -- one key, one job ----------------------------------------------------------------------------------------------
def test_asked_for_twice_while_it_runs_or_waits_it_is_one_job(queue: JobQueue) -> None:
    calls: list[str] = []
    with busy(queue):
        queue.start("first", "First again", lambda handle: calls.append("first again"))
        queue.start("second", "Second", lambda handle: calls.append("second"))
        queue.start("second", "Second again", lambda handle: calls.append("second again"))
        assert [(view.key, view.title) for view in queue.views()] == [("first", "First"), ("second", "Second")]
    ended(queue, "second")
    assert calls == ["second"]


def test_an_ended_job_can_be_asked_for_again_and_starts_clean(queue: JobQueue) -> None:
    def failing(handle: JobContext) -> None:
        handle.report("fetching", 10, 20)
        raise NetworkError(msg("No luck."))

    queue.start("a", "A", failing)
    assert str(ended(queue, "a").error) == "No luck."
    queue.start("b", "B", nothing)
    ended(queue, "b")
    with busy(queue):
        queue.start("a", "A, once more", nothing)
        assert queue.view("a") == JobView("a", 4, "A, once more", JobState.WAITING, position=1)
        assert [view.key for view in queue.views()] == ["b", "first", "a"]
    assert ended(queue, "a") == JobView("a", 4, "A, once more", JobState.DONE)


def test_each_asking_has_a_number_of_its_own(queue: JobQueue) -> None:
    """So that a page can tell a job from the one of the same key before it."""
    with busy(queue):
        for key in ("first", "second", "second", "third"):
            queue.start(key, key, nothing)
        assert [(view.key, view.serial) for view in queue.views()] == [("first", 1), ("second", 2), ("third", 3)]
    ended(queue, "third")
    queue.start("second", "Second", nothing)
    assert ended(queue, "second").serial == 4


# -- stopping ------------------------------------------------------------------------------------------------------
def test_a_job_that_waits_never_starts_when_it_is_stopped(queue: JobQueue) -> None:
    work = Work()
    with busy(queue):
        queue.start("second", "Second", work)
        queue.stop("second")
        assert ended(queue, "second").state is JobState.STOPPED
        queue.start("third", "Third", nothing)
    ended(queue, "third")
    assert not work.begun.is_set()


def test_a_job_that_runs_hears_of_it_and_ends_as_stopped(queue: JobQueue) -> None:
    with busy(queue) as work:
        queue.stop("first")
        view = queue.view("first")
        assert view is not None
        assert view.state is JobState.RUNNING, "it has not ended yet"
        work.may_end.set()
        assert ended(queue, "first") == JobView("first", 1, "First", JobState.STOPPED)
    assert work.stopped


def test_work_that_is_done_before_it_hears_of_the_stop_is_done(queue: JobQueue) -> None:
    asked = threading.Event()

    def deaf(handle: JobContext) -> None:
        assert asked.wait(SOON)

    queue.start("a", "A", deaf)
    queue.stop("a")
    asked.set()
    # Stopped when the stop came before its turn, else it went through: never something in between.
    assert ended(queue, "a").state in (JobState.DONE, JobState.STOPPED)


def test_to_stop_what_is_unknown_or_has_ended_does_nothing(queue: JobQueue) -> None:
    queue.stop("nobody")
    queue.start("a", "A", nothing)
    ended(queue, "a")
    queue.stop("a")
    assert ended(queue, "a").state is JobState.DONE


def test_a_stopped_job_can_be_asked_for_again(queue: JobQueue) -> None:
    with busy(queue):
        queue.start("second", "Second", nothing)
        queue.stop("second")
        queue.start("second", "Second", nothing)
    assert ended(queue, "second").state is JobState.DONE


# -- errors --------------------------------------------------------------------------------------------------------
def test_an_error_of_the_project_is_shown_as_its_sentence(queue: JobQueue, caplog: pytest.LogCaptureFixture) -> None:
    message = msg("{host} is too far.", host="hub.example")
    queue.start("a", "ft-MSE", raiser(NetworkError(message)))
    view = ended(queue, "a")
    assert (view.state, view.error) == (JobState.FAILED, message)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, f"ft-MSE: {message}")
    assert record.exc_info is None, "it needs no traceback"


def test_an_unexpected_error_becomes_a_sentence_and_its_traceback_goes_to_the_console(
    queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.start("a", "ft-MSE", raiser(KeyError("{odd}")))
    view = ended(queue, "a")
    assert view.state is JobState.FAILED
    assert view.error is not None
    assert view.error.code == "unexpected-error" and has(view.error, title="ft-MSE", error="KeyError: '{odd}'")
    assert "KeyError: '{odd}'" in str(view.error), "what fills a message is not filled"
    [record] = caplog.records
    assert record.exc_info is not None


def test_the_queue_goes_on_after_a_failure(queue: JobQueue) -> None:
    with busy(queue):
        queue.start("second", "Second", raiser(RuntimeError("odd")))
        queue.start("third", "Third", raiser(NetworkError(msg("No luck."))))
        queue.start("fourth", "Fourth", nothing)
    assert ended(queue, "fourth").state is JobState.DONE
    assert [ended(queue, key).state for key in ("second", "third")] == [JobState.FAILED] * 2


# -- what stays in view --------------------------------------------------------------------------------------------
def test_forget_drops_what_has_ended_and_nothing_else(queue: JobQueue) -> None:
    queue.start("old", "Old", nothing)
    ended(queue, "old")
    with busy(queue):
        queue.start("second", "Second", nothing)
        for key in ("old", "first", "second", "nobody"):
            queue.forget(key)
        assert [view.key for view in queue.views()] == ["first", "second"]
    assert queue.view("old") is None


def test_ended_jobs_stay_until_enough_others_have_ended(queue: JobQueue) -> None:
    for number in range(KEPT_AFTER_END):
        queue.start(f"{number}", f"{number}", nothing)
        ended(queue, f"{number}")
    assert len(queue.views()) == KEPT_AFTER_END
    with busy(queue):
        assert queue.view("0") is not None
    assert [view.key for view in queue.views()] == [*(f"{number}" for number in range(1, KEPT_AFTER_END)), "first"]


def test_what_has_just_ended_is_not_dropped_for_what_was_stopped_before_its_turn(queue: JobQueue) -> None:
    with busy(queue) as work:
        work.error = NetworkError(msg("No luck."))
        for number in range(2 * KEPT_AFTER_END):
            queue.start(f"{number}", f"{number}", nothing)
            queue.stop(f"{number}")
        assert len(queue.views()) == KEPT_AFTER_END + 1
    assert str(ended(queue, "first").error) == "No luck."
    assert len(queue.views()) == KEPT_AFTER_END


def test_jobs_that_wait_are_never_dropped(queue: JobQueue) -> None:
    with busy(queue):
        for number in range(3 * KEPT_AFTER_END):
            queue.start(f"{number}", f"{number}", nothing)
        assert len(queue.views()) == 3 * KEPT_AFTER_END + 1


def test_views_of_what_nobody_asked_for(queue: JobQueue) -> None:
    assert queue.views() == ()
    assert queue.view("a") is None
    assert queue.wait("a", SOON) is None


def test_wait_gives_up_after_its_time_and_shows_how_it_stands(queue: JobQueue) -> None:
    with busy(queue):
        view = queue.wait("first", 0.0)
        assert view is not None
        assert view.state is JobState.RUNNING


# -- progress ------------------------------------------------------------------------------------------------------
def test_progress_speed_and_time_left() -> None:
    clock = Clock()
    queue = JobQueue("test", clock)
    told, may_end = threading.Event(), threading.Event()

    def work(handle: JobContext) -> None:
        handle.report("fetching", 100, 1_000)
        clock.now += 2
        handle.report("fetching", 300, 1_000)
        told.set()
        assert may_end.wait(SOON)

    queue.start("a", "A", work)
    assert told.wait(SOON)
    running = queue.view("a")
    may_end.set()
    assert running == JobView("a", 1, "A", JobState.RUNNING, "fetching", 300, 1_000, speed=100.0, seconds_left=7.0)
    assert ended(queue, "a").done == 300, "what was done stays readable"


def test_each_phase_has_a_speed_of_its_own() -> None:
    """What was there already is hashed much faster than the rest arrives."""
    clock = Clock()
    handle = JobContext(clock)
    handle.report("resuming", 0, 1_000)
    clock.now += 1
    handle.report("resuming", 800, 1_000)
    assert handle.snapshot() == ("resuming", 800, 1_000, 800.0, 0.25)
    handle.report("fetching", 800, 1_000)
    assert handle.snapshot() == ("fetching", 800, 1_000, None, None)
    clock.now += 1
    handle.report("fetching", 850, 1_000)
    assert handle.snapshot() == ("fetching", 850, 1_000, 50.0, 3.0)


def test_work_of_which_nobody_knows_the_size() -> None:
    clock = Clock()
    handle = JobContext(clock)
    assert handle.snapshot() == ("", 0, None, None, None)
    handle.report("fetching", 0, None)
    clock.now += 1
    handle.report("fetching", 10, None)
    assert handle.snapshot() == ("fetching", 10, None, 10.0, None)


def test_what_was_kept_from_before_is_no_speed() -> None:
    clock = Clock()
    handle = JobContext(clock)
    handle.report("fetching", 100, 1_000, kept=100)
    clock.now += 1
    handle.report("fetching", 550, 1_000, kept=500)  # 400 more were found on the disk
    assert handle.snapshot() == ("fetching", 550, 1_000, 50.0, 9.0)


# -- pausing -------------------------------------------------------------------------------------------------------
def state_of(queue: JobQueue, key: str) -> JobState | None:
    view = queue.view(key)
    return view.state if view is not None else None


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_a_paused_job_lets_the_next_one_run_and_goes_on_before_later_ones(queue: JobQueue) -> None:
    order: list[str] = []
    runs: list[Work] = [Work(), Work()]
    attempts = iter(runs)
    queue.start("first", "First", lambda handle: next(attempts)(handle))
    assert runs[0].begun.wait(SOON)
    held = Work()
    queue.start("second", "Second", held)
    queue.start("third", "Third", lambda handle: order.append("third"))
    queue.pause("first")
    assert (view := queue.view("first")) is not None
    assert (view.state, view.command) == (JobState.RUNNING, PendingCommand.PAUSE)
    runs[0].may_end.set()
    assert held.begun.wait(SOON)
    assert state_of(queue, "first") is JobState.PAUSED
    queue.resume("first")
    runs[1].may_end.set()
    held.may_end.set()
    ended(queue, "third")
    assert ended(queue, "first").state is JobState.DONE
    assert runs[1].begun.is_set()
    assert runs[1].stopped is False, "the second run is not stopped by the pause of the first"


def test_resumed_before_it_had_stopped_it_runs_again(queue: JobQueue) -> None:
    runs = [Work(), Work()]
    attempts = iter(runs)
    queue.start("a", "A", lambda handle: next(attempts)(handle))
    assert runs[0].begun.wait(SOON)
    queue.pause("a")
    queue.resume("a")
    for work in runs:
        work.may_end.set()
    assert ended(queue, "a").state is JobState.DONE
    assert runs[0].stopped


def test_a_paused_job_is_asked_for_again_and_goes_on(queue: JobQueue) -> None:
    with busy(queue):
        queue.start("second", "Second", nothing)
        queue.pause("second")
    assert state_of(queue, "second") is JobState.PAUSED
    queue.start("second", "Second", nothing)
    assert ended(queue, "second").state is JobState.DONE


def test_what_has_failed_is_tried_again_with_the_same_work(queue: JobQueue) -> None:
    attempts = iter([NetworkError(msg("No luck.")), None])

    def work(handle: JobContext) -> None:
        if (error := next(attempts)) is not None:
            raise error

    queue.start("a", "A", work)
    assert ended(queue, "a").state is JobState.FAILED
    queue.retry("a")
    until(lambda: state_of(queue, "a") is JobState.DONE)
    assert ended(queue, "a").error is None


def test_the_order_is_changed(queue: JobQueue) -> None:
    order: list[str] = []
    with busy(queue):
        for name in ("a", "b", "c"):
            queue.start(name, name, lambda handle, name=name: order.append(name))  # type: ignore[misc]
        queue.move("c", Move.FRONT)
        queue.move("a", Move.DOWN)
        assert [view.position for view in queue.views()] == [None, 1, 2, 3]
    for name in order:
        ended(queue, name)
    until(lambda: len(order) == 3)
    assert order == ["c", "b", "a"]


# -- what follows the end ------------------------------------------------------------------------------------------
def test_how_a_job_ended_is_told_before_it_is_seen(queue: JobQueue) -> None:
    told: list[tuple[JobState, JobState | None]] = []

    def after(state: JobState, error: Message | None) -> None:
        told.append((state, state_of(queue, "first")))

    work = Work()
    queue.start("first", "First", work, after)
    assert work.begun.wait(SOON)
    queue.stop("first")
    assert told == [], "it has not really stopped yet"
    work.may_end.set()
    assert ended(queue, "first").state is JobState.STOPPED
    assert told == [(JobState.STOPPED, JobState.RUNNING)]


def test_a_pause_is_no_end(queue: JobQueue) -> None:
    told: list[JobState] = []
    with busy(queue):
        queue.start("second", "Second", nothing, lambda state, error: told.append(state))
        queue.pause("second")
    assert told == []
    queue.stop("second")
    assert told == [JobState.STOPPED]


def test_what_goes_wrong_afterwards_changes_nothing(queue: JobQueue, caplog: pytest.LogCaptureFixture) -> None:
    def after(state: JobState, error: Message | None) -> None:
        raise OSError("the disk is full")

    queue.start("a", "A", nothing, after)
    assert ended(queue, "a").state is JobState.DONE
    assert "the disk is full" in caplog.text


def test_a_stopped_one_and_its_follower_of_the_same_name(queue: JobQueue) -> None:
    told: list[JobState] = []
    with busy(queue) as work:
        queue.stop("first")
        queue.start("first", "First, again", nothing, lambda state, error: told.append(state))
        assert [(view.title, view.state) for view in queue.views()] == [("First, again", JobState.WAITING)]
        work.may_end.set()
        assert ended(queue, "first").state is JobState.DONE
    assert told == [JobState.DONE]
