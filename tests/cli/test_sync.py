"""`sync`: a folder brought to a declared set."""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Fault, Hub
from tests.wording import says

from .command import DATA, REPO, SOURCE, Cli, finished, sha256, until

OTHER = random.Random(2).randbytes(1_000_000)
MINE = {"source": SOURCE, "sha256": sha256(DATA)}
THEIRS = {"source": f"hub:{REPO}/theirs.safetensors", "sha256": sha256(OTHER), "size": len(OTHER)}
NAMES = ["mine.safetensors", "theirs.safetensors"]


@pytest.fixture(autouse=True)
def _theirs(hub: Hub) -> None:
    hub.add(REPO, "theirs.safetensors", OTHER)


def declare(cli: Cli, *items: object) -> Path:
    path = cli.home / "vaes.yaml"
    path.write_text("[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]\n", encoding="utf-8")
    return path


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {row["file_name"]: row["state"] for row in answer["items"]}


def test_what_is_missing_is_fetched_and_then_nothing_more(hub: Hub, cli: Cli) -> None:
    command = ("sync", declare(cli, MINE, THEIRS), "--dir", cli.folder)
    first = cli(*command)
    assert first.status == 0
    assert all(name in first.err for name in NAMES), "its declaration is kept; that they are no models is told"
    assert [line.split()[0] for line in first.out.splitlines()] == ["fetched", "fetched"]
    assert cli.names() == NAMES
    assert (cli.folder / NAMES[0]).read_bytes() == DATA
    asked = len(hub.requests)
    second = cli(*command)
    assert (second.status, second.err) == (0, "")
    assert second.out == f"same       {NAMES[0]}\nsame       {NAMES[1]}\n"
    assert len(hub.requests) == asked, "nobody is asked"


def test_as_json(cli: Cli) -> None:
    answer = cli("sync", declare(cli, MINE), "--dir", cli.folder, "--json")
    verdict = ("verdict", "loadable", "convertible", "code", "reason")
    whole = answer.json
    [found] = whole["items"]
    assert {key: found.pop(key) for key in verdict}["verdict"] == "ask-first"
    row = {
        "file_name": NAMES[0],
        "path": str(cli.folder / NAMES[0]),
        "sha256": sha256(DATA),
        "state": "fetched",
        "fetched": len(DATA),
        "taken_from": None,
        "taken_as": None,
    }
    assert answer.status == 0
    assert whole == {"folder": str(cli.folder), "items": [row], "undeclared": [], "status": 0}


def test_ids_of_ones_own_catalogue(cli: Cli) -> None:
    assert cli("sync", declare(cli, "mine"), "--catalogue", cli.entry(), "--dir", cli.folder).status == 0
    assert cli.names() == NAMES[:1]


def test_every_item_is_tried_and_the_worst_decides(cli: Cli) -> None:
    wrong = {"source": SOURCE, "sha256": "0" * 64, "file_name": "wrong.safetensors"}
    gone = {"source": f"hub:{REPO}/gone.safetensors", "sha256": "1" * 64}
    result = cli("sync", declare(cli, gone, wrong, MINE), "--dir", cli.folder, "--json")
    assert result.status == result.json["status"] == 5
    assert states(result.json) == {
        "gone.safetensors": "failed",
        "wrong.safetensors": "failed",
        "mine.safetensors": "fetched",
    }
    assert [row.get("status") for row in result.json["items"]] == [3, 5, None]
    assert "The hub's: " in result.json["items"][1]["error"]
    assert cli.names() == NAMES[:1]


def test_failures_are_sentences_that_name_their_file(cli: Cli) -> None:
    gone = {"source": f"hub:{REPO}/gone.safetensors", "sha256": "1" * 64}
    result = cli("sync", declare(cli, gone, MINE), "--dir", cli.folder)
    assert result.status == 3
    assert result.err.startswith("vae_manager: gone.safetensors: ")
    assert says(result.err, "no-such-file", host="127.0.0.1", path="gone.safetensors")
    assert result.out.splitlines()[0] == "FAILED     gone.safetensors"


def test_another_file_of_that_name_is_never_overwritten(hub: Hub, cli: Cli) -> None:
    cli.folder.mkdir()
    (cli.folder / NAMES[0]).write_bytes(b"mine")
    result = cli("sync", declare(cli, MINE, THEIRS), "--dir", cli.folder)
    assert result.status == 7
    assert says(result.err, "name-taken", file="mine.safetensors")
    assert (cli.folder / NAMES[0]).read_bytes() == b"mine"
    assert (cli.folder / NAMES[1]).read_bytes() == OTHER


def test_what_nobody_declared_is_left_alone_and_named(cli: Cli) -> None:
    (cli.folder / "sub").mkdir(parents=True)
    (cli.folder / "sub" / "own.pt").write_bytes(b"own")
    (cli.folder / "note.txt").write_text("no VAE")
    result = cli("sync", declare(cli, MINE), "--dir", cli.folder)
    assert (result.status, result.out.splitlines()[-1]) == (0, "undeclared sub/own.pt")
    assert (cli.folder / "sub" / "own.pt").read_bytes() == b"own"


def test_check_changes_nothing(hub: Hub, cli: Cli) -> None:
    command = ("sync", declare(cli, MINE, THEIRS), "--dir", cli.folder, "--check")
    result = cli(*command)
    assert (result.status, result.err) == (1, "")
    assert result.out == f"missing    {NAMES[0]}\nmissing    {NAMES[1]}\n"
    assert not cli.folder.exists()
    cli.folder.mkdir()
    (cli.folder / NAMES[0]).write_bytes(DATA)
    (cli.folder / NAMES[1]).write_bytes(DATA)
    (cli.folder / "own.pt").write_bytes(b"own")
    answer = cli(*command, "--json")
    assert (answer.status, answer.json["status"], answer.json["undeclared"]) == (1, 1, ["own.pt"])
    assert states(answer.json) == {NAMES[0]: "same", NAMES[1]: "other"}
    (cli.folder / NAMES[1]).write_bytes(OTHER)
    same = cli(*command)
    assert same.status == 0
    assert same.out == f"same       {NAMES[0]}\nsame       {NAMES[1]}\nundeclared own.pt\n"
    assert hub.requests == []


def test_terms_have_to_be_accepted_for_what_is_not_there_yet(cli: Cli) -> None:
    catalogue = cli.entry(licence="CreativeML Open RAIL-M")
    command = ("sync", declare(cli, "mine", THEIRS), "--catalogue", catalogue, "--dir", cli.folder)
    refused = cli(*command)
    assert refused.status == 7
    assert "--accept-terms" in refused.err
    assert cli.names() == NAMES[1:]
    assert cli(*command, "--accept-terms").status == 0
    assert cli(*command).status == 0


def test_an_entry_that_is_not_offered(cli: Cli) -> None:
    result = cli("sync", declare(cli, "orangemix"), "--dir", cli.folder)
    assert result.status == 7
    assert says(result.err, "not-offered")


def test_a_file_that_cannot_be_used(cli: Cli) -> None:
    path = declare(cli, MINE, {**THEIRS, "file_name": "../x.safetensors"})
    result = cli("sync", path, "--dir", cli.folder)
    assert result.status == 2
    assert says(result.message, "bad-declaration", path=path) and "Line 3: " in result.message
    assert not cli.folder.exists()
    assert cli("sync", "nothing.yaml").status == 3


def test_a_folder_that_is_a_file(cli: Cli) -> None:
    cli.folder.write_bytes(b"mine")
    assert cli("sync", declare(cli, MINE), "--dir", cli.folder).status == 6


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_keeps_what_has_arrived(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_next(Fault.stall_at(2 << 20))
    command = ("sync", declare(cli, MINE, THEIRS), "--dir", cli.folder)
    process = cli.begin(*command, "--json")
    until(lambda: any(path.stat().st_size > 1_000_000 for path in cli.folder.glob(".*.part")))
    process.send_signal(signal.SIGINT)
    result = finished(process)
    assert result.status == 130
    assert [row["status"] for row in result.json["items"]] == [130, 130]
    hub.cdn.repair()
    assert cli(*command).status == 0
    assert cli.names() == NAMES


def test_a_page_of_the_hub_that_is_set(hub: Hub, cli: Cli) -> None:
    item = {"source": f"{hub.endpoint}/{REPO}/blob/main/theirs.safetensors", "sha256": sha256(OTHER)}
    assert cli("sync", declare(cli, item), "--dir", cli.folder, "--endpoint", hub.endpoint).status == 0
    assert cli.names() == [NAMES[1]]
