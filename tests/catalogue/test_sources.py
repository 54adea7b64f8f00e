from __future__ import annotations

from pathlib import Path

import pytest

from vae_manager.catalogue import HttpsSource, HubSource, LocalSource, Source
from vae_manager.catalogue.parsing import parse_source
from vae_manager.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hub:o/n/a.safetensors", HubSource("o/n", "a.safetensors")),
        ("hub:o/n/vae/a b.safetensors@abc123", HubSource("o/n", "vae/a b.safetensors", "abc123")),
        ("hub:o/n/a.pt@refs/pr/1", HubSource("o/n", "a.pt", "refs/pr/1")),
        ("https://example.org/a.pt", HttpsSource("https://example.org/a.pt")),
        ("http://127.0.0.1:8000/a.pt", HttpsSource("http://127.0.0.1:8000/a.pt")),
        ("http://localhost/a.pt", HttpsSource("http://localhost/a.pt")),
        ("http://[::1]:80/a.pt", HttpsSource("http://[::1]:80/a.pt")),
        ("https://huggingface.co/o/n/blob/main/vae/a.pt", HubSource("o/n", "vae/a.pt")),
        ("https://huggingface.co/o/n/resolve/abc/a%20b.pt?download=true", HubSource("o/n", "a b.pt", "abc")),
        ("/models/a.pt", LocalSource(Path("/models/a.pt"))),
        (" a.pt ", LocalSource(Path("a.pt"))),
        ("C:\\models\\a.pt", LocalSource(Path("C:\\models\\a.pt"))),
    ],
)
def test_what_people_write(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize("text", ["hub:o/n/a.pt", "hub:o/n/v/a.pt@abc", "https://example.org/a.pt", "/models/a.pt"])
def test_a_source_prints_as_it_is_written(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "hub:",
        "hub:o/n",
        "hub:o/n/",
        "hub:o/n/../../secret",
        "hub:o/n/a//b",
        "hub:o/n/a\\b",
        "hub:../n/a",
        "hub:o/n/a@",
        "hub:o/n/a@../x",
        "hub:o/n?x/a",
        "http://example.org/a.pt",
        "http://127.0.0.1.example.org/a.pt",
        "http://localhost.example.org/a.pt",
        "http://10.0.0.1/a.pt",
        "https://",
        "https://user:pass@example.org/a.pt",
        "https://token@example.org/a.pt",
        "https://example.org:port/a.pt",
        "https://[::1/a.pt",
        "ftp://example.org/a.pt",
        "file:///etc/passwd",
        "https://example.org/a\nb",
    ],
)
def test_what_is_not_a_source(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


def test_plain_http_is_named_as_the_reason() -> None:
    with pytest.raises(UsageError, match="plain http"):
        parse_source("http://example.org/a.pt")
