"""Imitates modules_forge/main_thread.py: work for the main thread. What it raises is printed, and nobody told."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable
from typing import Any


class Task:
    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs
        self.result: Any = None
        self.done = threading.Event()

    def work(self) -> None:
        self.result = self.func(*self.args, **self.kwargs)


_waiting: queue.Queue[Task] = queue.Queue()


def loop() -> None:
    while True:
        task = _waiting.get()
        try:
            task.work()
        except Exception:
            traceback.print_exc()
        task.done.set()


def async_run(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
    task = Task(func, args, kwargs)
    _waiting.put(task)
    return task


def run_and_wait_result(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """In the main thread itself reForge's would wait for ever: here that raises."""
    if threading.current_thread() is threading.main_thread():
        raise RuntimeError("the main thread waits for itself")
    task = async_run(func, *args, **kwargs)
    task.done.wait()
    return task.result
