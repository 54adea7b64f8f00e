"""What a declaration may say, and how what is wrong in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_manager.catalogue import BucketSource, CivitaiSource, HubSource, LocalSource, load
from vae_manager.errors import NotFoundError, UsageError
from vae_manager.sync import Item, read_declared

SHA = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
CATALOGUE = load()
FT_MSE = CATALOGUE.entry("ft-mse")
EXPLICIT = f"""\
- source: hub:me/vaes/mine.safetensors
  sha256: {SHA}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vaes.yaml"


def read(file: Path, text: str) -> tuple[Item, ...]:
    file.write_text(text, encoding="utf-8")
    return read_declared(file, CATALOGUE)


def test_an_id(file: Path) -> None:
    [item] = read(file, "- ft-mse\n")
    assert item == Item(FT_MSE.file_name, FT_MSE.sha256, FT_MSE.sources, FT_MSE.size, FT_MSE)
    assert read(file, "- id: ft-mse\n") == (item,)
    assert read(file, "entries: [ft-mse]\n") == (item,)


def test_an_id_under_a_name_of_ones_own(file: Path) -> None:
    [item] = read(file, "- id: ft-mse\n  file_name: mse.safetensors\n")
    assert (item.file_name, item.sha256) == ("mse.safetensors", FT_MSE.sha256)


def test_items_that_say_everything_themselves(file: Path) -> None:
    text = f"""\
- source: hub:me/vaes/sub/mine.safetensors@abc
  sha256: {SHA.upper()}
- sources: [civitai:456, "s3://bucket/vaes/a.pt", elsewhere/a.pt]
  sha256: {OTHER}
  file_name: theirs.safetensors
  size: 334_641_190
"""
    mine, theirs = read(file, text)
    assert mine == Item("mine.safetensors", SHA, (HubSource("me/vaes", "sub/mine.safetensors", "abc"),))
    assert theirs.sources == (
        CivitaiSource(456),
        BucketSource("s3", "bucket", "vaes/a.pt"),
        LocalSource(file.parent / "elsewhere" / "a.pt"),
    )
    assert (theirs.file_name, theirs.size, theirs.entry) == ("theirs.safetensors", 334641190, None)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n"])
def test_nothing_is_wanted(file: Path, text: str) -> None:
    assert read(file, text) == ()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- ft-mse\n- ft-mze\n", 2, "no entry “ft-mze”. Did you mean ft-mse"),
        ("- ft-mse\n- id: ft-mse\n  sha256: x\n", 3, "Beside an “id” there is no “sha256”"),
        ("- ft-mse\n- id: ft-mse\n", 2, "is there twice"),
        (EXPLICIT + EXPLICIT.replace("mine", "MINE"), 3, "MINE.safetensors is there twice"),
        (EXPLICIT + "  sha265: x\n", 3, "“sha265” is not a known key. Is it “sha256”?"),
        (EXPLICIT + "  sha256: x\n", 3, "“sha256” is there twice"),
        (EXPLICIT + "  size: many\n", 3, "not a whole number"),
        (EXPLICIT + "  file_name: ../mine.safetensors\n", 3, "cannot be used"),
        (EXPLICIT + "  file_name: /etc/mine.safetensors\n", 3, "cannot be used"),
        (EXPLICIT + '  file_name: "..\\\\mine.safetensors"\n', 3, "cannot be used"),
        (EXPLICIT + "  file_name: sub/mine.safetensors\n", 3, "cannot be used"),
        (EXPLICIT + "  file_name: nul.safetensors\n", 3, "Windows reserves"),
        (EXPLICIT + "  file_name: .hidden.safetensors\n", 3, "dash or a dot"),
        (EXPLICIT + "  file_name: mine.zip\n", 3, "The WebUI lists .safetensors"),
        ("- source: hub:me/vaes/mine.safetensors\n", 1, "The entry has no “sha256”"),
        (f"\n- sha256: {SHA}\n", 2, "The entry has no “source”"),
        (f"- source: civitai:456\n  sha256: {SHA}\n", 1, "Only the server knows"),
        (f"- source: http://example.org/a.pt\n  sha256: {SHA}\n", 1, "plain http"),
        (f"- source: https://a:b@example.org/a.pt\n  sha256: {SHA}\n", 1, "user name or password"),
        ("- [ft-mse]\n", 1, "list of “key: value” lines"),
        ("ft-mse\n", 1, "list of entries"),
        ("- ft-mse\n- {id: ft-mse\n", 3, "not YAML"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(file: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(file, text)
    said = str(caught.value)
    assert said.startswith(f"{file} cannot be used, so nothing was changed. Line {line}: ")
    assert words in said


def test_all_that_is_wrong_is_told_in_order(file: Path) -> None:
    with pytest.raises(UsageError, match=r"Line 1: .*no-such.* Line 4: .*sha265"):
        read(file, "- no-such\n" + EXPLICIT + "  sha265: x\n")


def test_no_file(file: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file"):
        read_declared(file, CATALOGUE)


def test_not_text(file: Path) -> None:
    file.write_bytes(b"- ft-mse\n- \xff\n")
    with pytest.raises(UsageError, match="Line 2: The file is not UTF-8"):
        read_declared(file, CATALOGUE)
