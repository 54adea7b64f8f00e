"""The project's own tasks, on a fresh machine too: `python tasks.py demo | check | test [PATH…] | docs | prove NAME`.

Everything is installed below `.envs/`: nothing of the system's Python is touched.
"""

from __future__ import annotations

import argparse
import sys

from tests.environments import (
    DEMO_ENVIRONMENT,
    ENVIRONMENTS,
    ROOT,
    WEBUI_ENVIRONMENT,
    Environment,
    NoPinnedPython,
    prepare,
    provide_chromium,
    say,
)
from tests.step_runner import StepRunner, summary
from tests.steps import AT_ONCE, BROWSER_TESTS, all_steps, environment_of, matrix, quick_steps

DEMO = ROOT / "demo-files"
"""Not below a folder whose name begins with a dot: gradio serves no picture from there."""


def check(options: argparse.Namespace) -> int:
    """Run what is quick: linters, formatter, types, layers and pure tests."""
    return summary(StepRunner(options.torch_index).run(quick_steps()))


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
        if environment.run("-m", "pytest", "-q", *expression, *paths).status != 0:
            failed += paths
    return summary(failed)


def test(options: argparse.Namespace) -> int:
    """Set up and run all tests, or those of some paths. Each step is named with its time; the first failure does not
    hide the others."""
    if options.paths or options.expression:
        options.paths = options.paths or ["tests"]
        return test_some(options)
    if options.matrix:
        return summary(StepRunner(options.torch_index).run(matrix()))
    provide_chromium()
    return summary(StepRunner(options.torch_index).run(all_steps(), AT_ONCE))


def demo(options: argparse.Namespace) -> int:
    """Open the page of the stand-in WebUI with the real extension, a loopback hub and the tiny VAEs."""
    say(
        f"The demo needs some 1.3 GB below {ENVIRONMENTS} (0.7 GB of it for torch) once, and {DEMO} for its files. "
        "Removing both removes all of it."
    )
    prepare(DEMO_ENVIRONMENT, options.torch_index, shows_progress=True)
    return DEMO_ENVIRONMENT.run(
        "-m",
        "tests.host.demo",
        "--data",
        str(DEMO),
        "--port",
        str(options.port),
        *(["--no-browser"] if options.no_browser else []),
    ).status


def docs(options: argparse.Namespace) -> int:
    """Write the generated pages of the documentation again."""
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    pages = ("command_line.py", "engines.py")
    return max(WEBUI_ENVIRONMENT.run(str(ROOT / "docs" / page)).status for page in pages)


def prove(options: argparse.Namespace) -> int:
    """Run a full-size proof; it writes its result under bench/results/."""
    apart = ("__init__", "results", "swap_inside", "gpu_stage", "portrait")
    proofs = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem not in apart)
    if options.name not in proofs:
        say(f"There is no proof named {options.name}. There are: {', '.join(proofs) or 'none'}.")
        return 2
    prepare(WEBUI_ENVIRONMENT, options.torch_index)
    return WEBUI_ENVIRONMENT.run("-m", f"bench.{options.name}", *options.arguments).status


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
    try:
        status: int = options.run(options)
    except NoPinnedPython as error:
        say(str(error))
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
