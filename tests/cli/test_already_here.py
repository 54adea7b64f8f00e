"""`get`, `sync` and `needs`: what this machine has already is taken and not fetched."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from tests.hub import Hub
from tests.hub.fixtures import client_environment
from tests.wording import says

from .command import DATA, PATH, REPO, ROOT, SOURCE, Cli, sha256

NAME = "mine.safetensors"
CLIENT = ROOT / "tests" / "hub" / "client.py"
IS_OLD = tuple(map(int, huggingface_hub.__version__.split(".")[:2])) < (0, 20)
"""0.16 does not read TRANSFORMERS_OFFLINE and HF_HUB_CACHE."""


@pytest.fixture
def cached(cli: Cli) -> Path:
    """The blob in the hub's cache, as the real huggingface_hub has downloaded it from a hub of the same content."""
    call = json.dumps([["download", {"repo": REPO, "path": PATH}]])
    with Hub() as earlier:
        earlier.add(REPO, PATH, DATA)
        environment = {**client_environment(earlier, cli.home / "hf"), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, str(CLIENT), call], env=environment, check=True, capture_output=True)
    blob = cli.home / "hf" / "hub" / f"models--{REPO.replace('/', '--')}" / "blobs" / sha256(DATA)
    assert blob.read_bytes() == DATA
    return blob


@pytest.fixture
def comfy(cli: Cli) -> Path:
    """The VAE folder of a ComfyUI that has the file under a name of its own."""
    folder = cli.home / "ComfyUI" / "models" / "vae"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "theirs.safetensors").write_bytes(DATA)
    (folder / "other.safetensors").write_bytes(DATA[:-1] + b"x")
    return folder


def same_file(one: Path, other: Path) -> bool:
    return os.path.samestat(one.stat(), other.stat())


def get(cli: Cli, *more: str | Path, source: str = "mine") -> Any:
    catalogue = cli.entry(size=len(DATA))
    result = cli("get", source, "--catalogue", catalogue, "--dir", cli.folder, *more, "--json")
    return {**result.json, "exit": result.status, "err": result.err}


# -- the hub's cache -----------------------------------------------------------------------------------------------
def test_an_entry_is_taken_from_the_hubs_cache(cli: Cli, cached: Path) -> None:
    answer = get(cli)
    assert (answer["exit"], answer["fetched"], answer["proven"], answer["sha256"]) == (0, 0, True, sha256(DATA))
    assert (answer["taken_as"], answer["already_there"]) == ("linked", False)
    assert same_file(cli.folder / NAME, cached), "one copy on the disk"
    assert (cli.hub.requests, cli.hub.cdn.sent(), cli.names()) == ([], 0, [NAME])
    assert (cli.folder / NAME).read_bytes() == DATA


def test_the_line_names_its_place(cli: Cli, cached: Path) -> None:
    result = cli("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder)
    assert result.status == 0
    assert str(cached) in result.out
    assert sha256(DATA) in result.out


def test_a_hash_that_the_hub_publishes(cli: Cli, cached: Path) -> None:
    answer = get(cli, source=SOURCE)
    assert (answer["exit"], answer["fetched"], answer["proven"], answer["taken_as"]) == (0, 0, True, "linked")
    assert cli.hub.cdn.sent() == 0


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("source", ["mine", SOURCE])
def test_offline(cli: Cli, cached: Path, variable: str, source: str) -> None:
    cli.variables[variable] = "1"
    answer = get(cli, source=source)
    assert (answer["exit"], answer["fetched"], answer["proven"]) == (0, 0, True)
    if not (IS_OLD and variable == "TRANSFORMERS_OFFLINE"):
        assert cli.hub.requests == []


@pytest.mark.skipif(IS_OLD, reason="this huggingface_hub does not read it")
def test_the_variable_that_is_set_is_named(cli: Cli) -> None:
    cli.variables["TRANSFORMERS_OFFLINE"] = "1"
    result = cli("get", SOURCE, "--dir", cli.folder)
    assert result.status == 4
    assert says(result.err, "offline", variable="TRANSFORMERS_OFFLINE")


@pytest.mark.parametrize("source", ["mine", SOURCE])
def test_without_a_network(cli: Cli, cached: Path, source: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        cli.variables["HF_ENDPOINT"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
        answer = get(cli, source=source)
    assert (answer["exit"], answer["fetched"], answer["proven"]) == (0, 0, True)


def test_a_pinned_revision_asks_nobody(cli: Cli, cached: Path) -> None:
    [commit] = [path.name for path in (cached.parents[1] / "snapshots").iterdir()]
    answer = get(cli, source=f"{SOURCE}@{commit}")
    assert (answer["exit"], answer["proven"], answer["taken_as"]) == (0, True, "linked")
    assert cli.hub.requests == []


def test_another_revision_at_the_hub_is_fetched(cli: Cli, cached: Path) -> None:
    newer = DATA[:-1] + b"x"
    cli.hub.add(REPO, PATH, newer)
    answer = get(cli, source=SOURCE)
    assert (answer["exit"], answer["fetched"], answer["sha256"]) == (0, len(newer), sha256(newer))


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_a_cache_elsewhere(cli: Cli, cached: Path, variable: str) -> None:
    moved = cli.home / "caches" / "hub"
    moved.parent.mkdir()
    cached.parents[2].rename(moved)
    cli.variables[variable] = str(moved)
    assert get(cli)["taken_as"] == "linked"


@pytest.mark.parametrize("wrong", [DATA[:-1] + b"x", DATA[:-1], b""], ids=["changed", "cut", "empty"])
def test_wrong_bytes_in_the_cache_are_ignored(cli: Cli, cached: Path, wrong: bytes) -> None:
    cached.write_bytes(wrong)
    answer = get(cli)
    assert (answer["exit"], answer["fetched"], answer["taken_from"]) == (0, len(DATA), None)
    assert says(answer["err"], "copy-has-other-bytes", path=cached, expected=sha256(DATA))
    assert (cli.folder / NAME).read_bytes() == DATA
    assert cached.read_bytes() == wrong


def test_a_cache_without_links_as_on_windows(cli: Cli, cached: Path) -> None:
    [file] = (cached.parents[1] / "snapshots").glob(f"*/{PATH}")
    file.unlink()
    cached.rename(file)
    answer = get(cli)
    assert (answer["exit"], answer["fetched"], answer["taken_from"]) == (0, 0, str(file))
    assert same_file(cli.folder / NAME, file)


# -- other folders -------------------------------------------------------------------------------------------------
def test_a_file_of_another_program_is_not_shared(cli: Cli, comfy: Path) -> None:
    answer = get(cli, "--also", comfy)
    assert (answer["exit"], answer["fetched"], answer["proven"]) == (0, 0, True)
    assert answer["taken_from"] == str(comfy / "sub" / "theirs.safetensors")
    assert answer["taken_as"] in ("cloned", "copied")
    assert not same_file(cli.folder / NAME, comfy / "sub" / "theirs.safetensors")
    assert cli.hub.requests == []
    (comfy / "sub" / "theirs.safetensors").write_bytes(b"saved over")
    assert (cli.folder / NAME).read_bytes() == DATA


def test_a_file_that_nobody_may_write_to_is_linked(cli: Cli, comfy: Path) -> None:
    (comfy / "sub" / "theirs.safetensors").chmod(0o444)
    assert get(cli, "--also", comfy)["taken_as"] == "linked"
    assert same_file(cli.folder / NAME, comfy / "sub" / "theirs.safetensors")


def test_folders_by_a_variable(cli: Cli, comfy: Path) -> None:
    cli.variables["VAE_MANAGER_ALSO"] = os.pathsep.join([str(cli.home / "nowhere"), str(comfy)])
    assert get(cli)["fetched"] == 0


def test_without_a_size_a_file_is_found_by_its_name(cli: Cli, comfy: Path) -> None:
    command = ("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--also", comfy, "--json")
    assert cli(*command).json["fetched"] == len(DATA), "any file of any size would have to be read"
    (cli.folder / NAME).unlink()
    (comfy / "sub" / "theirs.safetensors").rename(comfy / NAME.upper().replace("SAFETENSORS", "safetensors"))
    assert cli(*command).json["fetched"] == 0


def test_another_file_of_that_name_and_size(cli: Cli, comfy: Path) -> None:
    (comfy / "sub" / "theirs.safetensors").unlink()
    (comfy / "other.safetensors").rename(comfy / NAME)
    answer = get(cli, "--also", comfy)
    assert (answer["exit"], answer["fetched"]) == (0, len(DATA))
    assert says(answer["err"], "copy-has-other-bytes", path=comfy / NAME)


def test_a_folder_that_is_not_there(cli: Cli) -> None:
    assert (get(cli, "--also", cli.home / "nowhere")["exit"], cli.hub.requests) == (3, [])


@pytest.fixture
def elsewhere(cli: Cli) -> Iterator[Path]:
    """A folder of another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == cli.home.stat().st_dev:
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_a_cache_on_another_file_system_is_copied(cli: Cli, cached: Path, elsewhere: Path) -> None:
    shutil.copytree(cached.parents[2], elsewhere / "hub", symlinks=True)
    shutil.rmtree(cached.parents[2])
    cli.variables["HF_HUB_CACHE"] = str(elsewhere / "hub")
    answer = get(cli)
    assert (answer["exit"], answer["fetched"], answer["taken_as"]) == (0, 0, "copied")
    assert (cli.folder / NAME).read_bytes() == DATA
    assert cli.names() == [NAME]


# -- the library ---------------------------------------------------------------------------------------------------
def test_a_file_of_the_library_under_another_name(cli: Cli) -> None:
    (cli.folder / "sub").mkdir(parents=True)
    old = cli.folder / "sub" / "old.safetensors"
    old.write_bytes(DATA)
    answer = get(cli)
    assert (answer["exit"], answer["fetched"], answer["taken_as"], answer["taken_from"]) == (0, 0, "linked", str(old))
    assert same_file(cli.folder / NAME, old)
    assert cli.hub.requests == []


def test_a_name_that_is_taken_stays(cli: Cli, cached: Path) -> None:
    cli.folder.mkdir()
    (cli.folder / NAME).write_bytes(b"mine")
    assert get(cli)["exit"] == 7
    assert (cli.folder / NAME).read_bytes() == b"mine"


def test_the_current_folder_is_not_searched(cli: Cli) -> None:
    (cli.work / "deep").mkdir()
    (cli.work / "deep" / "theirs.safetensors").write_bytes(DATA)
    result = cli("get", "mine", "--catalogue", cli.entry(size=len(DATA)), "--json")
    assert (result.json["fetched"], result.json["taken_from"]) == (len(DATA), None)


# -- sync ----------------------------------------------------------------------------------------------------------
def test_sync_takes_what_is_here(cli: Cli, cached: Path) -> None:
    file = cli.home / "vaes.yaml"
    file.write_text(json.dumps([{"source": SOURCE, "sha256": sha256(DATA)}]))
    cli.variables["HF_HUB_OFFLINE"] = "1"
    result = cli("sync", file, "--dir", cli.folder, "--json")
    [row] = result.json["items"]
    assert (result.status, row["state"], row["fetched"], row["taken_as"]) == (0, "taken", 0, "linked")
    assert same_file(cli.folder / NAME, cached)
