"""Which file here is the VAE that a picture names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vae_manager.catalogue import Catalogue, Entry
from vae_manager.infotext import Finding, LocalFile, Match, NamedVae, match

A, B, C = "a" * 64, "b" * 64, "c" * 64


def entry(sha256: str, file_name: str = "published.safetensors", **more: Any) -> Entry:
    published = Entry(
        id="id",
        name="Published",
        family="sd1",
        file_name=file_name,
        sha256=sha256,
        purpose="",
        licence=None,
        offered=True,
    )
    return replace(published, **{"offered": True, **more})


def found(name: str, hash: str | None, *here: LocalFile, known: tuple[Entry, ...] = ()) -> Match:
    return match(NamedVae.read(name, hash), here, Catalogue(known))


OTHER = LocalFile("other.safetensors", B, 20)


@pytest.mark.parametrize(
    ("here", "hash", "known", "finding", "use"),
    [
        # here, under its own name
        ([LocalFile("x.pt", A)], A[:10], [], Finding.EXACT, "x.pt"),
        ([LocalFile("copy.pt", A), LocalFile("x.pt", A)], A[:10], [], Finding.EXACT, "x.pt"),
        # under another one
        ([OTHER, LocalFile("y.pt", A)], A[:10], [], Finding.OTHER_NAME, "y.pt"),
        ([LocalFile("x.pt", B), LocalFile("y.pt", A)], A[:10], [], Finding.OTHER_NAME, "y.pt"),
        ([LocalFile("x.pt", None), LocalFile("y.pt", A)], A[:10], [], Finding.OTHER_NAME, "y.pt"),
        ([LocalFile("y.pt", A)], A[:10], [entry(A)], Finding.OTHER_NAME, "y.pt"),
        # the name, with other bytes
        ([LocalFile("x.pt", B)], A[:10], [], Finding.OTHER_BYTES, "x.pt"),
        ([LocalFile("x.pt", B)], A[:10], [entry(A)], Finding.OTHER_BYTES, "x.pt"),
        # not here
        ([OTHER], A[:10], [entry(A)], Finding.OFFERED, None),
        ([OTHER], A[:10], [entry(A, offered=False)], Finding.RECOGNISED, None),
        ([OTHER], A[:10], [entry(C)], Finding.UNKNOWN, None),
        ([], A[:10], [], Finding.UNKNOWN, None),
        # without a hash: by the name alone
        ([LocalFile("x.pt", B)], None, [], Finding.EXACT, "x.pt"),
        ([LocalFile("x.pt", None)], None, [], Finding.EXACT, "x.pt"),
        ([OTHER], None, [entry(A, "x.pt")], Finding.MISSING, None),
    ],
)
def test_what_is_here_decides(
    here: list[LocalFile], hash: str | None, known: list[Entry], finding: Finding, use: str | None
) -> None:
    result = found("x.pt", hash, *here, known=tuple(known))
    assert (result.finding, result.use, result.to_hash) == (finding, use, ())


@pytest.mark.parametrize(
    ("name", "here", "use"),
    [
        ("x", ["x.safetensors"], "x.safetensors"),
        ("X.Safetensors", ["x.safetensors"], "x.safetensors"),
        ("SD15\\x.safetensors", ["x.safetensors"], "x.safetensors"),
        ("SD15/sub/x", ["x.vae.pt", "x.ckpt"], "x.ckpt"),
        ("x.vae", ["x.vae.pt"], "x.vae.pt"),
        ("x", ["x.pt", "x.ckpt", "x.safetensors"], "x.safetensors"),
        ("x.v1.0", ["x.v1.0.safetensors", "x.v1.safetensors"], "x.v1.0.safetensors"),
        ("x", ["xy.pt"], None),
        ("x.pt", ["x.safetensors"], None),
        ("x.v1", ["x.safetensors"], None),
        ("SD15\\", ["x.safetensors"], None),
    ],
)
def test_a_name_in_another_spelling_is_matched_by_its_name(name: str, here: list[str], use: str | None) -> None:
    files = [LocalFile(one, B) for one in here]
    result = found(name, None, *files)
    assert (result.finding, result.use) == (Finding.BY_NAME if use else Finding.MISSING, use)
    assert found(name, A[:10], *files).finding is (Finding.OTHER_BYTES if use else Finding.UNKNOWN)


def test_the_hash_goes_before_another_spelling() -> None:
    proven = found("SD15\\X", A[:10], LocalFile("x.pt", A))
    assert (proven.finding, proven.use) == (Finding.EXACT, "x.pt")
    assert found("SD15\\X", A[:10], LocalFile("x.pt", B), LocalFile("y.pt", A)).use == "y.pt"
    untold = found("X", A[:10], LocalFile("x.pt", None))
    assert (untold.finding, untold.use, untold.to_hash) == (Finding.UNDECIDED, "x.pt", ("x.pt",))
    assert found("X", A[:10], LocalFile("x.pt", None, can_be_hashed=False)).finding is Finding.BY_NAME
    exact = found("x.pt", None, LocalFile("X.pt", B), LocalFile("x.pt", B))
    assert (exact.finding, exact.use) == (Finding.EXACT, "x.pt")


@pytest.mark.parametrize("word", ["None", "Automatic", "auto"])
def test_words_of_the_webui_stay(word: str) -> None:
    assert found(word, A[:10], LocalFile("y.pt", A)).use == word


@pytest.mark.parametrize("digits", ["", "None", "a" * 9, "g" * 10, "a" * 65])
def test_what_is_no_hash_of_a_file_counts_as_none(digits: str) -> None:
    assert NamedVae.read("x.pt", digits).hash is None


def test_a_hash_is_read_as_people_write_it() -> None:
    assert NamedVae.read(" x.pt ", " ABCDEF0123 ") == NamedVae("x.pt", "abcdef0123")


def test_the_name_waits_for_its_own_hash_first() -> None:
    result = found("x.pt", A[:10], LocalFile("y.pt", None), LocalFile("x.pt", None))
    assert (result.finding, result.use, result.to_hash) == (Finding.UNDECIDED, "x.pt", ("x.pt",))


def test_then_for_the_others() -> None:
    result = found("x.pt", A[:10], LocalFile("y.pt", None), LocalFile("x.pt", B), LocalFile("z.pt", C))
    assert (result.finding, result.use, result.to_hash) == (Finding.UNDECIDED, "x.pt", ("y.pt",))
    assert found("x.pt", A[:10], LocalFile("y.pt", None)) == Match(Finding.UNDECIDED, None, to_hash=("y.pt",))


def test_a_size_tells_without_a_hash() -> None:
    offered = entry(A, size=335)
    assert found("x.pt", A[:10], LocalFile("y.pt", None, 334), known=(offered,)).finding is Finding.OFFERED
    assert found("x.pt", A[:10], LocalFile("y.pt", None, 335), known=(offered,)).finding is Finding.UNDECIDED
    assert found("x.pt", A[:10], LocalFile("x.pt", None, 334), known=(offered,)).finding is Finding.OTHER_BYTES


def test_what_cannot_be_learnt_is_not_waited_for() -> None:
    dark = LocalFile("y.pt", None, can_be_hashed=False)
    assert found("x.pt", A[:10], dark, known=(entry(A),)).finding is Finding.OFFERED
    assert found("x.pt", A[:10], dark) == Match(Finding.UNKNOWN, None, has_unhashable=True)
    assert found("x.pt", A[:10], LocalFile("x.pt", None, can_be_hashed=False)).finding is Finding.EXACT


def test_a_published_file_under_its_own_name_is_believed_more_than_the_picture() -> None:
    """A WebUI without a guard writes the hash of another VAE that it has met."""
    same_name = LocalFile("Published.safetensors", B)
    for known in (entry(B), entry(B, "else.safetensors", aliases=("published.safetensors",))):
        result = found(same_name.name, A[:10], same_name, LocalFile("y.pt", A), known=(known,))
        assert (result.finding, result.use, result.offer) == (Finding.OTHER_BYTES, same_name.name, None)
    renamed = found("x.pt", A[:10], LocalFile("x.pt", B), LocalFile("y.pt", A), known=(entry(B),))
    assert renamed.use == "y.pt"


def test_of_entries_with_the_same_digits_the_offered_one() -> None:
    known = (entry(A, offered=False), entry(A[:63] + "b"))
    result = found("x.pt", A[:10], known=known)
    assert (result.finding, result.entry, result.offer) == (Finding.OFFERED, known[1], known[1])
