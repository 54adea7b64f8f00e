"""Imitates modules_forge/main_thread.py: the one thread in which the page's generations are made, one after the other.

What is wrong there and here: an exception is printed and None comes back; and who calls `run_and_wait_result` in that
thread waits for ever.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

lock = threading.Lock()
last_id = 0
waiting_list: list[Task] = []
finished_list: list[Task] = []
last_exception: Exception | None = None


class Task:
    def __init__(self, task_id: int, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.task_id = task_id
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.exception: Exception | None = None

    def work(self) -> None:
        global last_exception  # as in Forge

        try:
            self.result = self.func(*self.args, **self.kwargs)
            self.exception = last_exception = None
        except Exception as error:
            traceback.print_exc()
            self.exception = last_exception = error


def loop() -> None:
    """Never ends."""
    while True:
        time.sleep(0.01)
        if waiting_list:
            with lock:
                task = waiting_list.pop(0)
            task.work()
            with lock:
                finished_list.append(task)


def async_run(func: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    global last_id  # as in Forge

    with lock:
        last_id += 1
        new_task = Task(task_id=last_id, func=func, args=args, kwargs=kwargs)
        waiting_list.append(new_task)
    return new_task.task_id


def run_and_wait_result(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    current_id = async_run(func, *args, **kwargs)
    while True:
        time.sleep(0.01)
        finished = next((task for task in finished_list.copy() if task.task_id == current_id), None)
        if finished is not None:
            with lock:
                finished_list.remove(finished)
            return finished.result
