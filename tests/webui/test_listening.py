"""The reach of a server by its flags, the flag of the extension, and sentences as others may read them."""

from __future__ import annotations

import argparse
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest

import preload
from vae_manager.messages import Message
from vae_manager.webui.hosts.common.adapter import added_names, is_on_loopback, is_shared
from vae_manager.webui.translation import Translator, without_paths


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SHARE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("flags", "on_loopback", "shared"),
    [
        ({}, True, False),
        ({"webui_is_non_local": False}, True, False),
        ({"listen": False, "share": False, "ngrok": None, "server_name": None}, True, False),
        ({"listen": True}, False, True),
        ({"share": True}, False, True),
        ({"ngrok": "token"}, False, True),
        ({"server_name": "192.168.1.5"}, False, True),
        ({"server_name": "0.0.0.0"}, False, True),
        ({"server_name": "127.0.0.1", "webui_is_non_local": True}, True, True),
        ({"server_name": "127.0.0.1", "listen": True}, True, False),
        ({"server_name": "localhost", "share": True}, False, True),
    ],
)
def test_flags(flags: dict[str, Any], on_loopback: bool, shared: bool) -> None:
    """A fork lacks any of them."""
    assert (is_on_loopback(SimpleNamespace(**flags)), is_shared(SimpleNamespace(**flags))) == (on_loopback, shared)


def test_gradios_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert not is_on_loopback(SimpleNamespace())
    assert is_on_loopback(SimpleNamespace(server_name="127.0.0.1")), "the WebUI's flag goes before it"


def test_added_names() -> None:
    assert added_names(SimpleNamespace(), "") == added_names(SimpleNamespace(), None) == frozenset()
    flags = SimpleNamespace(vae_manager_allowed_hosts="a.example")
    assert added_names(flags, "b.example:1") == {("a.example", None), ("b.example", 1)}


def test_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    preload.preload(parser)
    assert parser.parse_args([]).vae_manager_allowed_hosts is None
    assert parser.parse_args(["--vae-manager-allowed-hosts", "a,b"]).vae_manager_allowed_hosts == "a,b"
    assert parser.parse_args(["--vae-manager-sync", "a b.yaml"]).vae_manager_sync == "a b.yaml"
    assert parser.parse_args(["--vae-manager-endpoint", "https://x"]).vae_manager_endpoint == "https://x"
    assert [parser.parse_args(args).vae_manager_no_guards for args in ([], ["--vae-manager-no-guards"])] == [
        False,
        True,
    ]
    preload.preload(parser)
    preload.preload(None)  # type: ignore[arg-type]  # a parser that no flag can be added to
    said = capsys.readouterr().out.count("not available")
    assert said == 2 * len(preload.FLAGS), "a start goes on, and the reason is seen"


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (Path("/home/me/models/VAE/a b.pt"), "a b.pt"),
        ("/home/me/models/VAE", "VAE"),
        (str(PureWindowsPath(r"C:\Users\me\a.pt")), "a.pt"),
        (r"\\server\share\a.pt", "a.pt"),
        (OSError(2, "No such file", "/home/me/a b.pt"), "[Errno 2] No such file: 'a b.pt'"),
        ("cannot open /home/me/a.pt: no", "cannot open a.pt: no"),
        ("cannot open /home/J D/web ui/a.pt: no", "cannot open a.pt: no"),
        ("both /home/me/a.pt and /home/me/b.pt", "both a.pt and b.pt"),
        (OSError(2, "No such file", "/home/O'Brien/a b/c.pt"), "[Errno 2] No such file: 'c.pt'"),
        (str(OSError(2, "No such file", "/home/J D/a b/c.pt"))[:-1], "[Errno 2] No such file: 'c.pt'"),
        ("see file:///home/me/a.pt", "see a.pt"),
        (Message("inner {path}", {"path": "/home/me/a.pt"}), "inner a.pt"),
        ("https://example.com/a/b.pt", "https://example.com/a/b.pt"),
        ("SD 1.x / 2.x", "SD 1.x / 2.x"),
        ("12 MB/s", "12 MB/s"),
        ("sub/a.pt", "sub/a.pt"),
        (7, "7"),
    ],
)
def test_others_read_names_in_place_of_paths(field: object, shown: str) -> None:
    message = Message("about {what}", {"what": field})
    assert str(without_paths(message)) == Translator({}, hides_paths=True)(message) == f"about {shown}"
    assert Translator({})(message) == str(message)
    assert Translator({}, hides_paths=True).place("/home/me/a.pt") == "a.pt"
