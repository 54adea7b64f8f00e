"""A VAE of its own for hires fix and for the refiner: pixels, infotext, and the VAE that is in use afterwards.

With an upscaler of latents or a refiner, the VAE is used for the final decode alone. The latents do not depend on it,
so the picture equals the one for which the VAE of the pass is chosen everywhere.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ..live.webui import Picture
from .stage import FROM_BUILTIN, FROM_FILE, Stage
from .ways import HIRES, REFINED

FROM_EACH = pytest.mark.parametrize("start", [FROM_FILE, FROM_BUILTIN])


@pytest.fixture
def latent(stage: Stage) -> dict[str, Any]:
    """Hires fix whose upscaler works on latents."""
    if "Latent" not in stage.webui.upscalers():
        pytest.skip("this WebUI lists no upscaler of latents")
    return {**HIRES, "hr_upscaler": "Latent"}


@pytest.fixture
def pixels(stage: Stage) -> dict[str, Any]:
    """Hires fix whose upscaler works on pictures."""
    return {**HIRES, "hr_upscaler": "Lanczos" if "Lanczos" in stage.webui.upscalers() else "None"}


def own(hires: str = "", refiner: str = "") -> dict[str, Any]:
    """The values of the accordion in a request through the API."""
    return {"alwayson_scripts": {"VAE": {"args": ["", hires, refiner]}}}


def refined(stage: Stage) -> dict[str, Any]:
    return {"refiner_checkpoint": stage.second, **REFINED}


def of_whole_picture(stage: Stage, start: str, name: str, asked: dict[str, Any]) -> Picture:
    """The picture of which every pass has this VAE."""
    stage.webui.choose(name)
    picture = stage.picture(**asked)
    stage.unknown()
    stage.begin(start)
    return picture


def field(picture: Picture, name: str) -> str | None:
    """The value of a field of the infotext."""
    _, found, after = picture.infotext.partition(f", {name}: ")
    return after.split(",")[0].split("\n")[0] if found else None


def pictures(stage: Stage, **asked: Any) -> list[Picture]:
    """The single pictures of a request, without a grid."""
    status, answer = stage.try_picture(**asked)
    assert status == 200, answer
    infotexts = json.loads(answer["info"])["infotexts"]
    images = [base64.b64decode(image) for image in answer["images"]]
    return [Picture.of(image, text) for image, text in zip(images, infotexts, strict=False)][-asked.get("n_iter", 1) :]


@FROM_EACH
@pytest.mark.parametrize("kind", ["hires", "refiner"])
def test_the_pass_is_decoded_by_its_own_vae(
    stage: Stage, start: str, kind: str, request: pytest.FixtureRequest
) -> None:
    stage.begin(start)
    asked = request.getfixturevalue("latent") if kind == "hires" else refined(stage)
    expected = of_whole_picture(stage, start, stage.b, asked)
    without = stage.picture(**asked)
    picture = stage.picture(**asked, **own(**{kind: stage.b}))
    assert picture.looks_like(expected)
    assert not picture.looks_like(without)
    assert picture.vae == stage.b
    assert field(picture, "Hires VAE" if kind == "hires" else "Refiner VAE") is not None
    assert field(picture, "Base VAE") == (stage.a if start == FROM_FILE else "None")
    stage.assert_as_before()


def test_the_checkpoints_own_is_one_of_them(stage: Stage, latent: dict[str, Any]) -> None:
    stage.begin(FROM_FILE)
    expected = of_whole_picture(stage, FROM_FILE, "None", latent)
    picture = stage.picture(**latent, **own(hires="None"))
    assert picture.looks_like(expected)
    assert picture.vae is None
    assert field(picture, "Hires VAE") == "None"
    stage.assert_as_before()


def test_an_upscaler_of_pictures_gets_the_picture_of_the_pass_before(stage: Stage, pixels: dict[str, Any]) -> None:
    stage.begin(FROM_FILE)
    whole = of_whole_picture(stage, FROM_FILE, stage.b, pixels)
    without = stage.picture(**pixels)
    picture = stage.picture(**pixels, **own(hires=stage.b))
    assert picture.vae == stage.b
    assert not picture.looks_like(whole)  # the first pass was decoded by a
    assert not picture.looks_like(without)
    assert picture.looks_like(stage.picture(**pixels, **own(hires=stage.b)))
    stage.assert_as_before()


def test_the_refiner_of_the_second_pass_decides(stage: Stage, latent: dict[str, Any]) -> None:
    stage.begin(FROM_BUILTIN)
    asked = {**latent, **refined(stage), "hr_second_pass_steps": 3}
    expected = of_whole_picture(stage, FROM_BUILTIN, stage.b, asked)
    both = stage.picture(**asked, **own(hires=stage.a, refiner=stage.b))
    assert both.vae == stage.b
    assert both.looks_like(expected)
    assert both.looks_like(stage.picture(**asked, **own(hires=stage.b)))
    stage.assert_as_before()


def test_a_refreshed_list_of_checkpoints_changes_nothing(stage: Stage) -> None:
    """Its entries are new objects, while a model that stayed in memory has the old one."""
    stage.begin(FROM_FILE, in_memory=2)
    asked = {**refined(stage), **own(refiner=stage.b)}
    before = stage.picture(**asked)
    stage.webui.post("/sdapi/v1/refresh-checkpoints")
    after = stage.picture(**asked)
    stage.unknown()
    assert (after.vae, after.looks_like(before)) == (stage.b, True)


def test_a_refiner_decodes_only_if_it_takes_over(stage: Stage) -> None:
    """The WebUI does not switch to the checkpoint that is loaded, unless its list was refreshed since."""
    stage.begin(FROM_FILE)
    asked = {**REFINED, "refiner_checkpoint": stage.first}
    without = stage.picture(**asked)
    picture = stage.picture(**asked, **own(refiner=stage.b))
    if field(without, "Refiner") is None:
        assert (picture.vae, picture.looks_like(without)) == (stage.a, True)
        assert field(picture, "Refiner VAE") is field(picture, "Base VAE") is None
    else:
        assert (picture.vae, picture.looks_like(without)) == (stage.b, False)


@pytest.mark.parametrize("wish", [7, None, ["x"], {"a": 1}, True])
def test_what_is_no_text_asks_for_none(stage: Stage, wish: object) -> None:
    stage.begin(FROM_FILE)
    asked = {"alwayson_scripts": {"VAE": {"args": [wish, wish, wish]}}}
    assert stage.picture(**asked).vae == stage.a
    stage.assert_as_before()


def test_each_batch_has_it(stage: Stage, latent: dict[str, Any]) -> None:
    stage.begin(FROM_FILE)
    mine = pictures(stage, **latent, n_iter=2, **own(hires=stage.b))
    stage.webui.choose(stage.b)
    stage.unknown()
    expected = pictures(stage, **latent, n_iter=2)
    assert [stage.webui.named(picture.infotext) for picture in mine] == [stage.b] * 2
    assert all(one.looks_like(other) for one, other in zip(mine, expected, strict=True))


@pytest.mark.parametrize("wish", ["Automatic", "Same as above", ""])
def test_no_wish_changes_nothing(stage: Stage, pixels: dict[str, Any], wish: str) -> None:
    stage.begin(FROM_FILE)
    without = stage.picture(**pixels)
    picture = stage.picture(**pixels, **own(hires=wish, refiner=wish))
    assert picture.looks_like(without)
    assert field(picture, "Hires VAE") is field(picture, "Base VAE") is None
    stage.assert_as_before()


@pytest.mark.parametrize("wish", ["gone.safetensors", "bad-cut.safetensors"])
@pytest.mark.usefixtures("bad_files")
def test_a_vae_that_cannot_be_used_leaves_the_picture_as_it_would_be(
    stage: Stage, pixels: dict[str, Any], wish: str
) -> None:
    stage.begin(FROM_FILE)
    for asked, words in ((pixels, {"hires": wish}), (refined(stage), {"refiner": wish})):
        without = stage.picture(**asked)
        picture = stage.picture(**asked, **own(**words))
        assert picture.looks_like(without)
        assert picture.vae == stage.a
        assert field(picture, "Hires VAE") is field(picture, "Base VAE") is field(picture, "Refiner VAE") is None
    stage.assert_as_before()


def test_an_override_is_the_vae_of_the_other_passes(stage: Stage, latent: dict[str, Any]) -> None:
    stage.begin(FROM_BUILTIN)
    override = {"override_settings": {"sd_vae": stage.c}}
    expected = of_whole_picture(stage, FROM_BUILTIN, stage.b, latent)
    picture = stage.picture(**latent, **override, **own(hires=stage.b))
    assert picture.looks_like(expected)
    assert (picture.vae, field(picture, "Base VAE")) == (stage.b, stage.c)
    stage.assert_as_before()


def test_params_txt_tells_of_it(stage: Stage, latent: dict[str, Any]) -> None:
    stage.begin(FROM_FILE)
    picture = stage.picture(**latent, **own(hires=stage.b))
    history = (stage.folder / "params.txt").read_text(encoding="utf-8")
    assert stage.webui.named(history) == picture.vae == stage.b
    assert f"Base VAE: {stage.a}" in history
    assert stage.picture().vae == stage.a
    history = (stage.folder / "params.txt").read_text(encoding="utf-8")
    assert stage.webui.named(history) == stage.a
    assert "Base VAE" not in history
