"""`remove`, `trash` and `adopt`: out of the VAE folder and into it, and nothing is ever lost."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.files.filling import filling
from tests.files.samples import diffusers, encode, header_of, ldm, safetensors
from tests.library.vaes import left_behind, put, tree, vae
from tests.wording import says
from vae_manager.library.operations import Journal

from .command import Cli, finished, until


@pytest.fixture
def folder(cli: Cli) -> Path:
    """No test puts a file into the trash of who runs it, wherever Send2Trash is installed."""
    (cli.home / "hidden").mkdir()
    (cli.home / "hidden" / "send2trash.py").write_text("raise ImportError")
    cli.variables["PYTHONPATH"] = f"{cli.home / 'hidden'}:{cli.environment['PYTHONPATH']}"
    vae(cli.folder / "a.safetensors", 1)
    put(cli.folder, "a.png")
    return cli.folder


# -- remove --------------------------------------------------------------------------------------------------------
def test_into_the_trash_and_back(cli: Cli, folder: Path) -> None:
    result = cli("remove", "a.safetensors", "--dir", folder)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"{folder / 'a.safetensors'}: in the trash, {folder / '.vae-manager' / 'trash'}")
    assert cli("list", "--dir", folder, "--json").json == []
    [row] = cli("trash", "list", "--dir", folder, "--json").json
    assert row["path"] == str(folder / "a.safetensors")
    assert cli("trash", "list", "--dir", folder).out.endswith(f"{folder / 'a.safetensors'}\n")
    result = cli("trash", "restore", "a.safetensors", "--dir", folder)
    assert (result.status, result.out) == (0, f"{folder / 'a.safetensors'}: is back\n")
    assert [name for name in tree(folder) if not name.startswith(".")] == ["a.png", "a.safetensors"]


def test_a_listing_ends_what_a_killed_command_left_half_done(cli: Cli, folder: Path) -> None:
    left_behind(Journal(folder / ".vae-manager"), folder, "a", "b", ".safetensors", ".png")
    (folder / "a.safetensors").rename(folder / "b.safetensors")
    result = cli("list", "--dir", folder, "--json")
    assert [Path(row["path"]).name for row in result.json] == ["b.safetensors"]
    [line] = result.err.splitlines()
    assert line.startswith("vae_manager: ") and "a.safetensors" in line and "b.safetensors" in line
    assert [name for name in tree(folder) if not name.startswith(".")] == ["b.png", "b.safetensors"]
    assert cli("list", "--dir", folder, "--json").err == ""


def test_by_its_path_and_as_json(cli: Cli, folder: Path) -> None:
    data = cli.home / "data"
    result = cli("remove", folder / "a.safetensors", "--dir", folder, "--data", data, "--json")
    [row] = result.json
    assert (row["path"], sorted(row["files"])) == (str(folder / "a.safetensors"), ["a.png", "a.safetensors"])
    assert Path(row["trash"]).parent == data / "trash"
    assert tree(folder) == []


def test_the_others_go_all_the_same(cli: Cli, folder: Path) -> None:
    result = cli("remove", "nothing.safetensors", "a.safetensors", "--dir", folder)
    assert result.status == 3
    assert result.err.startswith("vae_manager: ") and says(result.err, "no-such-file")
    assert "a.safetensors: in the trash" in result.out


def test_back_never_over_another_file(cli: Cli, folder: Path) -> None:
    cli("remove", "a.safetensors", "--dir", folder)
    vae(folder / "a.safetensors", 2)
    result = cli("trash", "restore", "a.safetensors", "--dir", folder)
    assert result.status == 7
    assert says(result.message, "name-taken", file="a.safetensors")
    assert "The name a-2.safetensors is free." in result.message
    assert b"\x02" in (folder / "a.safetensors").read_bytes()
    result = cli("trash", "restore", "a.safetensors", "--as", "a-2.safetensors", "--dir", folder)
    assert (result.status, result.out) == (0, f"{folder / 'a-2.safetensors'}: is back\n")
    assert [name for name in tree(folder) if name.startswith("a")] == ["a-2.png", "a-2.safetensors", "a.safetensors"]


def test_two_deleted_and_two_restored(cli: Cli, folder: Path) -> None:
    vae(folder / "b.safetensors", 2)
    cli("remove", "a.safetensors", "b.safetensors", "--dir", folder)
    assert {Path(row["path"]).name for row in cli("trash", "list", "--dir", folder, "--json").json} == {
        "a.safetensors", "b.safetensors"
    }  # fmt: skip
    assert cli("trash", "restore", "a.safetensors", "b.safetensors", "--dir", folder).status == 0
    assert [name for name in tree(folder) if not name.startswith(".")] == ["a.png", "a.safetensors", "b.safetensors"]
    assert cli("trash", "list", "--dir", folder, "--json").json == []


def test_emptied_only_when_asked(cli: Cli, folder: Path) -> None:
    cli("remove", "a.safetensors", "--dir", folder)
    assert cli("trash", "empty", "--dir", folder).out.startswith("1 deleted for good, ")
    result = cli("trash", "restore", "a.safetensors", "--dir", folder)
    assert (result.status, "a.safetensors" in result.message) == (3, True)
    [line] = cli("trash", "list", "--dir", folder).out.splitlines()
    assert (cli("trash", "list", "--dir", folder, "--json").json, "safetensors" in line) == ([], False)


def test_nothing_was_named(cli: Cli, folder: Path) -> None:
    assert cli("remove", "--dir", folder).status == 2
    assert cli("trash", "restore", "--dir", folder).status == 2
    assert cli("trash", "empty", "a.safetensors", "--dir", folder).status == 2
    assert cli("trash", "restore", "a", "b", "--as", "c", "--dir", folder).status == 2
    assert tree(folder) == ["a.png", "a.safetensors"]


# -- adopt ---------------------------------------------------------------------------------------------------------
def test_copied_moved_and_linked(cli: Cli, folder: Path) -> None:
    files = {how: vae(cli.work / f"{how}.safetensors", seed) for seed, how in enumerate(("copy", "move", "link"), 5)}
    for how, path in files.items():
        result = cli("adopt", path, "--dir", folder, "--how", how)
        assert (result.status, result.err) == (0, "")
        assert result.out == f"{folder / path.name}: {how} of {path}\n"
    assert tree(cli.work) == ["copy.safetensors", "link.safetensors"]
    assert (folder / "link.safetensors").samefile(files["link"])
    assert not (folder / "copy.safetensors").samefile(files["copy"])


def test_by_the_address_that_a_file_manager_pastes(cli: Cli, folder: Path) -> None:
    path = vae(cli.work / "a b.safetensors")
    assert cli("adopt", path.as_uri(), "--dir", folder).status == 0
    assert (folder / path.name).is_file()


def test_under_another_name_and_as_json(cli: Cli, folder: Path) -> None:
    path = vae(cli.work / "diffusion_pytorch_model.safetensors")
    result = cli("adopt", path, "--dir", folder / "new", "--name", "mine", "--json")
    there = str(folder / "new" / "mine.safetensors")
    assert result.json == [{"path": there, "source": str(path), "how": "copy", "already_there": False}]
    assert cli("adopt", path, path, "--name", "mine", "--dir", folder).status == 2


@pytest.mark.parametrize("name", ["a.safetensors", "../a.safetensors", "nul.safetensors"])
def test_names_that_cannot_be(cli: Cli, folder: Path, name: str) -> None:
    path = vae(cli.work / "b.safetensors", 2)
    before = tree(cli.home)
    assert cli("adopt", path, "--dir", folder, "--name", name).status == 7
    assert tree(cli.home) == before


def test_a_name_that_the_folder_has_elsewhere(cli: Cli, folder: Path) -> None:
    vae(folder / "sub" / "b.safetensors", 2)
    result = cli("adopt", vae(cli.work / "b.safetensors"), "--dir", folder, "--json")
    [row] = result.json
    assert (result.status, row["code"]) == (7, "name-listed-elsewhere")
    assert str(folder / "sub" / "b.safetensors") in row["error"]


@pytest.mark.parametrize("how", ["copy", "move", "link"])
def test_bytes_that_the_folder_has_already(cli: Cli, folder: Path, how: str) -> None:
    path = vae(cli.work / "b.safetensors", 5)
    command = ("adopt", path, "--dir", folder, "--how", "copy")
    assert cli(*command).status == 0
    path.rename(cli.work / "c.safetensors")
    before = tree(cli.home), tree(cli.work)
    again = cli("adopt", cli.work / "c.safetensors", "--dir", folder, "--how", how, "--json")
    assert again.status == 0
    assert [(row["path"], row["already_there"]) for row in again.json] == [(str(folder / "b.safetensors"), True)]
    assert (tree(cli.home), tree(cli.work)) == before
    named = cli("adopt", cli.work / "c.safetensors", "--dir", folder, "--name", "b", "--json")
    assert (named.status, named.json[0]["already_there"]) == (0, True)
    other = vae(cli.work / "other.safetensors", 6)
    assert cli("adopt", other, "--dir", folder, "--name", "b").status == 7, "of the same size, with other bytes"


def test_looked_at_first(cli: Cli, folder: Path) -> None:
    good, twin = vae(cli.work / "b.safetensors", 2), safetensors(cli.work / "twin.safetensors", diffusers())
    result = cli("adopt", twin, good, "--dir", folder)
    assert result.status == 7
    [line] = result.err.splitlines()
    assert "twin.safetensors" in line
    [row] = cli("adopt", twin, "--dir", folder, "--json").json
    assert (row["status"], row["code"], f"vae_manager: {row['error']}") == (7, "diffusers", line)
    assert tree(folder) == ["a.png", "a.safetensors", "b.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_leaves_no_half_file(cli: Cli, folder: Path) -> None:
    process = cli.begin("adopt", big(cli.work / "big.safetensors"), "--dir", folder)
    until(lambda: any(path.stat().st_size > 1_000_000 for path in folder.glob(".*.writing")))
    process.send_signal(signal.SIGINT)
    result = finished(process)
    assert result.status == 130
    assert tree(folder) == ["a.png", "a.safetensors"]


def big(path: Path) -> Path:
    """A VAE of 4 GB that takes no room: copying it takes seconds."""
    header, size = header_of({**ldm(), "loss.logvar": (1_000, 1_000_000)})
    weights = filling(header_of(ldm())[1])
    path.write_bytes(encode(header, weights))
    os.truncate(path, path.stat().st_size + size - len(weights))
    return path
