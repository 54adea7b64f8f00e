"""Paths that cannot be: of nobody, too long, or where one may not look. Each ends in a sentence and a status."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wording import says

from .command import DATA, Cli, sha256

LONG = "masterpiece, " * 25
PLAIN_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Takes from root the right to read everything."""


@pytest.fixture
def closed(cli: Cli) -> Iterator[Path]:
    """A folder that this user may not enter, with a file."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read every file")
        cli.prefix = PLAIN_USER
    folder = cli.home / "closed"
    (folder / "sub").mkdir(parents=True)
    (folder / "vae.safetensors").write_bytes(DATA)
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize("command", ["get", "inspect"])
@pytest.mark.parametrize("text", ["~nosuch/x.safetensors", f"./{LONG}.safetensors", f"/nowhere/{LONG}.safetensors"])
def test_a_path_that_cannot_be(cli: Cli, command: str, text: str) -> None:
    result = cli(command, text, "--json")
    assert result.status in (3, 6)
    assert cli.hub.requests == []


def test_a_long_text_is_no_file(cli: Cli) -> None:
    result = cli("inspect", LONG, "--json")
    assert [row["code"] for row in result.json] == ["unreadable"]
    assert cli("get", LONG).status == 3
    assert cli("list", "--dir", LONG).status == 3
    assert cli("remove", LONG, "--dir", cli.work).status != 0
    assert cli("get", "mine", "--catalogue", LONG).status == 3


def test_a_file_where_one_may_not_look(cli: Cli, closed: Path) -> None:
    path = closed / "vae.safetensors"
    assert [row["code"] for row in cli("inspect", path, "--json").json] == ["unreadable"]
    result = cli("get", path, "--dir", cli.folder)
    assert result.status == 3
    assert says(result.err, "unreadable", path=path)


@pytest.mark.parametrize("also", ["closed/sub", "closed/nowhere"])
def test_another_programs_folder_where_one_may_not_look(cli: Cli, closed: Path, also: str) -> None:
    command = ("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--also", cli.home / also)
    result = cli(*command)
    assert result.status == 6
    assert says(result.err, "unreadable", path=cli.home / also)


def test_another_programs_folder_that_may_not_be_entered_is_told(cli: Cli, closed: Path) -> None:
    result = cli("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--also", closed, "--json")
    assert (result.status, result.json["taken_from"]) == (0, None)
    assert says(result.err, "unreadable", path=closed)


def test_a_folder_of_the_hubs_cache_that_may_not_be_entered_is_told(cli: Cli, closed: Path) -> None:
    foreign = cli.home / "hf" / "hub" / "models--foreign--vae"
    foreign.parent.mkdir(parents=True)
    foreign.mkdir(0)
    result = cli("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--json")
    foreign.chmod(0o700)
    assert (result.status, result.json["taken_from"]) == (0, None)
    assert says(result.err, "unreadable", path=foreign / "blobs")


def test_sync_ends_at_a_pipe(cli: Cli) -> None:
    pipe = cli.home / "pipe.safetensors"
    os.mkfifo(pipe)
    declared = cli.home / "vaes.yaml"
    declared.write_text(json.dumps([{"source": str(pipe), "sha256": sha256(b""), "size": 10}]))
    result = cli("sync", declared, "--dir", cli.folder, "--json")
    assert result.status == 3
    assert says(result.out + result.err, "not-a-file", path=pipe)
