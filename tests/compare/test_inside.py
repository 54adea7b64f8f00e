"""In a WebUI: whatever goes wrong in a comparison, the next picture is to the bit the one before it; what is kept stays
within its bounds."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.host.asking import GOOD, OTHER, Picture, choose, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import WebUI, start_webui
from tests.vaes import TUNED

from .inside import install_inside

pytestmark = pytest.mark.torch

FLAGS = ("--api", "--step-seconds", "0.001")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
LATENT = 4 * 8 * 8 * 4
"""Bytes of a picture of 64 × 64, in 32 bits."""
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 1, "denoising_strength": 0.7}


@contextmanager
def started_in(data: Path, *flags: str) -> Iterator[WebUI]:
    write_vaes(data / "models" / "VAE")
    make_data_dir(data, ["demo-a", "demo-b"])
    install_inside(data)
    with start_webui(data, *FLAGS, *flags, env=ONE_THREAD) as started:
        choose(started, GOOD)
        yield started


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started_in(tmp_path_factory.mktemp("plain")) as started:
        yield started


@pytest.fixture(scope="module")
def frugal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    """Its model goes to the GPU part by part."""
    with started_in(tmp_path_factory.mktemp("frugal"), "--medvram") as started:
        yield started


@pytest.fixture(params=["webui", "frugal"])
def either(request: pytest.FixtureRequest) -> WebUI:
    started: WebUI = request.getfixturevalue(request.param)
    return started


def compare(webui: WebUI, **asked: Any) -> dict[str, Any]:
    status, answer = webui.call("/comparison", {"vaes": [OTHER, "None"], **asked})
    assert status == 200, answer
    assert answer["same_padding"]
    return dict(answer)


def held(webui: WebUI) -> dict[str, Any]:
    return dict(webui.call("/held")[1])


@pytest.mark.parametrize(
    ("inject", "state", "made"),
    [
        ("none", "done", {GOOD: True, OTHER: True, "None": True}),
        ("cancel", "stopped", {GOOD: True, OTHER: True}),
        ("fail", "done", {GOOD: True, OTHER: False, "None": True}),
    ],
)
def test_the_next_picture_is_the_one_before(either: WebUI, inject: str, state: str, made: dict[str, bool]) -> None:
    before = Picture(either, tiling=True)
    found = compare(either, inject=inject)
    if inject == "cancel":  # seen before the second one, or after it
        found["pictures"].setdefault(OTHER, True)
    assert (found["state"], found["pictures"]) == (state, made)
    assert Picture(either, tiling=True).pixels == before.pixels
    plain = Picture(either)
    assert (plain.fields["VAE"], plain.pixels == before.pixels) == (GOOD, False)


def test_out_of_memory_is_done_in_tiles_and_called_approximate(either: WebUI) -> None:
    large = {"width": 288, "height": 256}
    before = Picture(either, **large)
    found = compare(either, inject="memory")
    assert (found["state"], found["pictures"]) == ("done", {GOOD: True, OTHER: True, "None": True})
    assert len(found["notes"]) == 3
    assert found["notes"][0] == "tiled"
    assert Picture(either, **large).pixels == before.pixels


def test_memory_over_many_comparisons(webui: WebUI) -> None:
    for seed in range(12):
        Picture(webui, seed=seed)
    compare(webui, times=10)
    first = held(webui)
    compare(webui, times=190)
    after = held(webui)
    assert (after["kept"], after["kept_bytes"]) == (8, 8 * LATENT)
    assert after["comparison_bytes"] <= 6 * 3 * 64 * 64 * 3
    assert after["jobs"] <= 20
    assert after["process"] - first["process"] < 30_000_000


def test_bounds_are_settings(webui: WebUI) -> None:
    for options, kept in (
        ({"vae_manager_kept": 3}, 3),
        ({"vae_manager_kept": 0}, 0),
        ({"vae_manager_kept": 64, "vae_manager_kept_memory": 2 * LATENT / 1e6}, 2),
        ({"vae_manager_kept_memory": 0}, 0),
        ({"vae_manager_kept": 8, "vae_manager_kept_memory": 256}, 4),
    ):
        assert webui.call("/sdapi/v1/options", options)[0] == 200
        Picture(webui, batch_size=2, n_iter=2, seed=3)
        assert held(webui)["kept"] == kept, options


def test_the_last_pictures_of_a_long_generation_are_kept(webui: WebUI) -> None:
    Picture(webui, batch_size=2, n_iter=5, seed=50)
    newest = held(webui)["list"]
    assert [one["number"] for one in newest] == list(range(2, 10))
    assert [f"Seed: {50 + one['number']}," in one["infotext"] for one in newest] == [True] * 8


def test_a_vae_of_another_folder_is_the_one_in_use(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.safetensors"
    shutil.copy(TUNED, elsewhere)
    (tmp_path / "data").mkdir()
    with started_in(tmp_path / "data", "--vae-path", str(elsewhere)) as webui:
        assert webui.call("/sdapi/v1/refresh-vae", method="POST")[0] == 200
        expected = Picture(webui)
        status, answer = webui.call("/vae-manager/api/compare", {"vaes": [OTHER]})
        assert status == 200
        first, second = answer["results"]
        assert (first["vae"], first["error"], answer["reference"]) == (elsewhere.name, None, elsewhere.name)
        assert _pixels(first["picture"]) == expected.image.tobytes()
        assert f"VAE: {elsewhere.name}" in first["infotext"]
        assert second["figures"] is not None


def test_what_is_known_of_each_picture(webui: WebUI) -> None:
    batch = Picture(webui, batch_size=2, n_iter=2, seed=50)
    newest = held(webui)["list"][:4]
    assert [one["number"] for one in newest] == [0, 1, 2, 3]
    assert [f"Seed: {50 + number}," in one["infotext"] for number, one in enumerate(newest)] == [True] * 4
    assert newest[0]["infotext"] == batch.infotext
    assert {(*one["size"], one["tab"], one["tiling"], one["why_not"]) for one in newest} == {
        (64, 64, "txt2img", False, "")
    }
    Picture(webui, **HIRES, hr_upscaler="Lanczos", tiling=True)
    newest = held(webui)["list"][0]
    assert (newest["size"], newest["tiling"]) == ([128, 128], True)


def test_the_checkpoint_that_decoded(webui: WebUI) -> None:
    Picture(webui, **HIRES, hr_checkpoint_name="demo-b")
    newest = held(webui)["list"][0]
    assert newest["checkpoint"].endswith("demo-b.safetensors")
    assert compare(webui)["state"] == "done"
    Picture(webui)
    assert held(webui)["list"][0]["checkpoint"].endswith("demo-a.safetensors")


def test_taesd_decoded_what_was_seen(webui: WebUI) -> None:
    expected = Picture(webui, seed=9)
    assert webui.call("/sdapi/v1/options", {"sd_vae_decode_method": "TAESD"})[0] == 200
    try:
        rough = Picture(webui, seed=9)
        assert rough.pixels != expected.pixels
        assert held(webui)["list"][0]["note"] == "decoded-by-taesd"
        status, answer = webui.call("/vae-manager/api/compare", {"vaes": ["None"]})
    finally:
        webui.call("/sdapi/v1/options", {"sd_vae_decode_method": "Full"})
    assert status == 200
    first = answer["results"][0]
    assert _pixels(first["picture"]) == expected.image.tobytes()
    assert first["infotext"] == expected.infotext


def _pixels(png: str) -> bytes:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png))).tobytes()


def test_a_generation_that_fails_leaves_nothing_behind(webui: WebUI) -> None:
    Picture(webui)
    before = held(webui)["list"]
    assert Picture(webui, override_settings={"sd_vae": "bad.safetensors"}).status == 500
    assert held(webui)["list"] == before


def test_without_guards_nothing_is_kept(webui: WebUI) -> None:
    before = held(webui)["list"]
    assert webui.call("/sdapi/v1/options", {"vae_manager_guards": False})[0] == 200
    try:
        assert Picture(webui).status == 200
    finally:
        webui.call("/sdapi/v1/options", {"vae_manager_guards": True})
    assert held(webui)["list"] == before
