"""The command line as a person meets it: `python -m vae_manager …` in a process and a folder of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bytecode import with_bytecode
from tests.files.samples import some_vae
from tests.hub import Hub
from tests.hub.fixtures import client_environment
from vae_manager.maintenance import OWN

from .forked_command import can_fork, run_forked

ROOT = Path(__file__).parents[2]
SOON = 30.0
"""Seconds after which a command that has not ended has failed."""

REPO, PATH = "me/vaes", "some/where/mine.safetensors"
SOURCE = f"hub:{REPO}/{PATH}"
DATA = some_vae(3_000_000)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Result:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """The one sentence that a failed command says, on stderr."""
        [line] = self.err.splitlines()
        assert line.startswith("vae_manager: ")
        assert self.out == ""
        return line.removeprefix("vae_manager: ")


@dataclass
class Cli:
    """Runs commands in `work`, with `hub` as huggingface_hub's own endpoint."""

    hub: Hub
    work: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    """A program with its arguments that starts each command."""

    @property
    def folder(self) -> Path:
        """A VAE folder beside `work`; nobody has made it yet."""
        return self.home / "VAE"

    @property
    def environment(self) -> Mapping[str, str]:
        own = {"PYTHONPATH": str(ROOT), "HOME": str(self.home)}
        return {**with_bytecode(client_environment(self.hub, self.home / "hf")), **own, **self.variables}

    def begin(
        self,
        *arguments: str | Path,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        encoding: str = "utf-8",
    ) -> subprocess.Popen[str]:
        command = [*self.prefix, sys.executable, "-m", "vae_manager", *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            encoding=encoding,
        )

    def __call__(self, *arguments: str | Path) -> Result:
        """Run a command to its end, in a fork if it needs no program and no interpreter of its own."""
        if self.prefix or not can_fork(self.variables):
            return finished(self.begin(*arguments))
        return without_traceback(Result(*run_forked([*map(str, arguments)], self.environment, self.work, SOON)))

    def catalogue(self, *entries: Mapping[str, object]) -> Path:
        """A catalogue file of these entries (JSON is YAML, but for its escapes of emoji), one a line."""
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        path = self.home / "catalogue.yaml"
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        return path

    def entry(self, **changes: object) -> Path:
        """A catalogue file with one entry, `mine`; a key that is changed to None is left out."""
        fields = {
            "id": "mine",
            "name": "My VAE",
            "family": "sd1",
            "sha256": sha256(DATA),
            "source": SOURCE,
            "licence": "MIT",
            **changes,
        }
        return self.catalogue({key: value for key, value in fields.items() if value is not None})

    def names(self, folder: Path | None = None) -> list[str]:
        """What is in a folder, hidden files too, but the state of a command."""
        return sorted(path.name for path in (folder or self.folder).iterdir() if path.name != OWN)


def finished(process: subprocess.Popen[str]) -> Result:
    """The answer of a command; no command ever shows a traceback."""
    try:
        out, err = process.communicate(timeout=SOON)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return without_traceback(Result(process.returncode, out or "", err or ""))


def without_traceback(result: Result) -> Result:
    assert "Traceback" not in result.out + result.err, result.err
    return result


def until(condition: Callable[[], bool]) -> None:
    """For what another process does, of which there is no event here."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
