"""API keys: kept for their owner alone, told to nobody."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from vae_manager.downloads import Keys
from vae_manager.errors import DiskError, UsageError
from vae_manager.transfer import Network

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vae-manager" / "keys.json"


def test_saved_found_and_removed(file: Path) -> None:
    keys = Keys(file)
    assert "civitai.com" not in keys
    keys.save("civitai.com", f"  {KEY}\n")
    keys.save("example.org", "another-key")
    assert "civitai.com" in Keys(file)
    assert Keys(file).all() == {"civitai.com": KEY, "example.org": "another-key"}
    keys.remove("civitai.com")
    assert Keys(file).all() == {"example.org": "another-key"}
    keys.remove("example.org")
    assert list(file.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_for_its_owner_alone_also_when_it_was_not(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    file.chmod(0o644)
    Keys(file).save("civitai.com", KEY)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("text", ["", "   ", "short", "two words here", "line\nbreak-in-it", "ключключключ", "x" * 201])
def test_what_is_no_key_is_refused_and_not_repeated(file: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Keys(file).save("civitai.com", text)
    assert not text.strip() or text not in str(refused.value)
    assert not file.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"civitai.com": 5}', b'{"civitai.com": "a\\nb"}', b"\xff"]
)
def test_a_damaged_file_holds_no_key(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert Keys(file).all() == {}


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "vae-manager").write_text("a file where the folder should be")
    with pytest.raises(DiskError):
        Keys(tmp_path / "vae-manager" / "keys.json").save("civitai.com", KEY)


def test_a_network_does_not_show_them() -> None:
    assert KEY not in repr(Network(keys={"civitai.com": KEY}))
