"""The project's own tasks, on a fresh machine too: `python tasks.py demo | check | test [PATH…] | docs | prove NAME`.

Everything is installed below `.envs/`: nothing of the system's Python is touched.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".envs"
DEMO = ROOT / "demo-files"
"""Not below a folder whose name begins with a dot: gradio serves no picture from there."""

TORCH = "torch==2.13.0"
TOOLS = ["pytest==9.2.0", "pytest-timeout", "pytest-xdist", "hypothesis"]

WEBUI = [
    # What AUTOMATIC1111's WebUI 1.10.1 pins, as far as the stand-in needs it.
    "gradio==3.41.2",
    "gradio_client==0.5.0",
    "fastapi==0.94.0",
    "pydantic<2",
    "httpx==0.24.1",
    "httpcore==0.15.0",
    "numpy==1.26.2",
    "psutil==5.9.5",
    "Pillow==9.5.0",
    "huggingface_hub==0.36.2",
    "scikit-image==0.21.0",
    "safetensors==0.4.2",
    "requests",
    "playwright",
]
WEBUI_GRADIO_4 = [
    # What Forge dfdcbab6 pins, as far as the stand-in and gradio need it: newer ones are not imported or served by it.
    "gradio==4.40.0",
    "gradio_client==1.2.0",
    "fastapi==0.104.1",
    "starlette==0.27.0",
    "pydantic==2.8.2",
    "httpx==0.24.1",
    "httpcore==0.15.0",
    "numpy==1.26.4",
    "psutil==5.9.5",
    "Pillow==9.5.0",
    "huggingface_hub==0.26.2",
    "scikit-image==0.21.0",
    "safetensors==0.4.2",
    "requests",
    "playwright",
]
DIFFUSERS = ["diffusers==0.42.1", "huggingface_hub==2.4.0", "safetensors==0.8.0", *TOOLS]
LINTERS = ["ruff==0.17.6", "mypy==2.4.1", "import-linter", "types-requests", "types-PyYAML"]

HUB_VERSIONS = ("0.16.4", "0.25.0", "")
"""Versions that hosts have; empty is the newest. 0.36.2 is in the WebUI's environment."""

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
             "transfer/test_hub_listing.py"]  # fmt: skip
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

LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
"""pytest's record of failed tests: a JSON object whose keys are their names."""
SECOND_TRIES = 5
"""The number of failed tests of a step up to which they are run once more."""

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


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what is in it."""

    name: str
    packages: tuple[str, ...]
    torch: bool = False
    interpreter: str = sys.executable
    lender: Environment | None = None
    """One that stands already and has a torch; what is not installed here is used from there."""

    @property
    def python(self) -> Path:
        folder, program = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return ENVIRONMENTS / self.name / folder / program

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> int:
        """Run Python in it, in the project's folder; returns the exit status."""
        command = [str(self.python), *arguments]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode


WEBUI_ENVIRONMENT = Environment("webui", (*WEBUI, *TOOLS, *LINTERS), torch=True)
GRADIO_4_ENVIRONMENT = Environment("webui-gradio4", (*WEBUI_GRADIO_4, *TOOLS), lender=WEBUI_ENVIRONMENT)
DIFFUSERS_ENVIRONMENT = Environment("diffusers", tuple(DIFFUSERS), lender=WEBUI_ENVIRONMENT)


Step = tuple[str, Environment, list[str]]
"""Its name, where it runs, and the arguments of Python."""


def hub_environment(version: str, interpreter: str = sys.executable) -> Environment:
    """A small one, without torch, for one version of huggingface_hub."""
    wanted = f"huggingface_hub=={version}" if version else "huggingface_hub"
    label = "" if interpreter == sys.executable else f"-{Path(interpreter).name}"
    # The oldest one with the urllib3 of its time, which reads in another way.
    http = ["requests", "urllib3<2"] if version == HUB_VERSIONS[0] else ["requests"]
    packages = (wanted, *http, "PyYAML", "filelock", "jinja2", "safetensors", "numpy", *TOOLS)
    return Environment(f"hub-{version or 'newest'}{label}", packages, interpreter=interpreter)


def prepare(environment: Environment, torch_index: str | None = None) -> None:
    """Make the environment, unless it stands already with exactly this Python and these packages."""
    folder = ENVIRONMENTS / environment.name
    interpreter, version = base_python(environment.interpreter)
    recipe = "\n".join([interpreter, version, *environment.packages, TORCH if environment.torch else ""])
    stamp = folder / "recipe.sha256"
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    what = "its recipe has changed" if stamp.exists() else "it is not there"
    say(f"Making the environment {environment.name}, since {what} …")
    shutil.rmtree(folder, ignore_errors=True)
    checked([interpreter, "-m", "venv", str(folder)])
    pip = [str(environment.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if environment.torch or environment.lender is not None:
        # Large, and most of it is never imported: what is imported is compiled then. The tests of small ones start many
        # commands that write no bytecode.
        pip.append("--no-compile")
    if environment.torch:
        provide_torch(environment, pip, torch_index)
    checked([*pip, *environment.packages])
    if environment.lender is not None:  # after pip, which would count what is lent as installed
        borrow(environment, answer(environment.lender, "import torch; print(torch.__file__)").parents[1])
    stamp.write_text(digest)


def base_python(interpreter: str) -> tuple[str, str]:
    """Return the real path of the Python beneath a command or a virtual environment, and its version.

    `python` and `python3` are then the same, and so is the Python of an environment made here: one that is
    replaced cannot run its own replacement.
    """
    program = "import os, sys; print(os.path.realpath(sys._base_executable)); print(sys.version)"
    path, version, *_ = subprocess.check_output([interpreter, "-c", program], text=True).splitlines()
    return path, version


def provide_torch(environment: Environment, pip: Sequence[str], torch_index: str | None) -> None:
    """Lend the torch that this Python has, where it has one; else install one."""
    found = importlib.util.find_spec("torch")
    if found is not None and found.origin is not None and torch_index is None:
        borrow(environment, Path(found.origin).parents[1])
        return
    checked([*pip, TORCH, *(["--index-url", torch_index] if torch_index else [])])


def borrow(environment: Environment, lent: Path) -> None:
    """Let the environment import what is in another folder of packages, where it has none of its own."""
    say(f"Using the torch in {lent}.")
    site = answer(environment, "import sysconfig; print(sysconfig.get_path('purelib'))")
    (site / "lent-torch.pth").write_text(str(lent))


def answer(environment: Environment, program: str) -> Path:
    """The path that a program prints there."""
    return Path(subprocess.check_output([str(environment.python), "-c", program], text=True).strip())


def provide_chromium() -> None:
    """Install Debian's Chromium where that can be done; say so where it cannot."""
    if chromium() is not None:
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("Installing Chromium …")
        checked(["apt-get", "update", "-qq"])
        checked(["apt-get", "install", "-y", "-qq", "chromium", "fonts-noto-cjk"])
        return
    say("There is no Chromium here and it cannot be installed: the browser tests are skipped. Install Chromium.")


def chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


def check(options: argparse.Namespace) -> int:
    """Run what is quick: linters, formatter, types, layers and pure tests."""
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    steps = [*static_checks(), ("pure tests", WEBUI_ENVIRONMENT, ["-m", "pytest", "-q", "-n", "2", *QUICK_TESTS])]
    return summary([name for name, environment, arguments in steps if not timed(name, environment, arguments)])


def static_checks() -> list[Step]:
    """Steps that read the source alone."""
    return [
        ("ruff", WEBUI_ENVIRONMENT, ["-m", "ruff", "check", "."]),
        ("format", WEBUI_ENVIRONMENT, ["-m", "ruff", "format", "--check", "."]),
        ("mypy", WEBUI_ENVIRONMENT, ["-m", "mypy"]),
        ("layers", WEBUI_ENVIRONMENT, ["-c", "from importlinter.cli import lint_imports_command as run; run()"]),
    ]


def test_some(options: argparse.Namespace) -> int:
    """Run the tests of some paths, each in its environment; `-k` chooses among them."""
    chosen: dict[Environment, list[str]] = {}
    for path in options.paths:
        chosen.setdefault(environment_of(path), []).append(path)
    if any(path.startswith((BROWSER_TESTS, "tests/host")) for path in options.paths):
        provide_chromium()
    failed = []
    for environment, paths in chosen.items():
        if environment.lender is not None:
            prepare(environment.lender, options.torch_index)
        expression = ["-k", options.expression] if options.expression else []
        prepare(environment, options.torch_index)
        if environment.run("-m", "pytest", "-q", *expression, *paths) != 0:
            failed += paths
    return summary(failed)


def environment_of(path: str) -> Environment:
    """The environment that the tests below `path` need."""
    if path.startswith(DIFFUSERS_TESTS):
        return DIFFUSERS_ENVIRONMENT
    return GRADIO_4_ENVIRONMENT if path.startswith(tuple(FORGE_TESTS)) else WEBUI_ENVIRONMENT


def test(options: argparse.Namespace) -> int:
    """Set up and run all tests, or those of some paths. Each step is named with its time; the first failure does not
    hide the others."""
    if options.paths or options.expression:
        options.paths = options.paths or ["tests"]
        return test_some(options)
    if options.matrix:
        return summary(run_all(matrix(), options.torch_index))
    provide_chromium()
    folders = [f"tests/{name}" for name in CORE_TESTS]
    steps: list[Step] = [
        *static_checks(),
        (
            "the core's tests that meet torch, files and sockets",
            WEBUI_ENVIRONMENT,
            core(WEBUI_CORE_TESTS, [FAULT_SUITE]),
        ),
        (
            "the host and all else",
            WEBUI_ENVIRONMENT,
            others([*folders, BROWSER_TESTS, *FORGE_TESTS, REFORGE_GUARDS]),
        ),
        ("the page in a browser", WEBUI_ENVIRONMENT, [*BY_FILE, BROWSER_TESTS]),
        ("Forge, and the page on gradio 4.40", GRADIO_4_ENVIRONMENT, [*BY_FILE, *GRADIO_4_TESTS]),
        ("conversions against diffusers", DIFFUSERS_ENVIRONMENT, ["-m", "pytest", "-q", "-n", "2", DIFFUSERS_TESTS]),
    ]
    oldest, *newer = hub_environments()
    steps.append((f"the core's tests, {oldest.name}", oldest, core(CORE_TESTS, ONCE_TESTS)))
    steps += [(f"what meets {one.name}", one, core(HUB_TESTS)) for one in newer[:-1]]
    steps.append((f"what meets {newer[-1].name}", newer[-1], core([*HUB_TESTS, FAULT_SUITE])))
    return summary(run_all(steps, options.torch_index))


def matrix() -> list[Step]:
    """All of the core's tests under each Python and huggingface_hub; all guards by the rules of A1111's forks."""
    guards: list[Step] = [
        ("the guards on Forge", GRADIO_4_ENVIRONMENT, [*BY_FILE, FORGE_GUARDS, "--forks-too"]),
        ("the guards on Neo", GRADIO_4_ENVIRONMENT, [*BY_FILE, NEO_GUARDS, "--forks-too"]),
        ("the guards on reForge", WEBUI_ENVIRONMENT, [*BY_FILE, REFORGE_GUARDS, "--forks-too"]),
    ]
    environments = [WEBUI_ENVIRONMENT, *hub_environments(), *map(hub_environment, HUB_VERSIONS)]
    steps: list[Step] = [
        (f"the core's tests, {one.name}", one, core(CORE_TESTS)) for one in dict.fromkeys(environments)
    ]
    return [*steps, *guards]


def hub_environments() -> list[Environment]:
    """One for each version; the oldest with the oldest Python, which is what an old WebUI has."""
    oldest = python_3_10()
    if oldest is None:
        say("There is no python3.10 here: the core's tests run under this Python alone.")
    first, *newer = HUB_VERSIONS
    return [hub_environment(first, oldest or sys.executable), *map(hub_environment, newer)]


def run_all(steps: Sequence[Step], torch_index: str | None = None) -> list[str]:
    """Run the steps one after the other; returns the names of those that failed."""
    with Preparation([environment for _, environment, _ in steps], torch_index) as preparation:
        return [step[0] for step in steps if not timed(*step, preparation)]


class Preparation:
    """Makes environments behind the steps, two at a time: half of it is waiting for packages. One that another lends
    its torch to comes after that one."""

    def __init__(self, environments: Sequence[Environment], torch_index: str | None) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2)
        self._torch_index = torch_index
        self._made: dict[Environment, Future[None]] = {}
        lenders = [one.lender for one in environments if one.lender is not None]
        for one in sorted(dict.fromkeys([*lenders, *environments]), key=lambda one: one.lender is not None):
            self._made[one] = self._threads.submit(self._make, one)

    def _make(self, environment: Environment) -> None:
        if environment.lender is not None:
            self.wait_for(environment.lender)
        prepare(environment, self._torch_index)

    def wait_for(self, environment: Environment) -> None:
        """Raise what its making raised."""
        self._made[environment].result()

    def __enter__(self) -> Preparation:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)


def summary(failed: Sequence[str]) -> int:
    """Say what failed; returns the exit status."""
    say(f"Failed: {', '.join(failed)}" if failed else "Everything passed.")
    return 1 if failed else 0


def python_3_10() -> str | None:
    """A Python 3.10 that runs: a shim on the path may only say that there is none."""
    places = [shutil.which("python3.10"), *map(str, Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))]
    for place in filter(None, places):
        if subprocess.run([place, "--version"], capture_output=True, check=False).returncode == 0:
            return place
    return None


def others(folders: Sequence[str]) -> list[str]:
    """All but those of some folders, two at a time: they start WebUIs, and wait for them. Each worker takes a row of
    files, so that a module's WebUI is seldom started by both."""
    return ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *(f"--ignore={folder}" for folder in folders)]


def core(paths: Sequence[str], but: Sequence[str] = ()) -> list[str]:
    """Some of the core's tests, several at a time: many wait, for sockets and for other processes."""
    left_out = [f"--ignore=tests/{path}" for path in but]
    return ["-m", "pytest", "-q", "-n", "3", "--dist", "worksteal", *(f"tests/{path}" for path in paths), *left_out]


def timed(
    name: str, environment: Environment, arguments: Sequence[str], preparation: Preparation | None = None
) -> bool:
    """Run a step, and say how long it took; False if it failed, or its environment cannot be made."""
    if preparation is None:
        prepare(environment)
    else:
        try:
            preparation.wait_for(environment)
        except subprocess.CalledProcessError as error:
            say(f"── {name}: FAILED, since its environment cannot be made: {error}")
            return False
    say(f"── {name}")
    LAST_FAILED.unlink(missing_ok=True)
    started, processor = time.monotonic(), processor_seconds()
    passed = environment.run(*arguments) == 0 or passes_again(environment, arguments)
    seconds, processor = time.monotonic() - started, processor_seconds() - processor
    say(f"── {name}: {'passed' if passed else 'FAILED'} in {seconds:.0f} s ({processor:.0f} s of processors)")
    return passed


def passes_again(environment: Environment, arguments: Sequence[str]) -> bool:
    """Run the failed tests of a step once more, in a new process, and say which they are; False if any fails again.

    A busy machine may miss a moment of a browser or of a killed process. Such a test is a fault to mend, which is why
    each is named; it does not hide what the others have shown. More than a few failures are no such moment.
    """
    if "pytest" not in arguments:
        return False
    try:
        failed = sorted(json.loads(LAST_FAILED.read_text(encoding="utf-8")))
    except FileNotFoundError:  # pytest itself has failed
        return False
    if not 0 < len(failed) <= SECOND_TRIES:
        return False
    say(f"── Once more, since a busy machine may be the reason: {', '.join(failed)}")
    passed = environment.run("-m", "pytest", "-q", *failed) == 0
    if passed:
        say(f"── FAILED ONCE, PASSED AT A SECOND TRY: {', '.join(failed)}")
    return passed


def processor_seconds() -> float:
    """Return the processor time of the child processes that have ended, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


def demo(options: argparse.Namespace) -> int:
    """Open the page of the stand-in WebUI with the real extension, a loopback hub and the tiny VAEs."""
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    return WEBUI_ENVIRONMENT.run(
        "-m",
        "tests.host.demo",
        "--data",
        str(DEMO),
        "--port",
        str(options.port),
        *(["--no-browser"] if options.no_browser else []),
    )


def docs(options: argparse.Namespace) -> int:
    """Write the generated pages of the documentation again."""
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    pages = ("command_line.py", "engines.py")
    return max(WEBUI_ENVIRONMENT.run(str(ROOT / "docs" / page)) for page in pages)


def prove(options: argparse.Namespace) -> int:
    """Run a full-size proof; it writes its result under bench/results/."""
    apart = ("__init__", "results", "swap_inside")
    proofs = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem not in apart)
    if options.name not in proofs:
        say(f"There is no proof named {options.name}. There are: {', '.join(proofs) or 'none'}.")
        return 2
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    return WEBUI_ENVIRONMENT.run("-m", f"bench.{options.name}", *options.arguments)


def checked(command: Sequence[str]) -> None:
    subprocess.run(list(command), check=True, cwd=ROOT)


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-index", metavar="URL", help="where to get torch from, when none is installed")
    commands = parser.add_subparsers(required=True)
    demo_parser = commands.add_parser("demo", help="try the extension without a WebUI, a GPU or the internet")
    demo_parser.add_argument("--port", type=int, default=7860)
    demo_parser.add_argument("--no-browser", action="store_true")
    demo_parser.set_defaults(run=demo)
    check_parser = commands.add_parser("check", help="run linters, types, layers and the quick tests")
    check_parser.set_defaults(run=check)
    test_parser = commands.add_parser("test", help="set up and run all tests, or some")
    test_parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders of tests; by default all")
    test_parser.add_argument("-k", dest="expression", metavar="EXPR", help="tests whose names match, as for pytest")
    test_parser.add_argument(
        "--matrix", action="store_true", help="all of the core's tests under each Python and huggingface_hub, no other"
    )
    test_parser.set_defaults(run=test)
    docs_parser = commands.add_parser(
        "docs", help="write docs/reference/command-line.md from the command line's parser"
    )
    docs_parser.set_defaults(run=docs)
    prove_parser = commands.add_parser("prove", help="run a full-size proof of bench/")
    prove_parser.add_argument("name")
    prove_parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the proof, options too")
    prove_parser.set_defaults(run=prove)
    options = parser.parse_args()
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
