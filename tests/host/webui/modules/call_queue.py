"""Imitates modules/call_queue.py: one lock for all that touches the model, and the wrappers that take it."""

from __future__ import annotations

import functools
import html
import time
from collections.abc import Callable
from typing import Any

from modules import devices, errors, fifo_lock, progress, shared

queue_lock = fifo_lock.FIFOLock()


def wrap_queued_call(func: Callable[..., Any]) -> Callable[..., Any]:
    """`func` behind the lock."""

    def queued(*args: Any, **kwargs: Any) -> Any:
        with queue_lock:
            return func(*args, **kwargs)

    return queued


def wrap_gradio_gpu_call(func: Callable[..., Any], extra_outputs: list[Any] | None = None) -> Callable[..., Any]:
    """A job of the page: behind the lock, known to the progress route if its first argument is a task's id."""

    @functools.wraps(func)
    def job(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else None
        task = first if isinstance(first, str) and first.startswith("task(") and first.endswith(")") else None
        if task:
            progress.add_task_to_queue(task)
        with queue_lock:
            shared.state.begin(job=task)
            progress.start_task(task)
            try:
                result = func(*args, **kwargs)
                progress.record_results(task, result)
            finally:
                progress.finish_task(task)
            shared.state.end()
        return result

    return wrap_gradio_call(job, extra_outputs=extra_outputs, add_stats=True)


def wrap_gradio_call(
    func: Callable[..., Any], extra_outputs: list[Any] | None = None, add_stats: bool = False
) -> Callable[..., Any]:
    """A job that leaves a clean state behind, whatever became of it."""

    @functools.wraps(func)
    def job(*args: Any, **kwargs: Any) -> Any:
        try:
            return func(*args, **kwargs)
        finally:
            shared.state.skipped = shared.state.interrupted = shared.state.stopping_generation = False
            shared.state.job_count = 0
            shared.state.job = ""

    return wrap_gradio_call_no_job(job, extra_outputs, add_stats)


def wrap_gradio_call_no_job(
    func: Callable[..., Any], extra_outputs: list[Any] | None = None, add_stats: bool = False
) -> Callable[..., Any]:
    """An error becomes the last output, in red; with `add_stats` the time taken is added to that output."""

    @functools.wraps(func)
    def call(*args: Any, extra_outputs_array: list[Any] | None = extra_outputs, **kwargs: Any) -> tuple[Any, ...]:
        start = time.perf_counter()
        try:
            result = list(func(*args, **kwargs))
        except Exception as error:
            errors.report("Error completing request", exc_info=True)
            others = [None, ""] if extra_outputs_array is None else extra_outputs_array
            message = html.escape(f"{type(error).__name__}: {error}")
            result = [*others, f"<div class='error'>{message}</div>"]
        devices.torch_gc()
        if add_stats:
            spent = f"{time.perf_counter() - start:.1f} sec."
            result[-1] += (
                f"<div class='performance'><p class='time'>Time taken: <wbr><span class='measurement'>{spent}</span>"
                "</p></div>"
            )
        return tuple(result)

    return call
