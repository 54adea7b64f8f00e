"""The error boundary between the extension and a WebUI, at which unexpected errors of the extension are caught.

Each callback, hook, event, route and patch that the WebUI calls is wrapped once, at its registration. A fault is
recorded under the function of the extension that failed: with a traceback in the console the first time, as a count
after that, and as a sentence in the page. The WebUI continues.
"""

from __future__ import annotations

import functools
import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from ..errors import RefusedError
from ..messages import Message, msg

logger = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_FAULTS: Final = 50
"""Distinct faults that are kept. Each further one is a line in the console, without a traceback."""
MAX_REASON_LENGTH: Final = 200
"""Characters of an error's own text that the page shows."""
BOUNDARY_ATTRIBUTE: Final = "__vae_manager_boundary__"
"""An attribute of each function that catches its own errors."""
PACKAGE: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """One function of the extension that does not work on this WebUI."""

    function: Message
    reason: str
    count: int = 1

    @property
    def message(self) -> Message:
        """The sentence for the page and the console; it does not contain the count."""
        return msg(
            "{function} does not work on this WebUI ({reason}). The WebUI itself goes on without it. Please report "
            "this, with the versions of the WebUI and of VAE Manager.",
            code="broken-edge",
            function=self.function,
            reason=self.reason,
        )


class Faults:
    """The faults of the process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[tuple[str, str, str], Fault] = {}
        """By function, kind of error and line of the extension."""

    def record(self, function: Message, error: BaseException) -> Fault:
        """Record an unexpected error of `function`. The console gets its traceback the first time."""
        key = (str(function), type(error).__name__, _innermost_line(error))
        with self._lock:
            known = self._faults.get(key)
            fault = replace(known, count=known.count + 1) if known is not None else Fault(function, _reason(error))
            is_kept = known is not None or len(self._faults) < MAX_FAULTS
            if is_kept:
                self._faults[key] = fault
        if fault.count == 1:
            logger.error("VAE Manager: %s", fault.message, exc_info=error if is_kept else None)
        elif _is_power_of_ten(fault.count):
            logger.error("VAE Manager: %s: the same fault, %d times by now.", function, fault.count)
        return fault

    def all(self) -> Sequence[Fault]:
        """Return one fault for each function and reason, in the order of their first occurrence."""
        with self._lock:
            found = {(str(fault.function), fault.reason): fault for fault in self._faults.values()}
        return list(found.values())

    @contextmanager
    def suppressed(self, function: Message) -> Iterator[None]:
        """Record an error of the body of the `with` statement, and suppress it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the WebUI continues, and the fault is recorded
            self.record(function, error)

    def wrap(
        self, work: Callable[..., Any], function: Message, fallback: Callable[[], Any] = lambda: None
    ) -> Callable[..., Any]:
        """Wrap `work`; the wrapper returns `fallback()` if it raises."""

        @functools.wraps(work)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return work(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - as above
                self.record(function, error)
                return fallback()

        return mark_boundary(wrapper)


FAULTS: Final = Faults()


def mark_boundary(function: Function) -> Function:
    """Mark a function that catches its own errors, so that a test can distinguish it from a forgotten one."""
    setattr(function, BOUNDARY_ATTRIBUTE, True)
    return function


def is_boundary(function: Any) -> bool:
    """Return True if `mark_boundary` was called for this function; tests check every registered one."""
    return bool(getattr(function, BOUNDARY_ATTRIBUTE, False))


def unavailable_error(function: Message) -> RefusedError:
    """Return the refusal of an action that has failed at the error boundary."""
    return RefusedError(
        msg(
            "{function} does not work on this WebUI. Nothing was changed. The console names the cause.",
            code="broken-edge",
            function=function,
        )
    )


def _innermost_line(error: BaseException) -> str:
    """Return the innermost line of the extension in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    return f"{ours[-1].filename}:{ours[-1].lineno}" if ours else ""


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_REASON_LENGTH]


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
