"""The one file of a repository that may be a VAE."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.hub import Hub
from vae_manager.catalogue import HubSource, Source
from vae_manager.errors import NetworkError, NotFoundError, UsageError, VaeManagerError, WholeRepositoryError
from vae_manager.messages import msg
from vae_manager.transfer import Network, hub_listing, only_file


def found(hub: Hub, repo: str, folder: str = "", revision: str | None = None) -> Source:
    whole = WholeRepositoryError(msg("whole", code="whole-repository"), repo, folder, revision)
    return only_file(whole, network=Network(endpoint=hub.endpoint), stop=threading.Event())


@pytest.mark.parametrize(
    ("paths", "folder", "expected"),
    [
        (
            ["diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"],
            "",
            "diffusion_pytorch_model.safetensors",
        ),
        (["a.CKPT", "a.Safetensors", "README.md"], "", "a.Safetensors"),
        (["deep/er/a.pt"], "", "deep/er/a.pt"),
        (["vae/a.safetensors", "unet/b.safetensors"], "vae", "vae/a.safetensors"),
        (["v\u00e4e/a b.safetensors", "b/x.pt"], "v\u00e4e", "v\u00e4e/a b.safetensors"),
        (["a.safetensors", "x/a.ckpt"], "", None),
        (["a.safetensors", "b.safetensors"], "", None),
    ],
)
def test_one_is_taken_of_several_none(hub: Hub, paths: list[str], folder: str, expected: str | None) -> None:
    for path in paths:
        hub.add("me/these", path, b"x" * 10)
    if expected is None:
        with pytest.raises(UsageError) as caught:
            found(hub, "me/these", folder)
        assert caught.value.code == "several-files-in-repository"
    else:
        assert found(hub, "me/these", folder) == HubSource("me/these", expected)


def test_a_revision_is_kept(hub: Hub) -> None:
    hub.add("me/old", "a.safetensors", b"x", revision="1" * 40)
    hub.add("me/old", "b.safetensors", b"x", revision="2" * 40)
    assert found(hub, "me/old", revision="1" * 40) == HubSource("me/old", "a.safetensors", "1" * 40)


@pytest.mark.parametrize("path", ["vae/\u202efdp.safetensors", "a\x1b[2J.safetensors", "../a.safetensors", "vae//a.pt"])
def test_a_path_that_nobody_could_give_is_left_out(hub: Hub, path: str) -> None:
    hub.add("me/odd", path, b"x")
    hub.add("me/odd", "a b@1 100%.safetensors", b"x")
    assert found(hub, "me/odd") == HubSource("me/odd", "a b@1 100%.safetensors")


def test_a_long_list_is_cut(hub: Hub) -> None:
    for number in range(20):
        hub.add("me/long", f"vae-{number:02}.safetensors", b"x")
    with pytest.raises(UsageError) as caught:
        found(hub, "me/long")
    assert caught.value.message.fields["count"] == 20
    assert str(caught.value).count("vae-") == hub_listing.SHOWN


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"<html>", NetworkError),
        (b"{}", NetworkError),
        (b"[]", NotFoundError),
        (b'[{"type": "file"}, 7, {"type": "file", "path": 5}, {"type": "directory", "path": "a.pt"}]', NotFoundError),
    ],
)
def test_an_odd_answer(hub: Hub, monkeypatch: pytest.MonkeyPatch, answer: bytes, error: type[VaeManagerError]) -> None:
    hub.add("me/odd", "a.safetensors", b"x")
    monkeypatch.setattr(hub_listing, "json_of", lambda response, address: answer)
    with pytest.raises(error):
        found(hub, "me/odd")


def test_a_gated_and_an_unknown_repository(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        found(hub, "me/nowhere")
    hub.add("me/there", "a.safetensors", b"x")
    with pytest.raises(NotFoundError):
        found(hub, "me/there", "nowhere")
