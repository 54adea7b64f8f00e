"""What a declaration may say, and how what is wrong in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.failing import fails_with, inner
from vae_manager.catalogue import BucketSource, CivitaiSource, HubSource, LocalSource, load
from vae_manager.errors import NotFoundError, UsageError
from vae_manager.messages import Message
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


def told(error: UsageError) -> list[tuple[object, Message]]:
    """The problems that an error names, each with its line."""
    lines, left = [], inner(error.message, "problems")
    while "rest" in left.fields:
        lines.append(inner(left, "first"))
        left = inner(left, "rest")
    return [(line.fields["line"], inner(line, "problem")) for line in [*lines, left]]


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
    ("text", "line", "code", "fields"),
    [
        ("- ft-mse\n- ft-mze\n", 2, "no-such-entry", {"id": "ft-mze"}),
        ("- ft-mse\n- id: ft-mse\n  sha256: x\n", 3, "key-beside-id", {"key": "sha256"}),
        ("- ft-mse\n- id: ft-mse\n", 2, "duplicate-file-name", {"name": FT_MSE.file_name}),
        (EXPLICIT + EXPLICIT.replace("mine", "MINE"), 3, "duplicate-file-name", {"name": "MINE.safetensors"}),
        (EXPLICIT + "  sha265: x\n", 3, "unknown-key", {"key": "sha265", "near": "sha256"}),
        (EXPLICIT + "  sha256: x\n", 3, "duplicate-key", {"key": "sha256"}),
        (EXPLICIT + "  size: many\n", 3, "bad-number", {"text": "many"}),
        (EXPLICIT + "  file_name: ../mine.safetensors\n", 3, "bad-file-name", {"reason": "forbidden-character"}),
        (EXPLICIT + "  file_name: /etc/mine.safetensors\n", 3, "bad-file-name", {"reason": "forbidden-character"}),
        (EXPLICIT + '  file_name: "..\\\\mine.safetensors"\n', 3, "bad-file-name", {"reason": "forbidden-character"}),
        (EXPLICIT + "  file_name: sub/mine.safetensors\n", 3, "bad-file-name", {"reason": "forbidden-character"}),
        (EXPLICIT + "  file_name: nul.safetensors\n", 3, "bad-file-name", {"reason": "reserved-name"}),
        (EXPLICIT + "  file_name: .hidden.safetensors\n", 3, "bad-file-name", {"reason": "leading-dash-or-dot"}),
        (EXPLICIT + "  file_name: mine.zip\n", 3, "unlisted-extension", {"endings": ".safetensors, .ckpt, .pt"}),
        ("- source: hub:me/vaes/mine.safetensors\n", 1, "missing-key", {"key": "sha256"}),
        (f"\n- sha256: {SHA}\n", 2, "missing-key", {"key": "source"}),
        (f"- source: civitai:456\n  sha256: {SHA}\n", 1, "unknown-file-name", {}),
        (
            f"- source: http://example.org/a.pt\n  sha256: {SHA}\n",
            1,
            "plain-http",
            {"address": "http://example.org/a.pt"},
        ),
        (f"- source: https://a:b@example.org/a.pt\n  sha256: {SHA}\n", 1, "address-with-password", {}),
        ("- [ft-mse]\n", 1, "not-a-mapping", {}),
        ("ft-mse\n", 1, "not-a-list", {}),
        ("- ft-mse\n- {id: ft-mse\n", 3, "not-yaml", {}),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(
    file: Path, text: str, line: int, code: str, fields: dict[str, str]
) -> None:
    with fails_with(UsageError, "bad-declaration", path=file) as caught:
        read(file, text)
    found, problem = told(caught.value)[0]
    assert (found, problem.code) == (line, code)
    values = {name: problem.fields.get(name) for name in fields}
    assert {name: one.code if isinstance(one, Message) else one for name, one in values.items()} == fields


def test_all_that_is_wrong_is_told_in_order(file: Path) -> None:
    with fails_with(UsageError, "bad-declaration", path=file) as caught:
        read(file, "- no-such\n" + EXPLICIT + "  sha265: x\n")
    [(first, unknown), (second, misspelt)] = told(caught.value)
    assert (first, unknown.code, second, misspelt.code) == (1, "no-such-entry", 4, "unknown-key")
    assert (unknown.fields["id"], misspelt.fields["key"]) == ("no-such", "sha265")


def test_no_file(file: Path) -> None:
    with fails_with(NotFoundError, "no-such-file"):
        read_declared(file, CATALOGUE)


def test_not_text(file: Path) -> None:
    file.write_bytes(b"- ft-mse\n- \xff\n")
    with fails_with(UsageError, "bad-declaration", path=file) as caught:
        read_declared(file, CATALOGUE)
    [(line, problem)] = told(caught.value)
    assert (line, problem.code) == (2, "not-utf-8")


def test_an_item_of_a_lock_file(file: Path) -> None:
    text = f"- file_name: a.safetensors\n  sha256: {FT_MSE.sha256}\n  size: 1\n  entry: {FT_MSE.id}\n"
    [item] = read(file, text)
    assert (item.entry, item.sources, item.size) == (FT_MSE, (), 1)
    [other] = read(file, text.replace(FT_MSE.sha256, SHA))
    assert other.entry is None, "the entry of another version has other bytes"
    [older] = read(file, text.replace(FT_MSE.id, "no-longer-there"))
    assert older.entry is None


def test_a_page_of_the_hub_that_is_set(file: Path) -> None:
    page = f'- source: "http://127.0.0.1:8000/o/n/blob/abc/a.pt"\n  sha256: {SHA}\n'
    file.write_text(page, encoding="utf-8")
    [item] = read_declared(file, CATALOGUE, endpoint="http://127.0.0.1:8000")
    assert item.sources == (HubSource("o/n", "a.pt", "abc"),)
