"""Infotext names the VAE that decoded, with its hash or with none, never with another one's."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.records.reading import sql
from vae_manager.records import DATABASE

from ..live.webui import Picture, until
from .stage import FROM_BUILTIN, Stage
from .ways import HIRES, REFINED

ORDERS = list(itertools.permutations(range(3)))


@pytest.fixture(scope="module")
def hashes(stage: Stage) -> dict[str, str]:
    """The first ten digits of each good file's SHA-256."""
    found = {}
    for name in (stage.a, stage.b, stage.c):
        found[name] = hashlib.sha256((stage.vaes / name).read_bytes()).hexdigest()[:10]
    return found


@pytest.fixture
def hashed(stage: Stage) -> None:
    if stage.webui.no_hashing():
        pytest.skip("this WebUI was started with --no-hashing")


@pytest.fixture(autouse=True)
def _anew(stage: Stage) -> Iterator[None]:
    yield
    stage.unknown()


def remembered(data: Path) -> list[tuple[object, ...]]:
    """The hashes in the database of a data folder."""
    return sql(data, "SELECT path, sha256 FROM hashes") if (data / DATABASE).exists() else []


def touch(stage: Stage, order: tuple[int, ...]) -> None:
    """Give the files a, b, c mtimes in this order: as new files, whose hashes nobody knows."""
    now = (stage.vaes / stage.a).stat().st_mtime + 10
    for name, place in zip((stage.a, stage.b, stage.c), order, strict=True):
        path: Path = stage.vaes / name
        os.utime(path, (now + place, now + place))


def assert_true(picture: Picture, name: str | None, hashes: dict[str, str]) -> None:
    assert picture.vae == name
    assert picture.vae_hash in (None, hashes[name]) if name is not None else picture.vae_hash is None


def known(stage: Stage, name: str, hashes: dict[str, str]) -> Picture:
    """Pictures until the hash is known, which is found out in the background."""

    def told(picture: Picture) -> bool:
        assert_true(picture, name, hashes)
        return picture.vae_hash is not None

    return until(stage.picture, told)


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_each_picture_has_its_vaes_name_and_hash(stage: Stage, hashes: dict[str, str], order: tuple[int, ...]) -> None:
    stage.begin(FROM_BUILTIN)
    a, b, c = stage.a, stage.b, stage.c
    touch(stage, order)
    name: str | None
    for name in (a, b, a, c, a, b):
        stage.webui.choose(name)
        assert_true(stage.picture(), name, hashes)
    for name in (a, b, c):
        stage.webui.choose(name)
        known(stage, name, hashes)
    for name in (a, b, None, a, c, a, b):
        stage.webui.choose(name or "None")
        picture = stage.picture()
        assert_true(picture, name, hashes)
        assert name is None or picture.vae_hash == hashes[name]


@pytest.mark.usefixtures("hashed")
def test_no_request_is_held_up_by_hashing(stage: Stage) -> None:
    """The WebUI would hash the file in the middle of a picture, and says so."""
    stage.begin(FROM_BUILTIN)
    mark = stage.said()
    for order in ORDERS[:2]:
        touch(stage, order)
        for name in (stage.b, stage.a):
            stage.webui.choose(name)
            stage.picture()
            stage.picture(override_settings={"sd_vae": stage.c})
    said = stage.said_since(mark)
    if said is None:
        pytest.skip("needs the WebUI's log")
    assert "Calculating sha256" not in said


@pytest.mark.usefixtures("hashed")
def test_overrides_and_plots_have_them_too(stage: Stage, hashes: dict[str, str]) -> None:
    stage.begin(FROM_BUILTIN)
    for name in (stage.b, stage.a, stage.c):
        stage.webui.choose(name)
        known(stage, name, hashes)
    for name in (stage.a, stage.b, stage.a, stage.c):
        picture = stage.picture(override_settings={"sd_vae": name})
        assert (picture.vae, picture.vae_hash) == (name, hashes[name])
        info = picture.info
        assert (info["sd_vae_name"], info["sd_vae_hash"]) == (name, hashes[name])


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("taken_over_by", ["refiner", "hires"])
def test_a_checkpoint_in_the_middle_brings_its_own(stage: Stage, hashes: dict[str, str], taken_over_by: str) -> None:
    stage.begin(FROM_BUILTIN, by_card=True)
    asked = {
        "refiner": {"refiner_checkpoint": stage.second, **REFINED},
        "hires": {"hr_checkpoint_name": stage.second, **HIRES},
    }
    name: str | None
    for name in (stage.a, stage.b):
        stage.webui.choose(name)
        known(stage, name, hashes)
    for before, brought in ((stage.a, stage.b), ("None", stage.a), (stage.b, "None")):
        stage.webui.choose(before)
        with stage.carded(stage.second, brought):
            picture = stage.picture(**asked[taken_over_by])
        name = None if brought == "None" else brought
        assert_true(picture, name, hashes)
        assert name is None or picture.vae_hash == hashes[name]
        info = picture.info
        assert (info["sd_vae_name"], info["sd_vae_hash"]) == (name, picture.vae_hash)
        assert stage.picture().vae == (None if before == "None" else before)


def test_no_file_is_hashed_under_no_hashing(unhashed: Stage) -> None:
    unhashed.begin(FROM_BUILTIN)
    touch(unhashed, ORDERS[0])
    data = unhashed.folder / "vae-manager"
    before = remembered(data)
    for name in (unhashed.a, unhashed.b, unhashed.a):
        unhashed.webui.choose(name)
        unhashed.status()
        picture = unhashed.picture()
        assert (picture.vae, picture.vae_hash) == (name, None)
    assert remembered(data) == before
