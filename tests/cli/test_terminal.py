"""On a terminal: a bar, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub import Fault, Hub
from tests.library.vaes import vae

from .command import DATA, SOURCE, Cli, Result, finished, sha256, until

if sys.platform == "win32":
    pytest.skip("needs a pseudo terminal, and signals", allow_module_level=True)

import fcntl
import pty
import termios

NAME = "mine.safetensors"
HALF = 2 << 20
"""Bytes after which the server stalls: a multiple of what is read at once, so that all of it arrives."""


def on_terminal(cli: Cli, *arguments: str | Path) -> tuple[Result, str]:
    """Run a command whose stderr is a terminal of 100 columns; what was shown there comes second."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = cli.begin(*arguments, stderr=inner)
    os.close(inner)
    shown = b""
    try:
        while block := os.read(outer, 4096):
            shown += block
    except OSError:
        pass  # how a pseudo terminal ends on Linux
    finally:
        os.close(outer)
    return finished(process), shown.decode("utf-8", "replace")


def kept(folder: Path) -> int:
    """Bytes in the one partial file of a folder."""
    return sum(path.stat().st_size for path in folder.glob(".*.vae-manager.part"))


def interrupted(process: subprocess.Popen[str]) -> Result:
    """Press Ctrl-C once; the command must not wait for a server that says nothing."""
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    result = finished(process)
    assert time.monotonic() - pressed < 10
    return result


def stop_half_way(hub: Hub, cli: Cli, *command: str | Path) -> Result:
    hub.cdn.fail_next(Fault.stall_at(HALF), covering=HALF)
    process = cli.begin(*command)
    until(lambda: kept(cli.folder) == HALF)
    return interrupted(process)


# -- the bar -------------------------------------------------------------------------------------------------------
def test_a_bar_on_a_terminal(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_next(Fault.trickle(6_000_000), covering=HALF)
    result, shown = on_terminal(cli, "get", SOURCE, "--dir", cli.folder)
    assert result.status == 0
    assert "mine.safetensors: " in shown
    assert "3.00M/3.00M" in shown
    assert "fetching" in shown


def test_reader_of_the_output_that_ends_early(cli: Cli, tmp_path: Path) -> None:
    """Such as `head`; each line is long enough that not all of them fit a pipe."""
    files = [vae(tmp_path / f"{'x' * 200}{number}.safetensors") for number in range(3)]
    reader, writer = os.pipe()
    process = cli.begin("inspect", *files * 400, stdout=writer)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    result = finished(process)
    assert (result.status, result.err) == (141, "")


def test_none_beside_json(cli: Cli) -> None:
    result, shown = on_terminal(cli, "get", SOURCE, "--dir", cli.folder, "--json")
    assert (result.status, result.json["size"], shown) == (0, len(DATA), "")


def test_an_error_on_a_terminal_has_a_line_of_its_own(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_always(Fault.flip(0))
    result, shown = on_terminal(cli, "get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder)
    assert result.status == 5
    assert "\nvae_manager: mine.safetensors from hub:me/vaes/" in shown.replace("\r", "\n")


@pytest.mark.parametrize("command", [("verify",), ("inspect",), ("duplicates", "--dir")])
def test_a_bar_while_files_are_read(cli: Cli, command: tuple[str, ...]) -> None:
    path = vae(cli.folder / "mine.safetensors")
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 300_000_000)
    vae(cli.folder / "other.safetensors")
    result, shown = on_terminal(cli, *command, cli.folder if command[-1] == "--dir" else path)
    assert result.status in (0, 5)
    if command == ("duplicates", "--dir"):
        assert "other.safetensors: " in shown
    else:
        assert "mine.safetensors: " in shown
        assert "300M" in shown


# -- Ctrl-C --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("source", ["entry", SOURCE, "address"])
def test_ctrl_c_leaves_what_has_come_and_the_same_command_fetches_the_rest(hub: Hub, cli: Cli, source: str) -> None:
    url = hub.publish("/files/mine.safetensors", DATA)
    what = {"entry": ("mine", "--catalogue", cli.entry()), "address": (url,)}.get(source, (source,))
    command = ("get", *what, "--dir", cli.folder, "--connections", "1")
    stopped = stop_half_way(hub, cli, *command)
    assert stopped.status == 130
    assert re.fullmatch(
        r"Stopped\. .* of mine\.safetensors are kept, and the next start goes on from there\.", stopped.message
    )
    assert NAME not in cli.names()
    assert kept(cli.folder) == HALF

    again = cli(*command, "--json")
    assert again.status == 0
    assert (again.json["sha256"], again.json["fetched"]) == (sha256(DATA), len(DATA) - HALF)
    last = hub.cdn.requests[-1]
    assert (last.status, last.sent) == (206, len(DATA) - HALF)
    assert last.headers["range"].startswith(f"bytes={HALF}-")
    assert (cli.folder / NAME).read_bytes() == DATA
    assert cli.names() == [NAME]


def test_ctrl_c_as_json(hub: Hub, cli: Cli) -> None:
    stopped = stop_half_way(hub, cli, "get", SOURCE, "--dir", cli.folder, "--json")
    assert (stopped.status, stopped.err) == (130, "")
    assert stopped.json["status"] == 130
    assert stopped.json["error"].startswith("Stopped.")


def test_ctrl_c_while_the_hub_does_not_answer(hub: Hub, cli: Cli) -> None:
    hub.api.fail_next(Fault.late(600))
    process = cli.begin("get", SOURCE, "--dir", cli.folder)
    until(lambda: bool(hub.api.requests))
    stopped = interrupted(process)
    assert stopped.status == 130
    assert stopped.message.startswith("Stopped.")
    assert not cli.folder.exists()
    assert hub.cdn.requests == []
