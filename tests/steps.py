"""The steps of a test run: which tests run in which environment, and which steps run side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.environments import (
    DIFFUSERS_ENVIRONMENT,
    GRADIO_4_ENVIRONMENT,
    HUB_VERSIONS,
    WEBUI_ENVIRONMENT,
    Environment,
    hub_environment,
    hub_environments,
)


@dataclass(frozen=True)
class Step:
    """One process: its name for people, where it runs, and the arguments of Python."""

    name: str
    environment: Environment
    arguments: Sequence[str]
    yields: bool = False
    """It computes only while the steps that do not yield leave a processor."""


CORE_TESTS = [
    "catalogue",
    "files",
    "records",
    "library",
    "transfer",
    "jobs",
    "hub",
    "cli",
    "service",
    "sync",
    "maintenance",
    "words",
]
"""Folders of tests that need neither gradio, nor torch, nor a browser. The oldest Python runs them, with the oldest
huggingface_hub."""

HUB_TESTS = ["hub", "cli/test_get.py", "cli/test_already_here.py", "cli/test_sync.py", "cli/test_exit_status.py",
             "transfer/test_deliver.py", "transfer/test_security.py", "transfer/test_buckets.py",
             "transfer/test_mirrors.py", "transfer/test_hub_listing.py"]  # fmt: skip
"""Tests of the code that uses huggingface_hub: addresses, tokens, endpoints, answers. Each version runs them."""

FAULT_SUITE = "transfer/suite/test_suite.py"
"""The oldest and the newest version run it; those between the two ends have the same line."""

ONCE_TESTS = ["transfer/test_power_loss.py", "transfer/test_kills.py", "transfer/test_processes.py",
              "transfer/suite/test_journal.py", "files/test_fuzz.py", "files/conversion/test_streaming.py"]  # fmt: skip
"""The longest ones. They look at bytes on the disk or damage them, which no other Python reads or writes otherwise: the
WebUI's environment runs them alone."""

WEBUI_CORE_TESTS = ["hub", "cli/test_get.py", "cli/test_already_here.py", "cli/test_sync.py", "cli/test_exit_status.py",
                    "cli/test_terminal.py", "cli/test_report.py", "files", "transfer",
                    "records/test_promises.py"]  # fmt: skip
"""Of the core's tests, those that the WebUI's environment runs: its torch, Python, urllib3 and hub library are other
readers of files and other sockets. The rest depends on neither and runs on the oldest Python alone; with `--matrix`
each environment runs all of them."""

DIFFUSERS_TESTS = "tests/files/conversion/test_diffusers.py"
"""They hold conversions against diffusers' own loader, in an environment that has it."""

BROWSER_TESTS = "tests/browser"

BY_FILE = ["-m", "pytest", "-q", "-n", "3", "--dist", "loadfile"]
"""Arguments of such a run: a module has one WebUI, and its tests wait for pages, pictures and downloads."""

PAGE_TESTS = [f"{BROWSER_TESTS}/test_main_job.py", f"{BROWSER_TESTS}/test_foreign_pages.py", "tests/host/test_page.py"]
"""What depends on the generation of gradio most, run on the other one too; the rest of the folder passes there as well,
and takes as long again."""

FORGE_TESTS = ["tests/forge", "tests/neo", "tests/host/test_forge.py"]
"""On the gradio that Forge and Neo have."""

FORGE_GUARDS = "tests/forge/test_guards.py"
"""Each run tries a third of its square of bad files and ways; `--matrix` tries all of it."""

NEO_GUARDS = "tests/neo/test_guards.py"

REFORGE_GUARDS = "tests/reforge/test_guards.py"
"""The guards of Forge and of A1111, which each run tries, once more by the rules of their kin: `--matrix` runs them."""

GRADIO_4_TESTS = [*PAGE_TESTS, *FORGE_TESTS, "tests/admission", f"--ignore={NEO_GUARDS}"]
"""Admission on both generations: each has paths of its own to an event."""

QUICK_TESTS = ["tests/catalogue", "tests/words", "tests/records/test_verdict.py", "tests/files/test_inspection.py",
               "tests/files/test_renaming.py", "tests/jobs", "tests/maintenance"]  # fmt: skip
"""Pure tests that `check` runs: neither sockets nor another process."""


def environment_of(path: str) -> Environment:
    """The environment that the tests below `path` need."""
    if path.startswith(DIFFUSERS_TESTS):
        return DIFFUSERS_ENVIRONMENT
    return GRADIO_4_ENVIRONMENT if path.startswith(tuple(FORGE_TESTS)) else WEBUI_ENVIRONMENT


def static_checks() -> list[Step]:
    """Steps that read the source alone."""
    return [
        Step("ruff", WEBUI_ENVIRONMENT, ["-m", "ruff", "check", "."]),
        Step("format", WEBUI_ENVIRONMENT, ["-m", "ruff", "format", "--check", "."]),
        Step("mypy", WEBUI_ENVIRONMENT, ["-m", "mypy"]),
        Step("layers", WEBUI_ENVIRONMENT, ["-c", "from importlinter.cli import lint_imports_command as run; run()"]),
    ]


def quick_steps() -> list[Step]:
    """What is quick: linters, formatter, types, layers and pure tests."""
    return [
        *static_checks(),
        Step("pure tests", WEBUI_ENVIRONMENT, ["-m", "pytest", "-q", "-n", "2", *QUICK_TESTS]),
    ]


AT_ONCE = 4
"""Steps that run side by side: two of pages, which wait most of their time, and two that compute."""


def all_steps() -> list[Step]:
    """All steps, the longest first, so that the last ones to end are short.

    Those that compute yield to the tests of pages, which take longest since they wait most of their time.
    """
    folders = [f"tests/{name}" for name in CORE_TESTS]
    oldest, *newer = hub_environments()
    pages = [
        Step("the page in a browser", WEBUI_ENVIRONMENT, [*BY_FILE, BROWSER_TESTS]),
        Step("Forge, and the page on gradio 4.40", GRADIO_4_ENVIRONMENT, [*BY_FILE, *GRADIO_4_TESTS]),
    ]
    computing = [
        Step(
            "the host and all else",
            WEBUI_ENVIRONMENT,
            others([*folders, BROWSER_TESTS, *FORGE_TESTS, REFORGE_GUARDS]),
        ),
        Step(f"the core's tests, {oldest.name}", oldest, core(CORE_TESTS, ONCE_TESTS)),
        Step(
            "the core's tests that meet torch, files and sockets",
            WEBUI_ENVIRONMENT,
            core(WEBUI_CORE_TESTS, [FAULT_SUITE]),
        ),
        Step(f"what meets {newer[-1].name}", newer[-1], core([*HUB_TESTS, FAULT_SUITE])),
        *(Step(f"what meets {one.name}", one, core(HUB_TESTS)) for one in newer[:-1]),
        Step(
            "conversions against diffusers", DIFFUSERS_ENVIRONMENT, ["-m", "pytest", "-q", "-n", "2", DIFFUSERS_TESTS]
        ),
        *static_checks(),
    ]
    return [*pages, *(replace(step, yields=True) for step in computing)]


def matrix() -> list[Step]:
    """All of the core's tests under each Python and huggingface_hub; all guards by the rules of A1111's forks."""
    guards: list[Step] = [
        Step("the guards on Forge", GRADIO_4_ENVIRONMENT, [*BY_FILE, FORGE_GUARDS, "--forks-too"]),
        Step("the guards on Neo", GRADIO_4_ENVIRONMENT, [*BY_FILE, NEO_GUARDS, "--forks-too"]),
        Step("the guards on reForge", WEBUI_ENVIRONMENT, [*BY_FILE, REFORGE_GUARDS, "--forks-too"]),
    ]
    environments = [WEBUI_ENVIRONMENT, *hub_environments(), *map(hub_environment, HUB_VERSIONS)]
    steps: list[Step] = [
        Step(f"the core's tests, {one.name}", one, core(CORE_TESTS)) for one in dict.fromkeys(environments)
    ]
    return [*steps, *guards]


def others(folders: Sequence[str]) -> list[str]:
    """All but those of some folders, two at a time: they start WebUIs, and wait for them. Each worker takes a row of
    files, so that a module's WebUI is seldom started by both."""
    return ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *(f"--ignore={folder}" for folder in folders)]


def core(paths: Sequence[str], but: Sequence[str] = ()) -> list[str]:
    """Some of the core's tests, several at a time: many wait, for sockets and for other processes."""
    left_out = [f"--ignore=tests/{path}" for path in but]
    return ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *(f"tests/{path}" for path in paths), *left_out]
