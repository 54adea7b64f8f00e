"""`catalogue`, `list` and `verify`: what can be fetched, what is there, and whether it is what it is named."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

import vae_manager
from tests.files.samples import diffusers, ldm, safetensors
from tests.files.torch_files import write_zip
from tests.library.vaes import rot
from tests.wording import says
from vae_manager.catalogue import load
from vae_manager.maintenance import OWN
from vae_manager.records import HashStore, RecordStore
from vae_manager.records.store import DATABASE

from .command import DATA, PATH, SOON, SOURCE, Cli, sha256


# -- catalogue -----------------------------------------------------------------------------------------------------
def test_the_catalogue_lists_what_can_be_fetched(cli: Cli) -> None:
    result = cli("catalogue")
    assert (result.status, result.err) == (0, "")
    assert [line.split()[0] for line in result.out.splitlines()] == [entry.id for entry in load().offered()]
    assert result.out.startswith("ft-mse ")
    assert "335 MB" in result.out.splitlines()[0]
    assert "MIT" in result.out.splitlines()[0]


def test_all_of_it_says_why_not(cli: Cli) -> None:
    result = cli("catalogue", "--all")
    assert result.status == 0
    for entry in load().entries:
        assert f"\n{entry.id} " in "\n" + result.out
    assert "not offered: These weights were leaked; their legal status is unclear." in result.out


def test_the_catalogue_as_json(cli: Cli) -> None:
    offered, everything = cli("catalogue", "--json"), cli("catalogue", "--all", "--json")
    assert [row["id"] for row in offered.json] == [entry.id for entry in load().offered()]
    assert [row["id"] for row in everything.json] == [entry.id for entry in load().entries]
    [row] = [row for row in offered.json if row["id"] == "ft-mse"]
    assert row == {
        "id": "ft-mse",
        "name": "ft-MSE 840k",
        "family": "sd1",
        "purpose": load().entry("ft-mse").purpose,
        "file_name": "vae-ft-mse-840000-ema-pruned.safetensors",
        "sha256": "735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75",
        "size": 334641190,
        "layout": "ldm",
        "dtype": "fp32",
        "licence": "MIT",
        "sources": [
            "hub:stabilityai/sd-vae-ft-mse-original/vae-ft-mse-840000-ema-pruned.safetensors"
            "@629b3ad3030ce36e15e70c5db7d91df0d60c627f"
        ],
        "offered": True,
        "hosts": ["a1111", "reforge", "forge", "neo"],
        "not_offered_because": None,
    }


def test_ones_own_entries_come_after_the_built_in_ones(cli: Cli) -> None:
    result = cli("catalogue", "--json", "--catalogue", cli.entry(purpose="肌をなめらかに", licence=None))
    row = result.json[-1]
    assert (row["id"], row["purpose"], row["licence"], row["sources"]) == ("mine", "肌をなめらかに", None, [SOURCE])


def test_a_broken_entry_is_told_with_file_and_line_and_the_rest_is_there(cli: Cli) -> None:
    good = {"id": "good", "name": "Good", "family": "sd1", "sha256": "0" * 64, "source": SOURCE}
    path = cli.catalogue({**good, "id": "bad", "family": "sd9"}, good)
    result = cli("catalogue", "--catalogue", path)
    assert result.status == 0
    [line] = result.err.splitlines()
    assert line.startswith(f"vae_manager: {path}:2: “sd9” is not a family")
    assert "\ngood " in result.out
    assert "\nbad " not in result.out


def test_an_output_that_cannot_show_every_letter(cli: Cli) -> None:
    cli.variables["PYTHONIOENCODING"] = "ascii"
    result = cli("catalogue", "--catalogue", cli.entry(name="é"))
    assert result.status == 0
    assert "\\xe9" in result.out


@pytest.mark.parametrize("encoding", ["ascii", "cp936", "utf-8"])
def test_json_is_json_whatever_the_output_can_show(cli: Cli, encoding: str) -> None:
    cli.variables["PYTHONIOENCODING"] = encoding
    command: list[str | Path] = ["catalogue", "--json", "--catalogue", cli.entry(name="ñ 肌 \U0001f600")]
    out, _ = cli.begin(*command, encoding=encoding).communicate(timeout=SOON)
    assert json.loads(out)[-1]["name"] == "ñ 肌 \U0001f600"
    out, _ = cli.begin("get", "ñ\U0001f600", "--json", encoding=encoding).communicate(timeout=SOON)
    assert "ñ\U0001f600" in json.loads(out)["error"]


# -- list ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def filled(cli: Cli) -> Path:
    """A VAE folder with a file of each kind."""
    folder = cli.folder
    (folder / "sub").mkdir(parents=True)
    safetensors(folder / "good.safetensors", ldm(), "F16")
    safetensors(folder / "sub" / "diffusers.safetensors", diffusers())
    write_zip(folder / "pickle.pt", ldm(), "BFloat16")
    (folder / "page.safetensors").write_text("<!DOCTYPE html><html></html>")
    (folder / "readme.txt").write_text("mine")
    return folder


def test_list_says_what_each_file_is(cli: Cli, filled: Path) -> None:
    result = cli("list", "--dir", filled)
    assert (result.status, result.err) == (0, "")
    lines = {line.split()[2]: line for line in result.out.splitlines()}
    assert list(lines) == ["sub/diffusers.safetensors", "good.safetensors", "page.safetensors", "pickle.pt"]
    assert "good.safetensors is a VAE" in lines["good.safetensors"]
    assert "pickle.pt is a VAE" in lines["pickle.pt"]
    [reason] = [row["reason"] for row in cli("list", "--dir", filled, "--json").json if row["code"] == "web-page"]
    assert reason in lines["page.safetensors"]
    assert "diffusers.safetensors is a VAE" in lines["sub/diffusers.safetensors"]


def test_list_as_json(cli: Cli, filled: Path) -> None:
    rows = {Path(row["path"]).name: row for row in cli("list", "--dir", filled, "--json").json}
    good = filled / "good.safetensors"
    assert "1/2 of a picture" in rows["good.safetensors"].pop("reason")
    assert rows["good.safetensors"] == {
        "path": str(good),
        "size": good.stat().st_size,
        "container": "safetensors",
        "layout": "ldm",
        "latent_channels": 4,
        "dtype": "fp16",
        "verdict": "ask-first",
        "loadable": True,
        "convertible": False,
        "code": "other-factor",
        "verification": None,
        "verification_reason": None,
        "family": None,
        "sha256": None,
        "same_name_as": [],
    }
    assert rows["pickle.pt"]["container"] == "pickle"
    assert rows["page.safetensors"]["code"] == "web-page"
    assert len(rows) == 4


def test_an_empty_list(cli: Cli) -> None:
    assert cli("list").out == "No VAE files in ..\n"
    assert cli("list", "--json").json == []


@pytest.mark.parametrize("command", ["list", "verify", "duplicates"])
def test_a_folder_that_is_not_there(cli: Cli, command: str) -> None:
    result = cli(command, "--dir", cli.home / "nowhere", "--json")
    assert (result.status, result.json["code"]) == (3, "no-such-folder")


def test_an_empty_folder_is_told_of(cli: Cli) -> None:
    cli.folder.mkdir()
    result = cli("verify", "--dir", cli.folder)
    assert (result.status, str(cli.folder) in result.out) == (0, True)


def test_list_looks_where_a_webui_looks(cli: Cli) -> None:
    folder = cli.work / "models" / "VAE"
    folder.mkdir(parents=True)
    safetensors(folder / "good.safetensors", ldm())
    assert [row["path"] for row in cli("list", "--json").json] == ["models/VAE/good.safetensors".replace("/", os.sep)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text(cli: Cli) -> None:
    cli.folder.mkdir()
    safetensors(cli.folder / os.fsdecode(b"caf\xe9.safetensors"), ldm())
    assert "caf\\udce9.safetensors" in cli("list", "--dir", cli.folder).out
    [row] = cli("list", "--dir", cli.folder, "--json").json
    assert Path(row["path"]).exists()


# -- verify --------------------------------------------------------------------------------------------------------
def verdicts(rows: list[dict[str, str]]) -> dict[str, str]:
    return {Path(row["path"]).name: row["verdict"] for row in rows}


def test_what_the_catalogue_knows_is_proven_whatever_its_name(cli: Cli) -> None:
    cli.folder.mkdir()
    path = cli.folder / "renamed.safetensors"
    path.write_bytes(DATA)
    result = cli("verify", "--dir", cli.folder, "--catalogue", cli.entry())
    assert (result.status, result.err) == (0, "")
    assert result.out == f"verified   {path}  is My VAE, byte for byte\n"


def test_other_bytes_under_a_known_name_are_wrong(cli: Cli) -> None:
    cli.folder.mkdir()
    path = safetensors(cli.folder / "mine.safetensors", ldm())
    result = cli("verify", "--dir", cli.folder, "--catalogue", cli.entry())
    assert (result.status, result.err) == (5, "")
    digest = sha256(path.read_bytes())
    assert result.out.startswith(f"changed    {path}  ")
    assert says(result.out, "other-bytes-under-name", file=path.name, vae="My VAE", sha256=digest)


def test_verify_as_json(cli: Cli, filled: Path) -> None:
    (filled / "mine.safetensors").write_bytes(DATA)
    safetensors(filled / "vae-ft-mse-840000-ema-pruned.safetensors", ldm())
    result = cli("verify", "--dir", filled, "--catalogue", cli.entry(), "--json")
    assert (result.status, result.err) == (5, "")
    assert verdicts(result.json) == {
        "mine.safetensors": "verified",
        "good.safetensors": "unverified",
        "pickle.pt": "unverified",
        "page.safetensors": "not-a-vae",
        "diffusers.safetensors": "unverified",
        "vae-ft-mse-840000-ema-pruned.safetensors": "changed",
    }
    [row] = [row for row in result.json if row["verdict"] == "verified"]
    assert row == {
        "path": str(filled / "mine.safetensors"),
        "sha256": sha256(DATA),
        "entry": "mine",
        "verdict": "verified",
        "text": "is My VAE, byte for byte",
    }


def test_unknown_files_are_no_failure(cli: Cli, filled: Path) -> None:
    result = cli("verify", filled / "good.safetensors", filled / "pickle.pt")
    assert result.status == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ["unverified", "unverified", "2"]
    assert sha256((filled / "pickle.pt").read_bytes()) in result.out


def test_only_the_files_that_were_named(cli: Cli, filled: Path) -> None:
    result = cli("verify", filled / "page.safetensors", "--json")
    assert (result.status, verdicts(result.json)) == (5, {"page.safetensors": "not-a-vae"})


def test_the_others_are_verified_all_the_same(cli: Cli, filled: Path) -> None:
    missing, good, page = filled / "missing.safetensors", filled / "good.safetensors", filled / "page.safetensors"
    result = cli("verify", missing, good)
    assert result.status == 3
    assert result.out.startswith(f"unverified {good}  ")
    [line] = result.err.splitlines()
    assert line.startswith("vae_manager: ") and str(missing) in line

    result = cli("verify", missing, good, "--json")
    assert (result.status, result.err) == (3, "")
    failed, row = result.json
    sentence = line.removeprefix("vae_manager: ")
    assert failed == {"path": str(missing), "error": sentence, "code": "no-such-file", "status": 3}
    assert row["verdict"] == "unverified"

    assert cli("verify", missing, good, filled / "sub").status == 6, "a folder is worse than a missing file"
    assert cli("verify", missing, page, good, "--json").status == 5, "wrong bytes are worse than both"


def test_an_earlier_reading_counts(cli: Cli, filled: Path) -> None:
    (cli.work / "data").mkdir()
    command = ("verify", filled / "good.safetensors", "--data", cli.work / "data", "--json")
    again = [cli(*command).json[0] for _ in range(2)]
    assert [row["verdict"] for row in again] == ["unverified", "verified"]


def test_the_same_bytes_under_a_new_time_are_those_of_the_earlier_reading(cli: Cli, filled: Path) -> None:
    (cli.work / "data").mkdir()
    good = filled / "good.safetensors"
    command = ("verify", good, "--data", cli.work / "data", "--json")
    assert cli(*command).json[0]["verdict"] == "unverified"
    os.utime(good, ns=(5, 5))
    assert cli(*command).json[0]["verdict"] == "verified"
    content = bytearray(good.read_bytes())
    content[-1] ^= 1
    good.write_bytes(content)
    assert cli(*command).json[0]["verdict"] == "unverified", "a file that was written to is another one"


def test_bytes_that_changed_unnoticed_are_told_by_list_and_inspect_too(cli: Cli, filled: Path) -> None:
    data, good = cli.work / "data", filled / "good.safetensors"
    data.mkdir()
    cli("verify", good, "--data", data)
    rot(good, HashStore(RecordStore(data)))
    assert cli("verify", good, "--data", data, "--json").json[0]["verdict"] == "changed"
    [row] = [row for row in cli("list", "--dir", filled, "--data", data, "--json").json if row["path"] == str(good)]
    [inspected] = cli("inspect", good, "--data", data, "--json").json
    for one in (row, inspected):
        assert one["verification"] == "changed"
        assert one["verification_reason"]
    assert inspected["verification_reason"] in cli("inspect", good, "--data", data).out


def test_a_delivery_stays_what_a_file_is_compared_with(cli: Cli) -> None:
    """Two names of one file do not vouch for each other, and readings do not replace what a delivery proved."""
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    first, second = cli.folder / PATH.rpartition("/")[2], cli.folder / "sub" / "b.safetensors"
    declared = cli.home / "declared.json"
    declared.write_text(json.dumps([{"source": SOURCE, "sha256": sha256(DATA), "file_name": second.name}]))
    assert cli("sync", declared, "--dir", second.parent, "--data", cli.folder / OWN).status == 0
    command = ("verify", first, second, "--data", cli.folder / OWN, "--json")
    assert verdicts(cli(*command).json) == {first.name: "verified", second.name: "verified"}
    for file in (first, second):
        content = bytearray(DATA)
        content[-1] ^= 1
        with file.open("r+b") as opened:
            opened.write(content)
    for _ in range(2):
        result = cli(*command)
        assert (result.status, verdicts(result.json)) == (5, {first.name: "changed", second.name: "changed"})
    first.unlink()
    assert cli("get", SOURCE, "--dir", cli.folder, "--data", cli.folder / OWN).status == 0
    assert verdicts(cli(*command).json) == {first.name: "verified", second.name: "changed"}
    own = second.rename(second.with_name("own.safetensors"))
    assert cli("verify", own, "--data", cli.folder / OWN, "--json").status == 0


def test_two_names_of_one_file_do_not_vouch_for_each_other(cli: Cli, filled: Path) -> None:
    data, good, name = cli.work / "data", filled / "good.safetensors", filled / "name.safetensors"
    data.mkdir()
    name.hardlink_to(good)
    command = ("verify", good, name, "--data", data, "--json")
    assert verdicts(cli(*command).json) == {good.name: "unverified", name.name: "unverified"}
    assert verdicts(cli(*command).json) == {good.name: "verified", name.name: "verified"}
    content = bytearray(good.read_bytes())
    content[-1] ^= 1
    good.write_bytes(content)
    assert verdicts(cli(*command).json) == {good.name: "unverified", name.name: "unverified"}


def change(*files: Path) -> None:
    """Write to the files: other bytes, which are no damage."""
    for file in files:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)


def test_a_changed_download_becomes_the_reference_when_it_is_kept(cli: Cli) -> None:
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    path = cli.folder / PATH.rpartition("/")[2]
    command: list[str | Path] = ["verify", path, "--data", cli.folder / OWN, "--json"]
    change(path)
    assert [verdicts(cli(*command).json)[path.name] for _ in range(2)] == ["changed"] * 2
    assert verdicts(cli(*command, "--keep").json) == {path.name: "verified"}
    [row] = cli("list", "--dir", cli.folder, "--data", cli.folder / OWN, "--json").json
    assert row["verification"] == "verified"
    assert verdicts(cli(*command).json) == {path.name: "verified"}
    change(path)
    assert verdicts(cli(*command, "--keep").json) == {path.name: "verified"}
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    result = cli(*command)
    assert (result.status, verdicts(result.json)) == (5, {path.name: "changed"})
    path.unlink()
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    assert verdicts(cli(*command).json) == {path.name: "verified"}, "a delivery is the newest reference again"


def test_bytes_that_changed_unnoticed_are_kept_when_they_are_read_twice(cli: Cli, filled: Path) -> None:
    data, good = cli.work / "data", filled / "good.safetensors"
    data.mkdir()
    command: list[str | Path] = ["verify", good, "--data", data, "--json"]
    cli(*command)
    rot(good, HashStore(RecordStore(data)))
    assert verdicts(cli(*command, "--keep").json) == {good.name: "changed"}, "a failing disk may give others next time"
    assert verdicts(cli(*command, "--keep").json) == {good.name: "verified"}
    assert verdicts(cli(*command).json) == {good.name: "verified"}


def test_only_what_was_named_and_is_sound_is_kept(cli: Cli, filled: Path) -> None:
    assert cli("verify", "--keep", "--dir", filled, "--json").status == 2
    named = safetensors(filled / "vae-ft-mse-840000-ema-pruned.safetensors", ldm())
    data = cli.work / "data"
    data.mkdir()
    command = ("verify", named, filled / "page.safetensors", "--data", data, "--json", "--keep")
    for _ in range(2):
        assert verdicts(cli(*command).json) == {named.name: "changed", "page.safetensors": "not-a-vae"}


def test_adopting_over_a_download_is_a_choice(cli: Cli) -> None:
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    path = cli.folder / PATH.rpartition("/")[2]
    own = cli.work / path.name
    own.write_bytes(path.read_bytes())
    command: list[str | Path] = ["verify", path, "--data", cli.folder / OWN, "--json"]
    change(own, path)
    assert verdicts(cli(*command).json) == {path.name: "changed"}
    assert cli("adopt", own, "--dir", cli.folder, "--json").json[0]["already_there"], "the same bytes as those here"
    assert verdicts(cli(*command).json) == {path.name: "verified"}
    assert cli("get", SOURCE, "--dir", cli.folder, "--name", "other").status == 0
    path.unlink()
    change(own)
    content = bytearray(own.read_bytes())
    content[-3] ^= 1
    own.write_bytes(content)
    assert not cli("adopt", own, "--dir", cli.folder, "--json").json[0]["already_there"]
    assert verdicts(cli(*command).json) == {path.name: "verified"}


def test_what_cannot_be_remembered_is_told(cli: Cli, filled: Path) -> None:
    good, data = filled / "good.safetensors", cli.work / "data"
    for command in (("verify", good), ("inspect", good), ("list", "--dir", filled)):
        result = cli(*command, "--data", data)
        assert (result.status, str(data) in result.err) == (0, True)
    assert not data.exists()
    data.mkdir()
    cli("verify", good, "--data", data)
    with closing(sqlite3.connect(data / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = cli("verify", good, "--data", data)
        assert (result.status, str(data / DATABASE) in result.err) == (0, True)


def test_nothing_to_verify(cli: Cli) -> None:
    assert cli("verify", "--json").json == []


# -- help ----------------------------------------------------------------------------------------------------------
def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out.strip() == vae_manager.__version__
    result = cli("get", "--help")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("usage: python -m vae_manager get")
