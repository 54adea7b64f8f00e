"""The command line through a running WebUI, on both generations of gradio."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.admission.conftest import flags, prepare
from tests.admission.programs import SHA256, get, picture, until
from tests.host.asking import BAD, GOOD, OTHER, Picture
from tests.host.fixtures import WebUI, start_webui
from tests.hub import Hub, Link
from tests.vaes import BASE
from vae_manager.cli import main
from vae_manager.errors import IntegrityError, NetworkError, NotFoundError, RefusedError, UsageError

pytestmark = pytest.mark.torch

LISTED = {"path", "size", "container", "layout", "family", "latent_channels", "dtype", "sha256", "verdict", "loadable",
          "convertible", "code", "reason", "verification", "verification_reason", "same_name_as"}  # fmt: skip
"""Fields that `list` prints of a file, with and without a WebUI."""


@dataclass
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Answer]


@pytest.fixture
def ask(webui: WebUI, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command through the WebUI; with --json unless it is `shown` to a person."""

    def run(*arguments: str | Path, shown: bool = False) -> Answer:
        capsys.readouterr()
        status = main([*map(str, arguments), "--webui", webui.url, *([] if shown else ["--json"])])
        return Answer(status, *capsys.readouterr())

    return run


def test_the_vae_in_use_is_told_and_changed(webui: WebUI, ask: Ask) -> None:
    for name in (OTHER, GOOD):
        answer = ask("use", name)
        assert (answer.status, answer.json["vae"]) == (0, name)
        assert ask("status").json["vae"] == name
    assert GOOD in ask("status", shown=True).out
    assert ask("use", BAD).status == RefusedError.exit_status
    assert ask("use", "gone").status == NotFoundError.exit_status
    assert get(webui, "status")["vae"] == GOOD


def test_files_are_listed_as_without_a_webui(webui: WebUI, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask("use", GOOD)
    rows = {row["name"]: row for row in ask("list").json}
    assert {GOOD, OTHER, BAD} <= rows.keys()
    assert (rows[GOOD]["is_in_use"], rows[BAD]["verdict"], rows[BAD]["loadable"]) == (True, "refused", False)
    assert main(["list", "--dir", str(webui.data / "models" / "VAE"), "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert row.keys() == LISTED <= rows[Path(row["path"]).name].keys()
        same = ("path", "size", "container", "layout", "latent_channels", "dtype")
        assert [row[key] for key in same] == [rows[Path(row["path"]).name][key] for key in same]
    assert GOOD in ask("list", shown=True).out


def test_the_catalogue_of_the_webui(ask: Ask) -> None:
    every, offered = ask("catalogue", "--all").json, ask("catalogue").json
    assert "mine" in [entry["id"] for entry in offered]
    assert len(every) > len(offered)
    assert all(entry["offered"] for entry in offered)
    assert "mine" in ask("catalogue", shown=True).out


def test_a_download_through_the_webui(webui: WebUI, ask: Ask) -> None:
    assert ask("get", "mine").status == RefusedError.exit_status
    answer = ask("get", "mine", "--accept-terms", "--use")
    assert (answer.status, answer.json["sha256"], answer.json["name"]) == (0, SHA256, "mine.safetensors")
    assert answer.json["verdict"] == "usable"
    until(lambda: get(webui, "status")["vae"] == "mine.safetensors")
    assert [one["state"] for one in ask("downloads").json["downloads"]].count("done") >= 1
    assert ask("get", "gone").status == NotFoundError.exit_status
    assert ask("get", "mine", "--name", "x").status == UsageError.exit_status


def test_a_download_goes_on_after_ctrl_c_and_can_be_cancelled(webui: WebUI, hub: Hub, ask: Ask) -> None:
    hub.add("me/vaes", "slow.safetensors", BASE.read_bytes())
    hub.cdn.link = Link(rate_total=20_000)
    begun = threading.Event()

    def interrupt() -> None:
        until(lambda: any(one["name"] == "slow.safetensors" and one["done"] for one in get(webui, "downloads")))
        begun.set()
        signal.raise_signal(signal.SIGINT)

    try:
        threading.Thread(target=interrupt).start()
        answer = ask("get", f"{hub.endpoint}/me/vaes/resolve/main/slow.safetensors")
        assert begun.is_set()
        assert (answer.status, answer.json["code"]) == (130, "download-goes-on")
        [key] = [one["key"] for one in get(webui, "downloads") if one["name"] == "slow.safetensors"]
        assert ask("cancel", key).json["key"] == key
        until(lambda: [one["state"] for one in get(webui, "downloads") if one["key"] == key] == ["stopped"])
    finally:
        hub.cdn.link = Link()
    assert ask("cancel", "gone").status == NotFoundError.exit_status


def test_files_are_verified_by_the_webui(webui: WebUI, ask: Ask) -> None:
    answer = ask("verify", GOOD)
    assert answer.status == 0
    [row] = answer.json
    assert row.keys() == {"path", "sha256", "entry", "verdict", "text"}
    assert row["verdict"] in ("verified", "unverified")
    every = ask("verify")
    assert every.status == IntegrityError.exit_status
    assert {Path(row["path"]).name: row["verdict"] for row in every.json}[BAD] == "damaged"
    assert BAD in ask("verify", BAD, shown=True).out
    assert ask("verify", "--keep").status == UsageError.exit_status


def test_pictures_are_compared_by_the_webui(ask: Ask, webui: WebUI, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture())
    answer = ask("compare", file, "--vae", GOOD, "--vae", "None", "--out", tmp_path / "out")
    assert answer.status == 0
    assert {row["vae"] for row in answer.json["results"]} == {GOOD, "None"}
    for row in answer.json["results"]:
        assert Path(row["file"]).read_bytes().startswith(b"\x89PNG")
    assert Path(answer.json["sheet"]).read_bytes().startswith(b"\x89PNG")
    assert Picture(webui).status == 200
    newest = ask("compare", "--vae", GOOD, "--out", tmp_path / "newest", shown=True)
    assert newest.status == 0
    assert GOOD in newest.out
    assert ask("compare", tmp_path / "gone.png", "--vae", GOOD, "--out", tmp_path).status == NotFoundError.exit_status


def test_vaes_are_ranked_by_the_webui(ask: Ask, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    answer = ask("best", tmp_path, "--vae", GOOD, "--vae", "None", "--out", tmp_path / "out", "--count", "2")
    assert answer.status == 0
    assert answer.json["pictures"] == 2
    assert {row["vae"] for row in answer.json["ranking"]} == {GOOD, "None"}
    assert Path(answer.json["card"]).read_bytes().startswith(b"\x89PNG")
    assert ask("best", tmp_path, "--vae", GOOD).status == RefusedError.exit_status


def test_a_picture_is_rescued(webui: WebUI, ask: Ask, tmp_path: Path) -> None:
    assert Picture(webui).status == 200
    answer = ask("rescue", "--out", tmp_path / "rescued.png")
    assert answer.status == 0
    assert Path(answer.json["file"]).read_bytes().startswith(b"\x89PNG")
    missing = ask("rescue", "--out", tmp_path / "x.png", "--infotext", "of none")
    assert missing.status == NotFoundError.exit_status


def test_needs_of_an_unknown_checkpoint(ask: Ask) -> None:
    answer = ask("needs")
    assert (answer.status, answer.json["code"]) == (NotFoundError.exit_status, "unknown-engine")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sync", "x.yaml"], "not-through-a-webui"),
        (["freeze"], "not-through-a-webui"),
        (["inspect", "x"], "not-through-a-webui"),
        (["convert", "x", "y"], "not-through-a-webui"),
        (["duplicates"], "not-through-a-webui"),
        (["adopt", "x"], "not-through-a-webui"),
        (["remove", "x"], "not-through-a-webui"),
        (["trash", "list"], "not-through-a-webui"),
        (["list", "--dir", "x"], "not-with-webui"),
        (["get", "mine", "--limit", "5M"], "not-with-webui"),
        (["get", "mine", "--also", "x"], "not-with-webui"),
        (["needs", "a.safetensors"], "not-with-webui"),
        (["verify", "--numbers"], "not-with-webui"),
        (["best", "x", "--side", "64"], "not-with-webui"),
        (["get", "http://x/y.safetensors", "--use"], "use-or-name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_go_through_a_webui(ask: Ask, arguments: list[str], code: str) -> None:
    answer = ask(*arguments)
    assert (answer.status, answer.json["code"]) == (UsageError.exit_status, code)


@pytest.mark.parametrize(
    "arguments",
    [["get", "mine", "--use"], ["needs"], ["best"], ["compare", "--vae", "x", "--out", "y"]],
    ids=lambda one: one[0],
)
def test_what_needs_a_webui(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--json"]) == UsageError.exit_status
    assert json.loads(capsys.readouterr().out)["code"] in ("use-needs-webui", "no-argument")


def test_passwords_are_taken_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    with start_webui(tmp_path, *flags(), "--api-auth", "me:se:cret") as started:
        assert main(["status", "--webui", started.url]) == RefusedError.exit_status
        assert main(["status", "--webui", started.url.replace("//", "//me:se%3Acret@")]) == 0
        assert main(["status", "--webui", started.url.replace("//", "//me:wrong-cret@")]) == RefusedError.exit_status
        monkeypatch.setenv("VAE_MANAGER_WEBUI_AUTH", "me:se:cret")
        assert main(["status", "--webui", started.url, "--json"]) == 0
        assert main(["status", "--webui", started.url.replace("//", "//me:wrong-cret@")]) == RefusedError.exit_status
        address = started.url.replace("//", "//me:wrong-cret@")
    assert main(["status", "--webui", address]) == NetworkError.exit_status
    shown = "".join(capsys.readouterr())
    assert "cret" not in shown
    assert started.url in shown
