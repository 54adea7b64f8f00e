"""The decision, without any effect."""

from __future__ import annotations

from pathlib import Path

from vae_manager.catalogue.entry import HttpsSource, HubSource
from vae_manager.transfer.delivery import AlreadyThere, NameTaken, NextStep, Resume, Start, next_step
from vae_manager.transfer.request import DownloadRequest
from vae_manager.transfer.resume_journal import Journal

ONE, OTHER = HubSource("a/b", "c.safetensors"), HttpsSource("https://mirror.example/c.safetensors")


def kept(count: int, sha256: str | None = "aa", etag: str | None = '"e"') -> Journal:
    order = DownloadRequest((ONE, OTHER), Path("VAE"), "c.safetensors", sha256)
    return Journal(order, sha256, 100, ONE, etag, ((0, count),) if count else ())


def plan(
    journal: Journal | None, expected: str | None = "aa", source: object = ONE, size: int | None = 100
) -> NextStep:
    return next_step(target=None, expected=expected, journal=journal, source=source, size=size)  # type: ignore[arg-type]


def test_the_right_file_is_left_alone() -> None:
    assert next_step(target="aa", expected="aa", journal=kept(10)) == AlreadyThere()


def test_other_bytes_under_the_name_are_never_overwritten() -> None:
    assert next_step(target="bb", expected="aa") == NameTaken()
    assert next_step(target="bb", expected=None) == NameTaken()


def test_nothing_kept_starts() -> None:
    assert plan(None) == plan(kept(0)) == Start()


def test_kept_bytes_of_the_same_hash_go_on() -> None:
    assert plan(kept(10)) == Resume('"e"')


def test_another_source_of_the_same_hash_is_not_asked_for_the_first_ones_etag() -> None:
    assert plan(kept(10), source=OTHER) == Resume(None)


def test_a_complete_partial_file_goes_on_to_its_proof() -> None:
    assert plan(kept(100)) == Resume('"e"')


def test_a_partial_file_that_is_too_long_starts_over() -> None:
    assert plan(kept(101)) == Start()


def test_kept_bytes_of_another_hash_start_over() -> None:
    assert plan(kept(10), expected="bb") == plan(kept(10, sha256=None), expected="bb") == Start()


def test_without_a_hash_only_the_same_source_with_an_etag_goes_on() -> None:
    assert plan(kept(10, sha256=None), expected=None) == Resume('"e"')
    assert plan(kept(10, sha256=None), expected=None, source=OTHER) == Start()
    assert plan(kept(10, sha256=None, etag=None), expected=None) == Start()
