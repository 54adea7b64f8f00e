"""`get`: from an entry, a hub, an address or a file to a proven file."""

from __future__ import annotations

import pytest

from tests.hub import Fault, Hub

from .command import DATA, PATH, REPO, SOURCE, Cli, sha256

NAME = "mine.safetensors"


def test_an_entry_of_ones_own_catalogue(hub: Hub, cli: Cli) -> None:
    result = cli("get", "mine", "--catalogue", cli.entry(size=len(DATA)), "--dir", cli.folder)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{cli.folder / NAME}: 3.0 MB, proven, SHA-256 {sha256(DATA)}\n"
    assert (cli.folder / NAME).read_bytes() == DATA
    assert cli.names() == [NAME]
    assert hub.cdn.sent() == len(DATA)


def test_once_more_it_is_there_already_and_nobody_is_asked(hub: Hub, cli: Cli) -> None:
    cli.folder.mkdir()
    (cli.folder / NAME).write_bytes(DATA)
    result = cli("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{cli.folder / NAME}: was there already, proven, SHA-256 {sha256(DATA)}\n"
    assert hub.requests == []


def test_as_json(cli: Cli) -> None:
    command = ("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--json")
    answer = {
        "path": str(cli.folder / NAME),
        "sha256": sha256(DATA),
        "size": len(DATA),
        "proven": True,
        "fetched": len(DATA),
        "already_there": False,
    }
    first, second = cli(*command), cli(*command)
    assert (first.status, first.err, first.json) == (0, "", answer)
    assert (second.status, second.err, second.json) == (0, "", {**answer, "fetched": 0, "already_there": True})


def test_an_error_as_json(cli: Cli) -> None:
    result = cli("get", "no-such-entry", "--json")
    assert (result.status, result.err) == (3, "")
    assert result.json == {"error": "The catalogue has no entry “no-such-entry”.", "status": 3}


def test_a_file_of_a_hub_is_proven_by_the_hubs_own_hash(cli: Cli) -> None:
    result = cli("get", SOURCE, "--dir", cli.folder, "--json")
    assert (result.status, result.json["proven"], result.json["path"]) == (0, True, str(cli.folder / NAME))
    assert (cli.folder / NAME).read_bytes() == DATA


def test_a_pinned_revision(hub: Hub, cli: Cli) -> None:
    old, new = b"old" * 1_000, b"new" * 1_000
    hub.add("me/pinned", "vae.pt", old, revision="1" * 40)
    hub.add("me/pinned", "vae.pt", new, revision="2" * 40)
    assert cli("get", f"hub:me/pinned/vae.pt@{'1' * 40}", "--dir", cli.folder).status == 0
    assert (cli.folder / "vae.pt").read_bytes() == old


def test_another_endpoint(cli: Cli) -> None:
    with Hub() as mirror:
        mirror.add(REPO, PATH, DATA)
        result = cli("get", SOURCE, "--endpoint", mirror.endpoint, "--dir", cli.folder)
        assert result.status == 0
        assert mirror.cdn.sent() == len(DATA)
    assert cli.hub.requests == []


def test_an_address_for_which_nobody_publishes_a_hash(hub: Hub, cli: Cli) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    result = cli("get", url + "?download=true", "--dir", cli.folder)
    assert result.status == 0
    assert "vae.safetensors is neither a safetensors file nor a PyTorch file" in result.err, "nobody proved it: look"
    assert "NOT proven: nobody publishes a hash for it" in result.out
    assert sha256(DATA) in result.out
    assert (cli.folder / "vae.safetensors").read_bytes() == DATA


def test_an_addresss_file_name_is_decoded(hub: Hub, cli: Cli) -> None:
    url = hub.publish("/files/AAA Anime VAE é.safetensors", DATA).replace(" ", "%20").replace("é", "%C3%A9")
    assert cli("get", url, "--dir", cli.folder).status == 0
    assert cli.names() == ["AAA Anime VAE é.safetensors"]


def test_a_file_of_this_machine(cli: Cli) -> None:
    source = cli.home / "given" / "vae.pt"
    source.parent.mkdir()
    source.write_bytes(DATA)
    result = cli("get", source, "--dir", cli.folder, "--json")
    assert (result.status, result.json["fetched"], result.json["proven"]) == (0, 0, False)
    assert (cli.folder / "vae.pt").read_bytes() == source.read_bytes() == DATA


def test_terms_that_were_accepted(cli: Cli) -> None:
    catalogue = cli.entry(licence="CreativeML Open RAIL-M")
    assert cli("get", "mine", "--catalogue", catalogue, "--dir", cli.folder, "--accept-terms").status == 0


@pytest.mark.parametrize("has_folder", [True, False])
def test_without_dir_it_goes_where_a_webui_looks_if_there_is_one(cli: Cli, has_folder: bool) -> None:
    folder = cli.work / "models" / "VAE"
    if has_folder:
        folder.mkdir(parents=True)
    assert cli("get", SOURCE).status == 0
    assert ((folder if has_folder else cli.work) / NAME).read_bytes() == DATA


def test_a_cut_is_mended_without_a_word(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_next(Fault.reset_after(2_000_000))
    result = cli("get", SOURCE, "--dir", cli.folder)
    assert (result.status, result.err) == (0, "")
    assert (cli.folder / NAME).read_bytes() == DATA


def test_no_folder_of_the_persons_own_is_touched(cli: Cli) -> None:
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    assert sorted(path.name for path in cli.home.iterdir()) == ["VAE"]
    assert list(cli.work.iterdir()) == []
