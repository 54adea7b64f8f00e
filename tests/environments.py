"""Virtual environments for the tests: the packages of each, and their making below `.envs/`.

Nothing of the system's Python is touched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.bytecode import with_bytecode

ROOT = Path(__file__).resolve().parents[1]

ENVIRONMENTS = ROOT / ".envs"

TORCH = "torch==2.13.0"

TOOLS = ["pytest==9.2.0", "pytest-timeout", "pytest-xdist", "hypothesis"]

BROWSER = ["playwright", "axe-playwright-python"]
"""What drives a browser, and the rules of accessibility (axe-core) that it checks a page by."""

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
    *BROWSER,
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
    *BROWSER,
]

DIFFUSERS = ["diffusers==0.42.1", "huggingface_hub==2.4.0", "safetensors==0.8.0", *TOOLS]

FUZZER = ["schemathesis==4.32.5"]

LINTERS = ["ruff==0.17.6", "mypy==2.4.1", "import-linter", "types-requests", "types-PyYAML"]

HUB_VERSIONS = ("0.16.4", "0.25.0", "")
"""Versions that hosts have; empty is the newest. 0.36.2 is in the WebUI's environment."""


YIELDING = 3
"""Niceness of what computes beside the tests of pages."""


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    status: int
    seconds: float
    processor_seconds: float
    """Of it and of the children that it waited for; 0 on Windows, which does not tell."""


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

    def run(self, *arguments: str, output: BinaryIO | None = None, yields: bool = False) -> Done:
        """Run Python in it, in the project's folder; what it prints goes to `output`, or where this program's goes.

        If it `yields`, it computes only while what does not yield leaves a processor.

        It and all that it starts share a cache of compiled modules: compiling gradio and torch takes as long as
        importing them.
        """
        started = time.monotonic()
        process = subprocess.Popen(
            [str(self.python), *arguments], cwd=ROOT, env=with_bytecode(os.environ), stdout=output, stderr=output
        )
        if yields and sys.platform != "win32":
            os.setpriority(os.PRIO_PROCESS, process.pid, YIELDING)
        try:
            status, processor_seconds = _wait(process)
        except BaseException:  # Ctrl-C: it has had it too, and may be slow to end
            process.kill()
            raise
        return Done(status, time.monotonic() - started, processor_seconds)


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Wait for the end; return the exit status, and the processor seconds of it and of its ended children."""
    if sys.platform == "win32":
        return process.wait(), 0.0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def python_of(major: int, minor: int) -> str | None:
    """Return a Python of this version that runs: a shim on the path may only say that there is none."""
    name = f"python{major}.{minor}"
    places = [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/{major}.{minor}.*/bin/{name}"))]
    for place in filter(None, places):
        if subprocess.run([place, "--version"], capture_output=True, check=False).returncode == 0:
            return place
    return None


PINNED_PYTHONS = ((3, 11), (3, 10))
"""Versions of Python for which all packages that WEBUI and WEBUI_GRADIO_4 pin are published, the best one first."""


class NoPinnedPython(Exception):
    """This Python cannot install what a WebUI pins, and no other one was found. Its text says what to do."""


def pinned_python() -> str:
    """Return a Python that can install what a WebUI pins: this one, or another one of this machine.

    Raises NoPinnedPython.
    """
    if sys.version_info[:2] in PINNED_PYTHONS:
        return sys.executable
    found = next(filter(None, (python_of(*version) for version in PINNED_PYTHONS)), None)
    if found is None:
        wanted = " or ".join(f"{major}.{minor}" for major, minor in PINNED_PYTHONS)
        raise NoPinnedPython(
            f"This is Python {sys.version_info[0]}.{sys.version_info[1]}. The stand-in WebUI needs packages that "
            f"AUTOMATIC1111's WebUI pins; they are published for Python {wanted}, and none of these was found. Install "
            "one, and run the same command again. Nothing was changed."
        )
    return found


def _interpreter() -> str:
    try:
        return pinned_python()
    except NoPinnedPython:
        return sys.executable  # told where the environment is made: other commands need none of it


WEBUI_ENVIRONMENT = Environment("webui", (*WEBUI, *TOOLS, *LINTERS), torch=True, interpreter=_interpreter())
DEMO_ENVIRONMENT = Environment(
    "demo",
    tuple(package for package in WEBUI if package not in BROWSER),
    torch=True,
    interpreter=WEBUI_ENVIRONMENT.interpreter,
)
"""What the stand-in WebUI imports, without the tools of the tests."""
GRADIO_4_ENVIRONMENT = Environment(
    "webui-gradio4",
    (*WEBUI_GRADIO_4, *TOOLS),
    interpreter=WEBUI_ENVIRONMENT.interpreter,
    lender=WEBUI_ENVIRONMENT,
)
DIFFUSERS_ENVIRONMENT = Environment(
    "diffusers", tuple(DIFFUSERS), interpreter=WEBUI_ENVIRONMENT.interpreter, lender=WEBUI_ENVIRONMENT
)
FUZZER_ENVIRONMENT = Environment("api-fuzzer", tuple(FUZZER))
"""What sends requests by a document of OpenAPI: it needs newer packages than a WebUI has."""


def hub_environment(version: str, interpreter: str = sys.executable) -> Environment:
    """A small one, without torch, for one version of huggingface_hub."""
    wanted = f"huggingface_hub=={version}" if version else "huggingface_hub"
    label = "" if interpreter == sys.executable else f"-{Path(interpreter).name}"
    # The oldest one with the urllib3 of its time, which reads in another way.
    http = ["requests", "urllib3<2"] if version == HUB_VERSIONS[0] else ["requests"]
    packages = (wanted, *http, "PyYAML", "filelock", "jinja2", "safetensors", "numpy", *TOOLS)
    return Environment(f"hub-{version or 'newest'}{label}", packages, interpreter=interpreter)


def hub_environments() -> list[Environment]:
    """One for each version; the oldest with the oldest Python, which is what an old WebUI has."""
    oldest = python_of(3, 10)
    if oldest is None:
        say("There is no python3.10 here: the core's tests run under this Python alone.")
    first, *newer = HUB_VERSIONS
    return [hub_environment(first, oldest or sys.executable), *map(hub_environment, newer)]


def prepare(environment: Environment, torch_index: str | None = None, *, shows_progress: bool = False) -> None:
    """Make the environment, unless it stands already with exactly this Python and these packages.

    Raises NoPinnedPython, and CalledProcessError if a package cannot be installed.
    """
    folder = ENVIRONMENTS / environment.name
    interpreter, version = base_python(environment.interpreter)
    recipe = "\n".join([interpreter, version, *environment.packages, TORCH if environment.torch else ""])
    stamp = folder / "recipe.sha256"
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    what = "its recipe has changed" if stamp.exists() else "it is not there"
    if environment.torch:
        pinned_python()
    say(f"Making the environment {environment.name}, since {what} …")
    shutil.rmtree(folder, ignore_errors=True)
    checked([interpreter, "-m", "venv", str(folder)])
    pip = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check"]
    if not shows_progress:
        pip.append("--quiet")
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


def checked(command: Sequence[str]) -> None:
    subprocess.run(list(command), check=True, cwd=ROOT)


def say(text: str) -> None:
    print(text, flush=True)
