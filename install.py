"""The WebUI runs this at each launch, in a process of its own. Nothing that is there already is touched."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).parent / "pyproject.toml"
PLAIN_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?")
"""As PEP 440 writes it. A system's own package can have another ("0.23ubuntu1"), for which pip knows `===` only."""


def requirements() -> list[str]:
    """The run-time dependencies, from the one list of them.

    Read by a pattern: `tomllib` comes with Python 3.11 only, and hosts run on 3.10.
    """
    found = re.search(r"^dependencies = \[(.*?)^\]", PROJECT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r'"([^"]+)"', found[1]) if found else []


def missing(wanted: list[str]) -> list[str]:
    """Those of `wanted` whose package is not there in any version: another version is never installed over a host's."""
    return [line for line in wanted if importlib.util.find_spec(re.split(r"[<>=!~\[; ]", line)[0]) is None]


def install(packages: list[str]) -> None:
    """Install `packages` beside what is there: every package that the host has is held at its version."""
    import contextlib  # these cost more than the whole check, and are hardly ever needed
    import importlib.metadata
    import subprocess
    import tempfile

    held = []
    for name in sorted({dist.name for dist in importlib.metadata.distributions() if dist.name}):
        # Asked by name, the first on the path answers, and never what pip left behind as "~name".
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if version := importlib.metadata.version(name):
                held.append(f"{name}{'==' if PLAIN_VERSION.fullmatch(version) else '==='}{version}")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "held.txt"
        constraints.write_text("\n".join(held), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "pip", "install", "-c", str(constraints), *packages], check=True)


def main() -> None:
    lacking = missing(requirements())
    if lacking:
        print(f"VAE Manager: installing {', '.join(lacking)}")
        install(lacking)


if __name__ == "__main__":
    main()
