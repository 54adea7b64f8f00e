"""`freeze`: a set of VAEs that travels; `sync` brings another machine to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.library.vaes import vae
from tests.wording import says
from vae_manager.catalogue.source_text import parse_source
from vae_manager.downloads import History, past_delivery
from vae_manager.errors import IntegrityError, RefusedError
from vae_manager.maintenance import OWN
from vae_manager.transfer import DownloadRequest, DownloadResult

from .command import REPO, SOURCE, Cli, sha256

NAMES = ["a.safetensors", "b.safetensors", "mine.safetensors"]


@pytest.fixture
def mine(hub: Hub, tmp_path: Path) -> bytes:
    """A VAE that the hub has."""
    data = vae(tmp_path / "made.safetensors", 1).read_bytes()
    hub.add(REPO, "some/where/mine.safetensors", data)
    return data


@pytest.fixture
def machines(cli: Cli, tmp_path: Path) -> tuple[Cli, Cli]:
    """Two machines with one hub."""
    work, home = tmp_path / "work of B", tmp_path / "home of B"
    work.mkdir()
    home.mkdir()
    return cli, replace(cli, work=work, home=home, variables={})


def freeze(cli: Cli, *more: str) -> str:
    result = cli("freeze", "--dir", cli.folder, *more)
    assert (result.status, result.err) == (0, "")
    return result.out


def lock(cli: Cli, text: str) -> Path:
    file = cli.home / "vaes.lock"
    file.write_text(text, encoding="utf-8")
    return file


def content(cli: Cli) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cli.folder.iterdir() if path.is_file()}


def overwrite(file: Path, at: int) -> None:
    """Change one byte of a file in place."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    with file.open("r+b") as opened:
        opened.write(content)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_set_travels(hub: Hub, machines: tuple[Cli, Cli], mine: bytes, tmp_path: Path, form: str) -> None:
    a, b = machines
    theirs = vae(tmp_path / "theirs.safetensors", 2).read_bytes()
    hub.add(REPO, "b.safetensors", theirs)
    assert a("get", SOURCE, "--dir", a.folder).status == 0
    assert a("get", f"hub:{REPO}/b.safetensors", "--dir", a.folder).status == 0
    (a.folder / "mine.safetensors").rename(a.folder / "a.safetensors")
    frozen = freeze(a, *(["--json"] if form == "json" else []))
    assert str(a.home) not in frozen
    assert b("sync", lock(b, frozen), "--dir", b.folder).status == 0
    assert content(b) == content(a) == {"a.safetensors": mine, "b.safetensors": theirs}
    assert freeze(b) == freeze(a)
    assert b("sync", lock(b, frozen), "--dir", b.folder, "--check").status == 0


def test_a_file_that_was_there_already_has_its_sources_too(machines: tuple[Cli, Cli], mine: bytes) -> None:
    a, b = machines
    assert a("get", SOURCE, "--dir", a.folder).status == 0
    b.folder.mkdir()
    (b.folder / "mine.safetensors").write_bytes(mine)
    for _ in range(2):
        assert b("sync", lock(b, freeze(a)), "--dir", b.folder).status == 0
    assert freeze(b) == freeze(a)
    assert len((b.folder / ".vae-manager" / "history.jsonl").read_text().splitlines()) == 1


def test_an_entry_of_ones_own_catalogue_travels_by_its_sources(machines: tuple[Cli, Cli], mine: bytes) -> None:
    a, b = machines
    catalogue = a.entry(sha256=sha256(mine), size=len(mine), file_name="named.safetensors")
    assert a("get", "mine", "--catalogue", catalogue, "--dir", a.folder).status == 0
    [item] = json.loads(freeze(a, "--json", "--catalogue", str(catalogue)))
    assert item == {
        "file_name": "named.safetensors",
        "sha256": sha256(mine),
        "size": len(mine),
        "sources": [SOURCE],
    }
    assert b("sync", lock(b, json.dumps([item])), "--dir", b.folder).status == 0


def test_a_file_without_a_source(machines: tuple[Cli, Cli], mine: bytes) -> None:
    a, b = machines
    a.folder.mkdir()
    (a.folder / "a.safetensors").write_bytes(mine)
    frozen = freeze(a)
    assert (sha256(mine) in frozen, "\n# " in frozen) == (True, True)
    missing = b("sync", lock(b, frozen), "--dir", b.folder)
    assert missing.status == 3
    assert says(missing.err, "no-source", file="a.safetensors", hash=sha256(mine))
    found = b("sync", lock(b, frozen), "--dir", b.folder, "--also", a.folder, "--json")
    assert (found.status, found.json["items"][0]["state"]) == (0, "taken")
    assert content(b) == {"a.safetensors": mine}


def test_a_local_source_stays_at_home(cli: Cli, mine: bytes) -> None:
    source = cli.home / "given" / "a.safetensors"
    source.parent.mkdir()
    source.write_bytes(mine)
    assert cli("get", source, "--dir", cli.folder).status == 0
    [item] = json.loads(freeze(cli, "--json"))
    assert "sources" not in item


def downloaded(cli: Cli, data: bytes, *sources: str) -> None:
    """Write a file that came from `sources`, with its history, as a download from another machine does."""
    cli.folder.mkdir(exist_ok=True)
    (cli.folder / "a.safetensors").write_bytes(data)
    request = DownloadRequest(
        tuple(parse_source(text, http_hosts=None) for text in sources), cli.folder, "a.safetensors", sha256(data)
    )
    result = DownloadResult(cli.folder / "a.safetensors", sha256(data), len(data), True, len(data), False)
    History(cli.folder / OWN / History.NAME).add(past_delivery(request, result))


def left_out(cli: Cli, code: str, address: str, *options: str) -> list[str]:
    """The sources that stay after `address` was left out and named, in YAML and in JSON."""
    found = cli("freeze", "--dir", cli.folder, *options)
    assert found.status == 0
    assert says(found.err, code, file="a.safetensors", address=address)
    assert any(line.startswith("# ") and address in line for line in found.out.splitlines()[1:])
    in_json = cli("freeze", "--dir", cli.folder, "--json", *options)
    assert says(in_json.err, code, file="a.safetensors", address=address)
    [item] = in_json.json
    return list(item.get("sources", []))


SIGNED = "https://nas.example.org/vae.safetensors?token=SECRET123&X-Amz-Signature=abcdef"
UNKNOWN = "https://nas.example.org/vae.safetensors?file=SECRET123&k=abcdef"


@pytest.mark.parametrize("signed", [SIGNED, UNKNOWN])
def test_a_secret_of_ones_own_catalogue_is_in_no_lock_file(cli: Cli, mine: bytes, signed: str) -> None:
    cli.folder.mkdir()
    (cli.folder / "a.safetensors").write_bytes(mine)
    plain = "https://nas.example.org/open.safetensors?version=3"
    catalogue = cli.entry(sha256=sha256(mine), size=len(mine), source=None, sources=[signed, plain])
    for form in ([], ["--json"]):
        found = cli("freeze", "--dir", cli.folder, "--catalogue", catalogue, *form)
        assert [word for word in ("SECRET123", "abcdef") if word in found.out + found.err] == []
    address = "https://nas.example.org/vae.safetensors"
    assert left_out(cli, "source-with-secret", address, "--catalogue", str(catalogue)) == [plain]


def test_an_address_that_was_never_asked_is_no_source(cli: Cli, mine: bytes) -> None:
    downloaded(cli, mine, "https://nas.example.org/get?file=7", SOURCE)
    assert left_out(cli, "source-without-query", "https://nas.example.org/get") == [SOURCE]
    downloaded(cli, mine, "https://nas.example.org/get")
    assert json.loads(freeze(cli, "--json"))[0]["sources"] == ["https://nas.example.org/get", SOURCE]


def test_an_address_of_this_machine_is_no_source_elsewhere(hub: Hub, cli: Cli, mine: bytes) -> None:
    url = hub.publish("/files/a.safetensors", mine)
    assert cli("get", url, "--dir", cli.folder).status == 0
    assert left_out(cli, "source-of-this-machine", url) == []


def test_a_plain_http_source_travels_and_is_asked_only_where_it_is_allowed(
    machines: tuple[Cli, Cli], mine: bytes
) -> None:
    a, b = machines
    downloaded(a, mine, "http://nas.invalid/a.safetensors")
    frozen = freeze(a, "--json")
    assert json.loads(frozen)[0]["sources"] == ["http://nas.invalid/a.safetensors"]
    vae(b.folder / "other.safetensors", 2)
    items = [*json.loads(frozen), *json.loads(freeze(b, "--json"))]
    refused = b("sync", lock(b, json.dumps(items)), "--dir", b.folder, "--json")
    assert [item["state"] for item in refused.json["items"]] == ["failed", "same"]
    assert refused.status == RefusedError.exit_status


def test_what_is_wrong_is_left_out(cli: Cli, mine: bytes) -> None:
    cli.folder.mkdir()
    (cli.folder / "a.safetensors").write_bytes(mine)
    (cli.folder / "cut.safetensors").write_bytes(mine[:-1])
    result = cli("freeze", "--dir", cli.folder, "--json")
    assert (result.status, [item["file_name"] for item in result.json]) == (5, ["a.safetensors"])
    assert says(result.err, "not-frozen", file="cut.safetensors")


@pytest.mark.parametrize("is_page", [True, False])
def test_bytes_that_changed_since_their_delivery_are_left_out_each_time(
    machines: tuple[Cli, Cli], mine: bytes, is_page: bool
) -> None:
    """Other weights, or what is no VAE any more."""
    a, b = machines
    assert a("get", SOURCE, "--dir", a.folder).status == 0
    assert b("sync", lock(b, freeze(a)), "--dir", b.folder).status == 0
    if is_page:
        (b.folder / "mine.safetensors").write_text("<html>")
    else:
        overwrite(b.folder / "mine.safetensors", -1)
    for _ in range(2):
        result = b("freeze", "--dir", b.folder, "--json")
        assert (result.status, result.json) == (IntegrityError.exit_status, [])
        assert says(result.err, "not-frozen", file="mine.safetensors")
    (b.folder / "mine.safetensors").rename(b.folder / "own.safetensors")
    assert len(json.loads(b("freeze", "--dir", b.folder, "--json").out)) == (0 if is_page else 1), "the name is new"


def test_bytes_that_were_written_since_their_last_reading_are_left_out(cli: Cli, mine: bytes) -> None:
    cli.folder.mkdir()
    (cli.folder / OWN).mkdir()
    (cli.folder / "a.safetensors").write_bytes(mine)
    assert len(json.loads(freeze(cli, "--json"))) == 1
    overwrite(cli.folder / "a.safetensors", -1)
    result = cli("freeze", "--dir", cli.folder, "--json")
    assert (result.status, result.json) == (IntegrityError.exit_status, [])
    assert says(result.err, "written-since", file="a.safetensors")
    assert len(json.loads(freeze(cli, "--json"))) == 1, "the person has been asked"


def test_what_is_no_vae_is_left_out(cli: Cli, mine: bytes) -> None:
    cli.folder.mkdir()
    (cli.folder / "page.safetensors").write_bytes(b"<html>")
    result = cli("freeze", "--dir", cli.folder, "--json")
    assert (result.json, says(result.err, "not-frozen", file="page.safetensors")) == ([], True)


def test_two_of_one_name(cli: Cli, mine: bytes) -> None:
    vae(cli.folder / "a.safetensors", 1)
    vae(cli.folder / "same" / "a.safetensors", 1)
    assert len(json.loads(freeze(cli, "--json"))) == 1
    vae(cli.folder / "other" / "A.safetensors", 2)
    result = cli("freeze", "--dir", cli.folder, "--json")
    assert (result.status, len(result.json)) == (7, 1)


def test_a_folder_with_subfolders_is_the_set_that_it_was_frozen_as(cli: Cli, mine: bytes) -> None:
    (cli.folder / "sub").mkdir(parents=True)
    (cli.folder / "sub" / "mine.safetensors").write_bytes(mine)
    item = {"file_name": "mine.safetensors", "sha256": sha256(mine), "sources": [SOURCE]}
    file = lock(cli, json.dumps([item]))
    for _ in range(2):
        checked = cli("sync", file, "--dir", cli.folder, "--check", "--json")
        assert (checked.status, checked.json["undeclared"]) == (0, [])
        [row] = checked.json["items"]
        assert (row["state"], Path(row["path"])) == ("same", cli.folder / "sub" / "mine.safetensors")
        assert cli("sync", file, "--dir", cli.folder, "--json").status == 0
    assert content(cli) == {}, "nothing was downloaded beside it"
    assert json.loads(freeze(cli, "--json"))[0]["sources"] == [SOURCE]
    overwrite(cli.folder / "sub" / "mine.safetensors", -1)
    checked = cli("sync", file, "--dir", cli.folder, "--check", "--json")
    assert (checked.status, checked.json["items"][0]["state"]) == (1, "missing")
    assert checked.json["undeclared"] == ["sub/mine.safetensors"]


def test_an_empty_folder(cli: Cli) -> None:
    cli.folder.mkdir()
    assert cli("sync", lock(cli, freeze(cli)), "--dir", cli.folder, "--json").json["items"] == []
    assert cli("freeze", "--dir", cli.home / "nowhere").status == 3


def test_a_name_that_another_system_cannot_have_is_left_out(machines: tuple[Cli, Cli], mine: bytes) -> None:
    a, _ = machines
    a.folder.mkdir()
    (a.folder / "a:b.safetensors").write_bytes(mine)
    result = a("freeze", "--dir", a.folder, "--json")
    assert (result.status, result.json, says(result.err, "not-frozen", file="a:b.safetensors")) == (7, [], True)
