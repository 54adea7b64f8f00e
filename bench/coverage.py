"""Lines of the product that its tests execute, with a floor.

    python tasks.py prove coverage [STEP …]

STEP is one of core, host, browser and gradio-4; without one, all are run. Some alone give a lower bound.

All tests that the WebUI's environment and that of gradio 4 run are run here under coverage.py, with what they start:
stand-in WebUIs, command lines, forks. Processes that a test kills with SIGKILL leave no figures. Ends with status 1
below the floor of pyproject.toml, or if a test fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.results import write
from tests import steps as run_steps
from tests.environments import GRADIO_4_ENVIRONMENT, ROOT, WEBUI_ENVIRONMENT

VERSION = "7.16.2"
SITE = "import site, pathlib; site.addsitedir(str(pathlib.Path(__file__).parent))\n"
"""The start of each Python with the library on its path. coverage begins in a process by a `.pth` file, which Python
reads in a site folder alone: the workers of a test run, and what they start, would leave no figures."""
SHOWN = 15
"""Files with the most unexecuted lines, listed in the result."""


def main() -> int:
    for environment in (WEBUI_ENVIRONMENT, GRADIO_4_ENVIRONMENT):
        if not environment.python.exists():
            print(f"The environment {environment.name} is missing: run `python tasks.py test` first.")
            return 2
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(library), f"coverage=={VERSION}"]
        subprocess.run(install, check=True)
        (library / "sitecustomize.py").write_text(SITE, encoding="utf-8")
        return measure(Path(folder), library, sys.argv[1:] or list(steps()))


def measure(folder: Path, library: Path, chosen: Sequence[str]) -> int:
    """Run the chosen steps with coverage's package in `library` and its data in `folder`; returns the exit status."""
    settings = {**os.environ, "PYTHONPATH": str(library), "COVERAGE_FILE": str(folder / "data")}
    failed = []
    for name in chosen:
        python, arguments = steps()[name]
        print(f"── {name}", flush=True)
        command = [str(python), "-m", "coverage", "run", *arguments]
        if subprocess.run(command, cwd=ROOT, env=settings, check=False).returncode != 0:
            failed.append(name)
    report = folder / "report.json"
    coverage = [str(WEBUI_ENVIRONMENT.python), "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet"], cwd=ROOT, env=settings, check=True)
    low = subprocess.run([*coverage, "json", "--quiet", "-o", str(report)], cwd=ROOT, env=settings, check=False)
    write(
        "coverage",
        {"steps": list(chosen), "failed steps": failed, **figures(json.loads(report.read_text(encoding="utf-8")))},
    )
    return 1 if failed or low.returncode != 0 else 0


def steps() -> dict[str, tuple[Path, list[str]]]:
    """By name: the interpreter and the arguments of Python."""
    folders = [f"tests/{name}" for name in run_steps.CORE_TESTS]
    webui, gradio_4 = WEBUI_ENVIRONMENT.python, GRADIO_4_ENVIRONMENT.python
    apart = [*folders, run_steps.BROWSER_TESTS, *run_steps.FORGE_TESTS, run_steps.REFORGE_GUARDS]
    return {
        "core": (webui, run_steps.core(run_steps.CORE_TESTS)),
        "host": (webui, run_steps.others(apart)),
        "browser": (webui, [*run_steps.BY_FILE, run_steps.BROWSER_TESTS]),
        "gradio-4": (gradio_4, [*run_steps.BY_FILE, *run_steps.GRADIO_4_TESTS]),
    }


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """The share of executed lines, in percent: in all, by package, and the files with the most lines left."""
    packages: dict[str, list[int]] = {}
    for file, found in report["files"].items():
        parts = Path(file).parts
        counted = packages.setdefault(parts[1] if len(parts) > 2 else ".", [0, 0])
        counted[0] += found["summary"]["covered_lines"]
        counted[1] += found["summary"]["num_statements"]
    left = sorted(report["files"].items(), key=lambda entry: -entry[1]["summary"]["missing_lines"])
    return {
        "percent": round(report["totals"]["percent_covered"], 2),
        "statements": report["totals"]["num_statements"],
        "packages": {name: round(100 * run / max(all_, 1), 1) for name, (run, all_) in sorted(packages.items())},
        "most lines left": {file: found["summary"]["missing_lines"] for file, found in left[:SHOWN]},
    }


if __name__ == "__main__":
    sys.exit(main())
