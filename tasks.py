"""The project's own tasks, on a fresh machine too: `python tasks.py demo | check | test [PATH…] | docs | prove NAME`.

Everything is installed below `.envs/`: nothing of the system's Python is touched.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
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
"""Folders of tests that need neither gradio, nor torch, nor a browser."""
HUB_TESTS = ["hub", "cli", "transfer/test_deliver.py", "transfer/test_security.py", "transfer/test_buckets.py"]
"""What meets huggingface_hub: addresses, tokens, endpoints, answers. The oldest version runs all of the core's, since
the oldest Python comes with it."""
FAULT_SUITE = "transfer/suite/test_suite.py"
"""The newest version runs it too; those between the two ends have the same line."""
JOURNAL_TESTS = ["transfer/test_power_loss.py", "transfer/test_kills.py", "transfer/suite/test_journal.py"]
"""The longest ones. They look at bytes on the disk, which no other Python writes otherwise: once is enough."""

DIFFUSERS_TESTS = "tests/files/conversion/test_diffusers.py"
"""They hold conversions against diffusers' own loader, in an environment that has it."""

BROWSER_TESTS = "tests/browser"
BY_FILE = ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
"""How they are run: a browser and its WebUI keep a core busy, and the tests of a file may build on each other."""
PAGE_TESTS = [f"{BROWSER_TESTS}/test_main_job.py", f"{BROWSER_TESTS}/test_foreign_pages.py", "tests/host/test_page.py"]
"""What depends on the generation of gradio most, run on the other one too; the rest of the folder passes there as well,
and takes as long again."""
FORGE_TESTS = ["tests/forge", "tests/host/test_forge.py"]
"""On the gradio that Forge has."""
ADMISSION_TESTS = "tests/admission"
"""On both: each has paths of its own to an event."""

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


def hub_environment(version: str, interpreter: str = sys.executable) -> Environment:
    """A small one, without torch, for one version of huggingface_hub."""
    wanted = f"huggingface_hub=={version}" if version else "huggingface_hub"
    label = "" if interpreter == sys.executable else f"-{Path(interpreter).name}"
    # The oldest one with the urllib3 of its time, which reads in another way.
    http = ["requests", "urllib3<2"] if version == HUB_VERSIONS[0] else ["requests"]
    packages = (wanted, *http, "PyYAML", "filelock", "jinja2", "safetensors", "numpy", *TOOLS)
    return Environment(f"hub-{version or 'newest'}{label}", packages, interpreter=interpreter)


def prepare(environment: Environment, torch_index: str | None = None) -> None:
    """Make the environment, unless it stands already with exactly these packages."""
    folder = ENVIRONMENTS / environment.name
    recipe = "\n".join([environment.interpreter, *environment.packages, TORCH if environment.torch else ""])
    stamp = folder / "recipe.sha256"
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"Making the environment {environment.name} …")
    shutil.rmtree(folder, ignore_errors=True)
    checked([environment.interpreter, "-m", "venv", str(folder)])
    pip = [str(environment.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if environment.torch:
        provide_torch(environment, pip, torch_index)
    checked([*pip, *environment.packages])
    if environment.lender is not None:  # after pip, which would count what is lent as installed
        borrow(environment, answer(environment.lender, "import torch; print(torch.__file__)").parents[1])
    stamp.write_text(digest)


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


def static_checks() -> list[tuple[str, Environment, list[str]]]:
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
    provide_chromium()
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    folders = [f"tests/{name}" for name in CORE_TESTS if (ROOT / "tests" / name).is_dir()]
    steps: list[tuple[str, Environment, list[str]]] = [
        *static_checks(),
        ("the core's tests", WEBUI_ENVIRONMENT, core(folders)),
        (
            "the host and all else",
            WEBUI_ENVIRONMENT,
            others([*folders, BROWSER_TESTS, *FORGE_TESTS]),
        ),
        ("the page in a browser", WEBUI_ENVIRONMENT, [*BY_FILE, BROWSER_TESTS]),
        (
            "the page in a browser, gradio 4.40",
            GRADIO_4_ENVIRONMENT,
            [*BY_FILE, *PAGE_TESTS],
        ),
        (
            "Forge",
            GRADIO_4_ENVIRONMENT,
            ["-m", "pytest", "-q", "-n", "2", *FORGE_TESTS, ADMISSION_TESTS],
        ),
        ("conversions against diffusers", DIFFUSERS_ENVIRONMENT, ["-m", "pytest", "-q", "-n", "2", DIFFUSERS_TESTS]),
    ]
    oldest = python_3_10()
    if oldest is None:
        say("There is no python3.10 here: the core's tests run under this Python alone.")
    for version in HUB_VERSIONS:
        # The oldest Python with the oldest hub library: what an old WebUI has.
        interpreter = oldest if oldest is not None and version == HUB_VERSIONS[0] else sys.executable
        if version == HUB_VERSIONS[0]:
            met = [*folders, *(f"--ignore=tests/{name}" for name in JOURNAL_TESTS)]
        else:
            met = [f"tests/{name}" for name in (HUB_TESTS if version else [*HUB_TESTS, FAULT_SUITE])]
        steps.append((f"core, huggingface_hub {version or 'newest'}", hub_environment(version, interpreter), core(met)))
    return summary([name for name, environment, arguments in steps if not timed(name, environment, arguments)])


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
    """All but those of some folders, two at a time: they start WebUIs, and wait for them."""
    return ["-m", "pytest", "-q", "-n", "2", *(f"--ignore={folder}" for folder in folders)]


def core(folders: Sequence[str]) -> list[str]:
    """Several at a time: most of these tests wait, for sockets and for other processes."""
    return ["-m", "pytest", "-q", "-n", "3", *folders]


def timed(name: str, environment: Environment, arguments: Sequence[str]) -> bool:
    prepare(environment)
    say(f"── {name}")
    started = time.monotonic()
    status = environment.run(*arguments)
    say(f"── {name}: {'passed' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
    return status == 0


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
    """Write the generated page of the documentation anew."""
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    return WEBUI_ENVIRONMENT.run(str(ROOT / "docs" / "command_line.py"))


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
