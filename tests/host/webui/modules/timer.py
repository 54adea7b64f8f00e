"""Imitates modules/timer.py: seconds by category, with subcategories joined by slashes."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any


class TimerSubcategory:
    """Between enter and exit, what is recorded stands below `category/`."""

    def __init__(self, timer: Timer, category: str) -> None:
        self.timer = timer
        self.category = category
        self.start = 0.0
        self.original_base_category = timer.base_category

    def __enter__(self) -> None:
        self.start = time.time()
        self.timer.base_category = f"{self.original_base_category}{self.category}/"

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.timer.base_category = self.original_base_category
        self.timer.add_time_to_record(self.original_base_category + self.category, time.time() - self.start)
        self.timer.record(self.category, disable_log=True)


class Timer:
    """`record(what)` counts the time since the last record as spent on it."""

    def __init__(self, print_log: bool = False) -> None:
        self.start = time.time()
        self.records: dict[str, float] = {}
        self.total = 0.0
        self.base_category = ""
        self.print_log = print_log

    def elapsed(self) -> float:
        end = time.time()
        spent, self.start = end - self.start, end
        return spent

    def add_time_to_record(self, category: str, amount: float) -> None:
        self.records[category] = self.records.get(category, 0.0) + amount

    def record(self, category: str, extra_time: float = 0, disable_log: bool = False) -> None:
        spent = self.elapsed() + extra_time
        self.add_time_to_record(self.base_category + category, spent)
        self.total += spent
        if self.print_log and not disable_log:
            print(f"{category}: done in {spent:.3f}s")

    def subcategory(self, name: str) -> TimerSubcategory:
        self.elapsed()
        return TimerSubcategory(self, name)

    def summary(self) -> str:
        slow = [f"{name}: {spent:.1f}s" for name, spent in self.records.items() if spent >= 0.1 and "/" not in name]
        return f"{self.total:.1f}s" + (f" ({', '.join(slow)})" if slow else "")

    def dump(self) -> dict[str, Any]:
        return {"total": self.total, "records": self.records}

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


startup_timer = Timer()

startup_record: dict[str, Any] | None = None
"""The dump of the last start or Reload UI; GET /internal/profile-startup answers with it."""
