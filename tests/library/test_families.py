"""Whose latents a file turns into pictures, and who says so."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.files.samples import ldm, safetensors
from tests.records.reading import sql
from vae_manager.catalogue import Catalogue, Entry, FamilyGuess
from vae_manager.errors import DiskError, UsageError
from vae_manager.files import FileRecord, identity_of
from vae_manager.files.architecture import Architecture, shapes_of
from vae_manager.files.record import Fingerprints
from vae_manager.library.family_evidence import (
    FamilyGuesses,
    FamilyOverrides,
    LatentTestGuess,
    families_of,
    family_of,
    known_weights,
)
from vae_manager.library.index import Index
from vae_manager.records import HashStore, RecordStore

from .vaes import look, sha256, vae

NOTHING = Catalogue(())


def catalogue(path: Path, family: str = "sdxl") -> Catalogue:
    return Catalogue(
        (
            Entry(
                id="mine",
                name="Mine",
                family=family,  # type: ignore[arg-type]
                file_name=path.name,
                sha256=sha256(path),
                purpose="",
                licence=None,
            ),
        )
    )


def known(path: Path, *, hashed: bool = False, printed: bool = False) -> FileRecord:
    hashes = HashStore()
    index = Index(None, hashes)
    if hashed:
        hashes.compute(path)
    if printed:
        index.fingerprints_of(path)
    return look(path.parent, index)[path.name]


@pytest.fixture
def words(tmp_path: Path) -> FamilyOverrides:
    return FamilyOverrides(tmp_path / "data" / "families.json")


@pytest.fixture
def guesses(tmp_path: Path) -> FamilyGuesses:
    return FamilyGuesses(RecordStore(tmp_path / "data"))


# -- the order of those who know -----------------------------------------------------------------------------------
def test_four_channels_tell_no_sd1_from_sdxl(folder: Path) -> None:
    assert family_of(known(vae(folder / "a.safetensors")), NOTHING) == FamilyGuess(None, candidates=("sd1", "sdxl"))


@pytest.mark.parametrize(("channels", "candidates"), [(16, ("sd3", "flux1")), (7, ())])
def test_other_shapes(folder: Path, channels: int, candidates: tuple[str, ...]) -> None:
    path = safetensors(folder / "a.safetensors", ldm(channels))
    assert family_of(known(path), NOTHING) == FamilyGuess(None, candidates=candidates)


@pytest.mark.parametrize("levels", [3, 5])
def test_latents_of_another_size_are_of_no_family(folder: Path, levels: int) -> None:
    """The x4 upscaler's VAE has four channels too."""
    widths = (64,) * levels
    shapes = shapes_of(Architecture(4, widths, widths, blocks=1, decoder_blocks=2))
    path = safetensors(folder / "a.safetensors", shapes)
    assert family_of(known(path), NOTHING) == FamilyGuess(None)


def test_a_video_vae_is_of_no_family_of_pictures(folder: Path) -> None:
    shapes = {"decoder.conv_in.weight": (8, 4, 3, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3, 3)}
    assert family_of(known(safetensors(folder / "a.safetensors", shapes)), NOTHING) == FamilyGuess(None)


def test_shapes_that_leave_one(folder: Path) -> None:
    path = safetensors(folder / "a.safetensors", ldm(32))
    assert family_of(known(path), NOTHING) == FamilyGuess("flux2", "shapes", candidates=())


def test_what_is_no_vae_has_none(folder: Path) -> None:
    (folder / "a.safetensors").write_text("<html>")
    assert family_of(known(folder / "a.safetensors"), NOTHING) == FamilyGuess(None)


def test_the_catalogue_knows_the_bytes(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    assert family_of(known(path, hashed=True), catalogue(path)) == FamilyGuess("sdxl", "hash", sure=True)
    assert family_of(known(path), catalogue(path)).family is None, "its hash is not known"


def test_a_twin_in_weights_is_known(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    files = [known(path, hashed=True, printed=True),
             known(vae(folder / "b.safetensors", note="other bytes"), hashed=True, printed=True),
             known(vae(folder / "c.safetensors", 2), hashed=True, printed=True)]  # fmt: skip
    found = families_of(files, catalogue(path))
    assert [(guess.family, guess.why, guess.sure) for guess in found] == [
        ("sdxl", "hash", True),
        ("sdxl", "weights", True),
        (None, None, False),
    ]


def with_prints(file: FileRecord, weights: str, encoder: str | None) -> FileRecord:
    return replace(file, fingerprints=Fingerprints(weights, encoder))


def test_who_shares_the_encoder_shares_the_latents(folder: Path) -> None:
    path, tuned = vae(folder / "a.safetensors"), vae(folder / "b.safetensors", 2)
    one = with_prints(known(path, hashed=True), "a" * 64, "e" * 64)
    other = with_prints(known(tuned), "b" * 64, "e" * 64)
    assert families_of([one, other], catalogue(path))[1] == FamilyGuess("sdxl", "weights", sure=True)


def test_the_catalogue_comes_before_a_word_on_another_file(folder: Path, words: FamilyOverrides) -> None:
    path = vae(folder / "a.safetensors")
    one = with_prints(known(path, hashed=True), "a" * 64, "e" * 64)
    two = with_prints(known(vae(folder / "b.safetensors", 2)), "b" * 64, "e" * 64)
    three = with_prints(known(vae(folder / "c.safetensors", 3)), "c" * 64, "e" * 64)
    words.put(two, "sd1")
    assert [(guess.family, guess.why) for guess in families_of([one, two, three], catalogue(path), words)] == [
        ("sdxl", "hash"),
        ("sd1", "yours"),
        ("sdxl", "weights"),
    ]


def test_a_word_on_one_file_is_a_guess_about_another_with_its_encoder(folder: Path, words: FamilyOverrides) -> None:
    said = with_prints(known(vae(folder / "a.safetensors"), hashed=True), "a" * 64, "e" * 64)
    tune = with_prints(known(vae(folder / "b.safetensors", 2)), "b" * 64, "e" * 64)
    twin = with_prints(known(vae(folder / "c.safetensors", note="other bytes"), hashed=True), "a" * 64, "e" * 64)
    words.put(said, "sdxl")
    own, of_tune, of_twin = families_of([said, tune, twin], NOTHING, words)
    assert (own.why, own.sure) == ("yours", True)
    assert (of_tune.family, of_tune.why, of_tune.sure) == ("sdxl", "yours by encoder", False)
    assert (of_twin.family, of_twin.why, of_twin.sure) == ("sdxl", "yours by weights", True)
    words.put(twin, "sd1")
    assert families_of([said, tune, twin], NOTHING, words)[1].family is None, "two words contradict each other"


def test_files_that_contradict_each_other_tell_nothing(folder: Path, words: FamilyOverrides) -> None:
    one = with_prints(known(vae(folder / "a.safetensors")), "a" * 64, "e" * 64)
    two = with_prints(known(vae(folder / "b.safetensors", 2)), "b" * 64, "e" * 64)
    words.put(one, "sdxl")
    words.put(two, "sd1")
    found = known_weights([one, two], NOTHING, words)
    assert {fingerprint: guess.family for fingerprint, guess in found.items()} == {"a" * 64: "sdxl", "b" * 64: "sd1"}


def test_ones_own_word_wins(folder: Path, words: FamilyOverrides) -> None:
    path = vae(folder / "a.safetensors")
    file = known(path, hashed=True)
    words.put(file, "sd1")
    assert family_of(file, catalogue(path), words) == FamilyGuess("sd1", "yours", sure=True)
    words.put(file, None)
    assert family_of(file, catalogue(path), words).why == "hash"


def test_the_latent_test_comes_last_and_is_never_sure(folder: Path, guesses: FamilyGuesses) -> None:
    path = vae(folder / "a.safetensors")
    file = known(path, hashed=True)
    guesses.put(file, LatentTestGuess("sd1", 31.5))
    assert family_of(file, NOTHING, guesses=guesses) == FamilyGuess("sd1", "latent test", figure=31.5)
    assert family_of(file, catalogue(path), guesses=guesses).why == "hash"
    guesses.put(file, None)
    assert family_of(file, NOTHING, guesses=guesses).family is None


# -- what a word is bound to ---------------------------------------------------------------------------------------
def test_a_word_follows_the_bytes(folder: Path, words: FamilyOverrides, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    words.put(known(path, hashed=True), "sdxl")
    renamed = path.rename(folder / "b.safetensors")
    later = FamilyOverrides(tmp_path / "data" / "families.json")
    assert later.get(known(renamed, hashed=True)) == "sdxl"
    assert later.get(known(renamed)) is None
    vae(renamed, 2)
    assert later.get(known(renamed, hashed=True)) is None


def test_without_a_hash_it_follows_the_weights(folder: Path, words: FamilyOverrides) -> None:
    words.put(known(vae(folder / "a.safetensors"), printed=True), "sdxl")
    twin = vae(folder / "b.safetensors", note="other bytes")
    assert words.get(known(twin, hashed=True, printed=True)) == "sdxl"


def test_without_either_it_follows_the_file_as_it_is(folder: Path, words: FamilyOverrides) -> None:
    path = vae(folder / "a.safetensors")
    words.put(known(path), "sdxl")
    assert words.get(known(path, hashed=True)) == "sdxl", "a hash that is known later changes nothing"
    before = identity_of(path)
    assert before is not None
    renamed = path.rename(folder / "b.safetensors")
    assert words.get(known(renamed)) is None
    words.carry(before, renamed)
    assert words.get(known(renamed)) == "sdxl"
    vae(renamed, 2)
    os.utime(renamed, (1, 1))
    assert words.get(known(renamed)) is None


@pytest.mark.parametrize("then", [None, 1])
def test_one_that_was_bound_with_or_without_a_time_of_change_still_holds(
    folder: Path, words: FamilyOverrides, tmp_path: Path, then: int | None
) -> None:
    file = known(vae(folder / "a.safetensors"))
    words.put(file, "sdxl")
    path = tmp_path / "data" / "families.json"
    items = json.loads(path.read_text())
    for item in items:
        item.update({} if then is None else {"ctime_ns": then})
    path.write_text(json.dumps(items))
    later = FamilyOverrides(path)
    assert later.get(file) == "sdxl"
    moved = file.path.rename(folder / "b.safetensors")
    assert file.identity is not None
    later.carry(file.identity, moved)
    assert FamilyOverrides(path).get(known(moved)) == "sdxl"
    later.put(file, None)
    assert FamilyOverrides(path).get(file) is None


def test_a_later_word_replaces_the_earlier_one_however_it_was_bound(folder: Path, words: FamilyOverrides) -> None:
    path = vae(folder / "a.safetensors")
    words.put(known(path), "sdxl")
    words.put(known(path, hashed=True), "sd1")
    assert words.get(known(path)) is None
    assert words.get(known(path, hashed=True)) == "sd1"
    words.put(known(path, hashed=True), None)
    assert words.get(known(path, hashed=True)) is None


def test_two_that_write_see_each_other(folder: Path, words: FamilyOverrides, tmp_path: Path) -> None:
    other = FamilyOverrides(tmp_path / "data" / "families.json")
    one, two = known(vae(folder / "a.safetensors")), known(vae(folder / "b.safetensors"))
    assert words.get(one) is other.get(two) is None
    words.put(one, "sdxl")
    other.put(two, "sd1")
    assert [store.get(file) for store in (words, other) for file in (one, two)] == ["sdxl", "sd1"] * 2


def test_no_such_family(folder: Path, words: FamilyOverrides) -> None:
    with pytest.raises(UsageError, match="“sd9” is not a family"):
        words.put(known(vae(folder / "a.safetensors")), "sd9")


@pytest.mark.parametrize("content", ["", "[", "{}", "7", '[{"value": "sdxl"}]', '[{"sha256": "x", "value": 7}]'])
def test_a_damaged_file_says_nothing_and_is_mended(
    folder: Path, words: FamilyOverrides, tmp_path: Path, content: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "families.json").write_text(content)
    file = known(vae(folder / "a.safetensors"))
    assert words.get(file) is None
    words.put(file, "sdxl")
    assert words.get(file) == "sdxl"


@pytest.mark.parametrize("value", ['"sd1"', "7", "{}", '{"family": "sd9", "figure": 1}', '{"family": "sd1"}', "[]"])
def test_guesses_that_are_none(folder: Path, tmp_path: Path, value: str) -> None:
    file = known(vae(folder / "a.safetensors"), hashed=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "guesses.json").write_text(f'[{{"sha256": "{file.sha256}", "value": {value}}}]')
    assert FamilyGuesses(RecordStore(tmp_path / "data")).guess(file) is None


@pytest.mark.parametrize("column", ["family = 'sd9'", "family = 7", "figure = NULL", "figure = 'much'", "key = 'text'"])
def test_damaged_record_of_a_guess_is_none(folder: Path, tmp_path: Path, guesses: FamilyGuesses, column: str) -> None:
    file = known(vae(folder / "a.safetensors"), hashed=True)
    guesses.put(file, LatentTestGuess("sd1", 1.0))
    assert FamilyGuesses(RecordStore(tmp_path / "data")).guess(file) == LatentTestGuess("sd1", 1.0)
    sql(tmp_path / "data", f"UPDATE guesses SET {column}")
    assert FamilyGuesses(RecordStore(tmp_path / "data")).guess(file) is None


def test_where_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with fails_with(DiskError, "not-writable"):
        FamilyOverrides(tmp_path / "file" / "families.json").put(known(vae(folder / "a.safetensors")), "sdxl")
