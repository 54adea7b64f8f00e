"""A run of steps: several at once, with the time of each, and a second try for a few failed tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.environments import ENVIRONMENTS, ROOT, NoPinnedPython, Preparation, say
from tests.steps import Step

SECOND_TRIES = 5
"""The number of failed tests of a step up to which they are run once more."""
CACHES = ROOT / ".pytest_cache"
"""One folder in it for each step: two that run side by side would take each other's record of failed tests."""
OUTPUTS = ENVIRONMENTS / "outputs"
"""What each step has printed, until it ends."""


@dataclass(frozen=True)
class _Result:
    step: Step
    passed: bool


class StepRunner:
    """Runs steps, and keeps what failed."""

    def __init__(self, torch_index: str | None = None) -> None:
        self._torch_index = torch_index
        self._printing = threading.Lock()

    def run(self, steps: Sequence[Step], at_once: int = 1) -> list[str]:
        """Begin the steps in this order, so many at once; return the names of those that failed.

        A failed step does not hide the others. What a step prints beside others is shown when it has ended. Second
        tries come last, with nothing beside them.
        """
        is_shown_at_once = at_once == 1
        with (
            Preparation([step.environment for step in steps], self._torch_index) as preparation,
            ThreadPoolExecutor(max_workers=at_once) as threads,
        ):
            futures = [threads.submit(self._result_of, step, preparation, is_shown_at_once) for step in steps]
            results = [future.result() for future in futures]
        return [one.step.name for one in results if not one.passed and not self._passes_again(one.step)]

    def _result_of(self, step: Step, preparation: Preparation, is_shown_at_once: bool) -> _Result:
        return _Result(step, self._run_step(step, preparation, is_shown_at_once))

    def _run_step(self, step: Step, preparation: Preparation, is_shown_at_once: bool) -> bool:
        try:
            preparation.wait_for(step.environment)
        except (subprocess.CalledProcessError, NoPinnedPython) as error:
            say(f"── {step.name}: FAILED, since its environment cannot be made: {error}")
            return False
        shutil.rmtree(_cache_of(step), ignore_errors=True)
        if is_shown_at_once:
            say(f"── {step.name}")
            done = step.environment.run(*_arguments(step), yields=step.yields)
        else:
            OUTPUTS.mkdir(parents=True, exist_ok=True)
            output = OUTPUTS / f"{_label(step)}.txt"
            with output.open("wb") as file:
                done = step.environment.run(*_arguments(step), output=file, yields=step.yields)
        with self._printing:
            if not is_shown_at_once:
                say(f"── {step.name}")
                sys.stdout.write(output.read_text(encoding="utf-8", errors="replace"))
            passed = "passed" if done.status == 0 else "FAILED"
            say(f"── {step.name}: {passed} in {done.seconds:.0f} s ({done.processor_seconds:.0f} s of processors)")
        return done.status == 0

    def _passes_again(self, step: Step) -> bool:
        """Run the failed tests of a step once more, in a new process, and say which; return False if any fails again.

        A busy machine may miss a moment of a browser or of a killed process. Such a test is a fault to mend, which is
        why each is named; it does not hide what the others have shown. More than a few failures are no such moment.
        """
        try:
            failed = sorted(json.loads((_cache_of(step) / "v/cache/lastfailed").read_text(encoding="utf-8")))
        except FileNotFoundError:  # no test failed: it is no run of pytest, or pytest itself has failed
            return False
        if not 0 < len(failed) <= SECOND_TRIES:
            return False
        say(f"── Once more, since a busy machine may be the reason: {', '.join(failed)}")
        passed = step.environment.run("-m", "pytest", "-q", *failed).status == 0
        if passed:
            say(f"── FAILED ONCE, PASSED AT A SECOND TRY: {', '.join(failed)}")
        return passed


def summary(failed: Sequence[str]) -> int:
    """Say what failed; return the exit status."""
    say(f"Failed: {', '.join(failed)}" if failed else "Everything passed.")
    return 1 if failed else 0


def _arguments(step: Step) -> list[str]:
    cache = ["-o", f"cache_dir={_cache_of(step)}"] if "pytest" in step.arguments else []
    return [*step.arguments, *cache]


def _cache_of(step: Step) -> Path:
    return CACHES / _label(step)


def _label(step: Step) -> str:
    return "".join(character if character.isalnum() else "-" for character in step.name)
