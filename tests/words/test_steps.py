"""The steps of `python steps.py test` leave out no test of the core."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests import steps

TESTS = Path(__file__).parents[1]


def files_of(paths: Iterable[str]) -> set[Path]:
    """The files of tests below some paths, each of which exists."""
    found: set[Path] = set()
    for path in paths:
        place = TESTS / path
        below = [place] if place.is_file() else list(place.rglob("test_*.py"))
        assert below, path
        found.update(below)
    return found


def test_each_test_of_the_core_runs_in_an_environment() -> None:
    oldest = files_of(steps.CORE_TESTS) - files_of(steps.ONCE_TESTS)
    of_the_webui = files_of(steps.WEBUI_CORE_TESTS) - files_of([steps.FAULT_SUITE])
    assert oldest | of_the_webui == files_of(steps.CORE_TESTS)


def test_tests_of_torch_run_where_it_is() -> None:
    of_the_core = files_of(steps.CORE_TESTS) - {Path(__file__)}
    needing = {path for path in of_the_core if 'importorskip("torch")' in path.read_text("utf-8")}
    assert needing <= files_of(steps.WEBUI_CORE_TESTS)


def test_each_version_of_the_hub_library_runs_what_meets_it() -> None:
    assert files_of(steps.HUB_TESTS) <= files_of(steps.CORE_TESTS) - files_of(steps.ONCE_TESTS)
    assert files_of(steps.HUB_TESTS) <= files_of(steps.WEBUI_CORE_TESTS)


def test_paths_of_the_other_steps_exist() -> None:
    paths = [*steps.GRADIO_4_TESTS, *steps.QUICK_TESTS, steps.DIFFUSERS_TESTS]
    paths += [steps.REFORGE_GUARDS, steps.NEO_GUARDS]
    files_of(path.removeprefix("--ignore=").removeprefix("tests/") for path in paths)
