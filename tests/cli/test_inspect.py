"""`inspect`, `verify --numbers` and `duplicates`: what files are, by their bytes."""

from __future__ import annotations

import os
import signal
import struct
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.files.samples import diffusers, encode, header_of, ldm, safetensors
from tests.library.vaes import tree, vae
from tests.wording import says

from .command import Cli, finished, sha256, until


def catalogue_with(cli: Cli, path: Path) -> Path:
    return cli.entry(sha256=sha256(path.read_bytes()), family="sdxl")


# -- inspect -------------------------------------------------------------------------------------------------------
def test_all_that_is_known_as_json(cli: Cli) -> None:
    path = vae(cli.work / "cool_anime.safetensors", 3, made_by="me")
    result = cli("inspect", path, "--catalogue", catalogue_with(cli, path), "--json")
    assert (result.status, result.err) == (0, "")
    [row] = result.json
    assert len(row.pop("weights_fingerprint")) == len(row.pop("encoder_fingerprint")) == 64
    assert row.pop("parameters") > 0
    assert "1/2 of a picture" in row.pop("reason")
    assert row == {
        "path": str(path),
        "source": None,
        "here": None,
        "size": path.stat().st_size,
        "sha256": sha256(path.read_bytes()),
        "container": "safetensors",
        "layout": "ldm",
        "family": "sdxl",
        "family_why": "hash",
        "family_sure": True,
        "family_candidates": [],
        "latent_channels": 4,
        "dtype": "fp32",
        "has_encoder": True,
        "has_decoder": True,
        "prefix": "",
        "entry": "mine",
        "verdict": "ask-first",
        "loadable": True,
        "convertible": False,
        "code": "other-factor",
        "verification": None,
        "verification_reason": None,
        "problems": [],
        "metadata": {"made_by": "me"},
    }
    assert tree(cli.work) == ["cool_anime.safetensors"], "who only looks makes nothing"


def test_three_sentences_first(cli: Cli) -> None:
    path = vae(cli.work / "a.safetensors")
    lines = cli("inspect", path).out.splitlines()
    assert lines[:4] == [
        str(path),
        "  It is a VAE in the layout “ldm”, and its hash is not in the catalogue.",
        "  It was made for SD 1.x / 2.x or SDXL: its shapes do not tell which.",
        "  a.safetensors is a VAE whose latents have 1/2 of a picture's side; those of the usual VAEs have 1/8.",
    ]
    assert any(line.endswith(sha256(path.read_bytes())) for line in lines[4:])
    lines = cli("inspect", path, "--catalogue", catalogue_with(cli, path)).out.splitlines()
    assert lines[1:3] == [
        "  It is My VAE, byte for byte.",
        "  It was made for SDXL (the catalogue knows its hash).",
    ]


def test_why_not_and_what_to_do(cli: Cli) -> None:
    twin = safetensors(cli.work / "twin.safetensors", diffusers())
    lines = cli("inspect", twin).out.splitlines()
    assert "twin.safetensors" in lines[3] and "vae_manager convert" in lines[3]
    [row] = cli("inspect", twin, "--json").json
    assert (row["loadable"], row["convertible"], row["verdict"], row["problems"]) == (False, True, "ask-first", [])
    (cli.work / "page.pt").write_text("<html>sign in</html>")
    result = cli("inspect", cli.work / "page.pt")
    assert result.status == 0
    kind, family, reason = result.out.splitlines()[1:4]
    assert (kind, family) == ("  It is no VAE.", "  It is not known what it was made for.")
    assert says(reason, "web-page", file="page.pt")


def test_the_header_alone(cli: Cli) -> None:
    """A file of many gigabytes that is not read: it has no bytes on the disk, so to hash it would take minutes."""
    header, size = header_of({**ldm(), "model.diffusion_model.weight": (10_000, 1_000_000)})
    path = cli.work / "huge.safetensors"
    path.write_bytes(encode(header))
    os.truncate(path, path.stat().st_size + size)
    [row] = cli("inspect", path, "--no-hash", "--json").json
    assert (row["layout"], row["sha256"], row["weights_fingerprint"]) == ("checkpoint", None, None)


def test_twins_tell_each_others_family(cli: Cli) -> None:
    one, twin = vae(cli.work / "a.safetensors"), vae(cli.work / "b.safetensors", note="other bytes")
    rows = cli("inspect", one, twin, "--catalogue", catalogue_with(cli, one), "--json").json
    assert [(row["family"], row["family_why"]) for row in rows] == [("sdxl", "hash"), ("sdxl", "weights")]


def test_the_others_are_inspected_all_the_same(cli: Cli) -> None:
    good = vae(cli.work / "a.safetensors")
    result = cli("inspect", "nothing.safetensors", os.devnull, good, "--json")
    assert result.status == 6
    assert [(row["path"], row.get("status")) for row in result.json] == [
        (str(good), None),
        ("nothing.safetensors", 3),
        (os.devnull, 6),
    ]
    assert "nothing.safetensors" in cli("inspect", "nothing.safetensors").message
    assert [row.get("code") for row in result.json[1:]] == ["no-such-file", "not-a-file"]


@pytest.mark.skipif(sys.platform == "win32", reason="other names")
def test_a_name_and_metadata_that_would_move_the_cursor(cli: Cli) -> None:
    path = vae(cli.work / "a\x1b[2J\n.safetensors", 0, **{"k\x1b": "v\x1b[1m\nx"})
    out = cli("inspect", path).out
    assert "\x1b" not in out
    assert "a\\x1b[2J\\n.safetensors" in out
    assert cli("inspect", path, "--json").json[0]["metadata"] == {"k\x1b": "v\x1b[1m\nx"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs signals, and a look at another process")
def test_ctrl_c_ends_the_reading(cli: Cli) -> None:
    path = cli.work / "huge.safetensors"
    header, size = header_of({"decoder.conv_in.weight": (10_000, 10_000_000)})
    path.write_bytes(encode(header))
    os.truncate(path, path.stat().st_size + size)  # 400 GB of nothing: minutes to read
    for command in (("inspect", path), ("verify", path)):
        process = cli.begin(*command)
        until(partial(has_open, process.pid, path))
        process.send_signal(signal.SIGINT)
        result = finished(process)
        assert result.status == 130
        assert "was stopped" in result.message


def has_open(pid: int, path: Path) -> bool:
    return path in opened_by(pid)


def opened_by(pid: int) -> list[Path]:
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(descriptor.readlink())
    return found


def test_what_is_known_of_its_neighbours_weights_is_known_of_a_file(cli: Cli) -> None:
    """`list` and the page say so too."""
    folder, data = cli.work / "VAE", cli.work / "data"
    folder.mkdir()
    data.mkdir()
    one, two = vae(folder / "a.safetensors", 3), vae(folder / "b.safetensors", 3, made_by="me")
    catalogue = ("--catalogue", catalogue_with(cli, one), "--data", data)
    cli("inspect", one, two, *catalogue)
    [first], [row] = (cli("inspect", path, *catalogue, "--json").json for path in (one, two))
    assert (row["family"], row["family_why"], row["entry"]) == ("sdxl", "weights", "mine")
    told, told_of_its_bytes = (cli("inspect", path, *catalogue).out.splitlines()[1] for path in (two, one))
    assert row["sha256"] != first["sha256"]
    assert ("My VAE" in told, "My VAE" in told_of_its_bytes, told == told_of_its_bytes) == (True, True, False)


# -- verify --------------------------------------------------------------------------------------------------------
def test_verify_looks_at_the_numbers(cli: Cli) -> None:
    pytest.importorskip("numpy")
    good, bad = vae(cli.folder / "good.safetensors"), vae(cli.folder / "bad.safetensors")
    bad.write_bytes(bad.read_bytes()[:-4] + struct.pack("<f", float("nan")))
    result = cli("verify", "--dir", cli.folder)
    assert result.status == 5
    assert [line.split()[0] for line in result.out.splitlines()] == ["damaged", "unverified", "2"]
    assert says(result.out, "nan", file="bad.safetensors", name="post_quant_conv.weight")
    assert cli("verify", "--numbers", good).status == 0


# -- duplicates ----------------------------------------------------------------------------------------------------
def test_the_same_weights_twice(cli: Cli) -> None:
    vae(cli.folder / "a.safetensors", 1)
    vae(cli.folder / "sub" / "b.safetensors", 1, note="other bytes")
    vae(cli.folder / "c.safetensors", 2)
    result = cli("duplicates", "--dir", cli.folder)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("The same weights, ")
    assert [line.split()[2] for line in lines[1:]] == ["a.safetensors", "sub/b.safetensors"]
    vae(cli.folder / "d.safetensors", 2)
    groups = cli("duplicates", "--dir", cli.folder, "--json").json
    assert [[Path(file["path"]).name for file in group["files"]] for group in groups] == [
        ["a.safetensors", "b.safetensors"],
        ["c.safetensors", "d.safetensors"],
    ]
    assert [file["same_bytes_as"] for file in groups[0]["files"]] == [[], []]
    assert groups[1]["files"][0]["same_bytes_as"] == [str(cli.folder / "d.safetensors")]
    assert ".vae-manager" not in tree(cli.folder)


def test_none(cli: Cli) -> None:
    vae(cli.folder / "a.safetensors")
    assert cli("duplicates", "--dir", cli.folder).out == f"No VAE is in {cli.folder} more than once.\n"


def test_what_was_found_is_remembered_where_there_is_a_place(cli: Cli) -> None:
    vae(cli.folder / "a.safetensors")
    webuis = cli.home / "vae-manager"
    (cli.home / "models").mkdir()
    folder = cli.folder.rename(cli.home / "models" / "VAE")
    webuis.mkdir()
    cli("duplicates", "--dir", folder)
    assert tree(webuis) == ["records.sqlite3"]
    (cli.home / "own").mkdir()
    cli("list", "--dir", folder, "--data", cli.home / "own")
    assert tree(cli.home / "own") == ["records.sqlite3"]


# -- list ----------------------------------------------------------------------------------------------------------
def test_list_names_two_of_one_name(cli: Cli) -> None:
    vae(cli.folder / "a.safetensors", 1)
    vae(cli.folder / "sub" / "a.safetensors", 2)
    assert cli("list", "--dir", cli.folder).out.count("the WebUI lists one of them") == 2
    rows = cli("list", "--dir", cli.folder, "--json").json
    assert rows[0]["same_name_as"] == [rows[1]["path"]]


def test_a_folder_means_its_vae_files(cli: Cli) -> None:
    (cli.folder / "sub").mkdir(parents=True)
    paths = [cli.folder / "a.safetensors", cli.folder / "sub" / "b.safetensors"]
    for path in paths:
        safetensors(path, ldm())
    (cli.folder / "notes.txt").write_text("no VAE")
    result = cli("inspect", cli.folder, "--json")
    assert (result.status, [row["path"] for row in result.json]) == (0, [str(path) for path in paths])
    paths[0].parent.joinpath("empty").mkdir()
    empty = cli("inspect", cli.folder / "empty")
    assert (empty.status, empty.out, str(cli.folder / "empty") in empty.err) == (0, "", True)
