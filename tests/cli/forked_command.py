"""A command in a fork of a process that has imported the command line already.

A start of Python with the project, requests and their dependencies takes most of a short command's processor time. The
fork has its own folder, environment, streams and exit status, as a command has; huggingface_hub is imported by each
command anew, since it reads the environment while it is imported.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

IMPORTED = ["vae_manager.cli", "vae_manager.transfer", "vae_manager.files", "tqdm.auto", "filelock", "yaml", "fsspec"]
"""Modules that the forks share. None reads the environment while it is imported; those that are missing are skipped."""

READ_AT_START = ("PYTHON", "LANG", "LC_")
"""Beginnings of the names of variables that only a new interpreter reads."""


def can_fork(variables: Mapping[str, str]) -> bool:
    """Return True if a command with these variables of its own runs in a fork as it does in a new interpreter."""
    return hasattr(os, "fork") and not any(name.startswith(READ_AT_START) for name in variables)


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout_s: float
) -> tuple[int, str, str]:
    """Run `python -m vae_manager` with `arguments` in `folder`; return its exit status and what it has printed.

    The status of a command that a signal has killed is negative. Raises TimeoutExpired, with the command killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with tempfile.TemporaryDirectory() as streams:
        out, err = Path(streams) / "out", Path(streams) / "err"
        process = context.Process(
            target=_run, args=(list(arguments), dict(environment), str(folder), str(out), str(err))
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout_s)
        return process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: str, out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, path in ((0, os.devnull), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, stream)
        os.close(opened)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "wb", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    sys.argv = ["vae_manager", *arguments]
    from vae_manager.cli import main

    sys.exit(main(arguments))
