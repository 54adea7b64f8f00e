"""The checkpoint's card: one key of a file that others write too."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.failing import fails_with
from vae_manager.errors import DiskError, RefusedError
from vae_manager.webui.hosts.common import checkpoint_metadata

CARD: dict[str, Any] = {"description": "fü\n", "notes": "", "sd version": "SD1", "weight": 0.7, "own": [1, {}]}


class Lister:
    def __init__(self) -> None:
        self.told: list[str] = []

    def update_file_entry(self, path: str) -> None:
        self.told.append(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    return str(tmp_path / "my.model.safetensors")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The card."""
    return tmp_path / "my.model.json"


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch, checkpoint: str) -> list[Any]:
    """The WebUI's pages of cards: of 1.10, of 1.6 (which has no lister), and one of somebody else's."""
    item = {"name": "my.model", "filename": checkpoint, "user_metadata": {"description": "as it was read"}}
    other = {"name": "other", "filename": "other.safetensors", "user_metadata": {"vae": "x.pt"}}
    found: list[Any] = [
        SimpleNamespace(lister=Lister(), items={"my.model": item, "other": other}),
        SimpleNamespace(lister=object(), items={"my.model": dict(item)}),
        SimpleNamespace(),
    ]
    modules, page = ModuleType("modules"), ModuleType("modules.ui_extra_networks")
    page.extra_pages = found  # type: ignore[attr-defined]
    modules.ui_extra_networks = page  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modules", modules)
    monkeypatch.setitem(sys.modules, "modules.ui_extra_networks", page)
    return found


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_card_is_made_where_there_is_none(checkpoint: str, file: Path) -> None:
    assert checkpoint_metadata.preference(checkpoint) is None
    checkpoint_metadata.prefer(checkpoint, "a.vae.pt")
    assert read(file) == {"vae": "a.vae.pt"}
    assert checkpoint_metadata.preference(checkpoint) == "a.vae.pt"
    checkpoint_metadata.prefer(checkpoint, None)
    assert read(file) == {}
    assert checkpoint_metadata.preference(checkpoint) is None


def test_the_other_keys_stay_in_their_order(checkpoint: str, file: Path) -> None:
    file.write_text(json.dumps(CARD), encoding="utf-8")
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert list(read(file).items()) == [*CARD.items(), ("vae", "a.pt")]
    assert "fü" in file.read_text(encoding="utf-8"), "as the WebUI writes it"
    checkpoint_metadata.prefer(checkpoint, "None")
    assert read(file) == {**CARD, "vae": "None"}
    checkpoint_metadata.prefer(checkpoint, None)
    assert list(read(file).items()) == list(CARD.items())


def test_what_is_so_already_is_not_written(checkpoint: str, file: Path) -> None:
    checkpoint_metadata.prefer(checkpoint, None)
    assert not file.exists()
    file.write_text('{"vae":"a.pt"}', encoding="utf-8")
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert file.read_text(encoding="utf-8") == '{"vae":"a.pt"}'
    file.write_text('{"vae":null}', encoding="utf-8")
    checkpoint_metadata.prefer(checkpoint, None)
    assert read(file) == {}


@pytest.mark.parametrize(
    "content", [b'{"vae": "a.pt"', b"", b"[1]", b"null", b'\xef\xbb\xbf{"vae": "a.pt"}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_card_is_refused_and_left_as_it_is(checkpoint: str, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert checkpoint_metadata.preference(checkpoint) is None
    for word in ("b.pt", None):
        with fails_with(RefusedError, "card-damaged", file="my.model.json"):
            checkpoint_metadata.prefer(checkpoint, word)
    assert file.read_bytes() == content


def test_a_write_that_fails_leaves_the_old_card_and_nothing_else(
    checkpoint: str, file: Path, monkeypatch: pytest.MonkeyPatch, pages: list[Any]
) -> None:
    file.write_text('{"notes": "n"}', encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert read(file) == {"notes": "n"}
    assert list(file.parent.iterdir()) == [file]
    assert pages[0].lister.told == []


def test_whoever_reads_meanwhile_gets_the_old_card_whole(
    checkpoint: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(json.dumps(CARD), encoding="utf-8")
    seen: list[Any] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        original(descriptor)
        seen.append(read(file))

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert seen[0] == CARD, "when the new bytes are on the disk"
    assert read(file)["vae"] == "a.pt"


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither")
def test_a_link_stays_a_link_and_rights_stay(checkpoint: str, file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    target = kept / "card.json"
    target.write_text(json.dumps(CARD), encoding="utf-8")
    target.chmod(0o640)
    file.symlink_to(target)
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert file.is_symlink()
    assert read(target) == {**CARD, "vae": "a.pt"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_half_a_character_survives(checkpoint: str, file: Path) -> None:
    file.write_text('{"notes": "\\ud83d"}', encoding="utf-8")
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert read(file) == {"notes": "\ud83d", "vae": "a.pt"}


def test_the_webuis_editor_gets_to_know_it(checkpoint: str, file: Path, pages: list[Any]) -> None:
    file.write_text('{"description": "written meanwhile"}', encoding="utf-8")
    checkpoint_metadata.prefer(checkpoint, "a.pt")
    assert pages[0].lister.told == [str(file)]
    for page in pages[:2]:
        assert page.items["my.model"]["user_metadata"] == {"description": "written meanwhile", "vae": "a.pt"}
    assert pages[0].items["other"]["user_metadata"] == {"vae": "x.pt"}
