"""The steps of `python tasks.py test` leave out no test of the core."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tasks

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
    oldest = files_of(tasks.CORE_TESTS) - files_of(tasks.ONCE_TESTS)
    of_the_webui = files_of(tasks.WEBUI_CORE_TESTS) - files_of([tasks.FAULT_SUITE])
    assert oldest | of_the_webui == files_of(tasks.CORE_TESTS)


def test_tests_of_torch_run_where_it_is() -> None:
    of_the_core = files_of(tasks.CORE_TESTS) - {Path(__file__)}
    needing = {path for path in of_the_core if 'importorskip("torch")' in path.read_text("utf-8")}
    assert needing <= files_of(tasks.WEBUI_CORE_TESTS)


def test_each_version_of_the_hub_library_runs_what_meets_it() -> None:
    assert files_of(tasks.HUB_TESTS) <= files_of(tasks.CORE_TESTS) - files_of(tasks.ONCE_TESTS)
    assert files_of(tasks.HUB_TESTS) <= files_of(tasks.WEBUI_CORE_TESTS)


def test_paths_of_the_other_steps_exist() -> None:
    paths = [*tasks.GRADIO_4_TESTS, *tasks.QUICK_TESTS, tasks.DIFFUSERS_TESTS]
    paths += [tasks.REFORGE_GUARDS, tasks.NEO_GUARDS]
    files_of(path.removeprefix("--ignore=").removeprefix("tests/") for path in paths)
