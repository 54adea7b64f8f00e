"""The last picture by other VAEs: to the bit what the WebUI makes with each of them chosen and the same seed again."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.wording import says

from ..live.webui import Picture, until
from .bad_files import BAD
from .stage import FROM_FILE, Stage
from .ways import HIRES

PATH = "/vae-manager/api/compare"
BUILTIN = "None"


@pytest.fixture(autouse=True)
def at_rest(stage: Stage) -> Iterator[None]:
    stage.begin(FROM_FILE)
    yield
    stage.assert_as_before()


def ask(stage: Stage, **asked: Any) -> tuple[int, Any]:
    return stage.webui.ask(PATH, asked)


def compared(stage: Stage, vaes: Sequence[str], **asked: Any) -> dict[str, Picture]:
    """By the VAE's name; nothing failed."""
    status, answer = ask(stage, vaes=vaes, **asked)
    assert status == 200, answer
    assert [result["error"] for result in answer["results"]] == [None] * len(answer["results"])
    return {result["vae"]: Picture.of(base64.b64decode(result["picture"])) for result in answer["results"]}


def four(stage: Stage) -> list[str]:
    return [stage.a, stage.b, stage.c, BUILTIN]


UPSCALED = {**HIRES, "hr_upscaler": "Latent"}
BY_PICTURES = {**HIRES, "hr_upscaler": "Lanczos"}
BY_RESIZING = {**HIRES, "hr_upscaler": "None"}
"""For a WebUI that lists no other upscaler of pictures without a model."""


@pytest.mark.parametrize("asked", [{}, UPSCALED, {"tiling": True}], ids=["plain", "hires, latent upscaler", "tiling"])
def test_bit_for_bit_what_the_webui_makes(stage: Stage, asked: dict[str, Any]) -> None:
    if asked.get("hr_upscaler") not in (None, *stage.webui.upscalers()):
        pytest.skip(f"this WebUI lists no upscaler {asked['hr_upscaler']!r}")
    expected = {vae: stage.picture(**asked, override_settings={"sd_vae": vae}) for vae in four(stage)}
    shown = stage.picture(**asked)
    assert shown.looks_like(expected[stage.a])
    stage.picture(seed=8)  # whose padding is not that of the one that is compared
    found = compared(stage, four(stage), infotext=shown.infotext)
    assert list(found) == four(stage)
    for vae, picture in found.items():
        assert picture.looks_like(expected[vae]), vae
        assert picture.infotext == expected[vae].infotext or _without_hash(picture) == _without_hash(expected[vae])
    assert len({picture.pixels for picture in found.values()}) == 4


def _without_hash(picture: Picture) -> str:
    """A file's hash may have become known in between."""
    return re.sub(r", VAE hash: \w+", "", picture.infotext)


def test_an_upscaler_of_pictures_decodes_twice_and_the_second_counts(stage: Stage) -> None:
    """Each VAE would give the second pass another picture to begin with: the one shown is compared."""
    shown = stage.picture(**(BY_PICTURES if "Lanczos" in stage.webui.upscalers() else BY_RESIZING))
    found = compared(stage, [stage.a, stage.b])
    assert found[stage.a].looks_like(shown)
    assert found[stage.b].size == shown.size
    assert not found[stage.b].looks_like(shown)


def test_img2img_gives_the_latents_that_made_the_shown_picture(stage: Stage) -> None:
    shown = stage.webui.picture_from(stage.picture())
    found = compared(stage, [stage.a, stage.b])
    assert found[stage.a].looks_like(shown)
    assert not found[stage.b].looks_like(shown)


def test_each_picture_of_a_batch(stage: Stage) -> None:
    for vae in (stage.a, stage.b):
        expected = pictures(stage, override_settings={"sd_vae": vae}, batch_size=2, n_iter=2, seed=50)
        assert len({one.pixels for one in expected}) == 4
        if vae == stage.a:
            shown = expected
    again = pictures(stage, batch_size=2, n_iter=2, seed=50)
    assert [one.pixels for one in again] == [one.pixels for one in shown]
    for place, one in enumerate(again):
        found = compared(stage, [stage.b], infotext=one.infotext)
        assert_same(stage, found[stage.a], one)
        assert_same(stage, found[stage.b], expected[place])


def assert_same(stage: Stage, one: Picture, other: Picture) -> None:
    """Bit for bit; where a WebUI decodes a batch in one go, a picture of it by itself is a rounding away."""
    away = 1 if stage.decodes_batches_at_once else 0
    assert one.size == other.size
    assert max(abs(ours - theirs) for ours, theirs in zip(one.pixels, other.pixels, strict=True)) <= away


def pictures(stage: Stage, **asked: Any) -> list[Picture]:
    """Those of a batch, without the grid."""
    status, answer = stage.try_picture(**asked)
    assert status == 200, answer
    count, texts = asked["batch_size"] * asked["n_iter"], json.loads(answer["info"])["infotexts"]
    pairs = zip(answer["images"][-count:], texts[-count:], strict=True)
    return [Picture.of(base64.b64decode(png), text) for png, text in pairs]


def png(picture: Picture, mode: str = "RGB") -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.frombytes("RGB", picture.size, picture.pixels).convert(mode).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_built_in_is_that_of_the_loaded_checkpoint(stage: Stage) -> None:
    shown = stage.picture()
    stage.checkpoint(stage.second)
    try:
        stage.picture()  # loads it, where a WebUI waits with that
        status, answer = ask(stage, vaes=[stage.b, BUILTIN], infotext=shown.infotext)
    finally:
        stage.checkpoint(stage.first)
    assert status == 200, answer
    told = {one["vae"]: (one["note"], one["infotext"]) for one in answer["results"]}
    note, infotext = told.pop(BUILTIN)
    names = {"loaded": f"{stage.second}.safetensors", "maker": f"{stage.first}.safetensors"}
    assert says(note, "other-builtin", **names)
    assert infotext is None
    assert [note for note, _ in told.values()] == [None, None]


def test_inpainting_says_why_not(stage: Stage) -> None:
    from PIL import Image, ImageDraw

    source = stage.picture(width=64, height=64)
    mask = Image.new("L", source.size)
    ImageDraw.Draw(mask).rectangle((8, 8, 31, 31), fill=255)
    file = io.BytesIO()
    mask.save(file, "PNG")
    stage.webui.picture_from(source, mask=base64.b64encode(file.getvalue()).decode())
    status, answer = ask(stage, vaes=[stage.b])
    assert status == 409
    assert answer["code"] == "inpainted"


def test_a_picture_that_is_sent_comes_back(stage: Stage) -> None:
    source = stage.picture(width=64, height=64)
    for encode in ("current", "each"):
        status, answer = ask(stage, picture=png(source), encode=encode, vaes=[stage.a, BUILTIN])
        assert (status, answer["reference"]) == (200, "original"), answer
        assert [result["vae"] for result in answer["results"]] == [stage.a, BUILTIN]
        for result in answer["results"]:
            picture = Picture.of(base64.b64decode(result["picture"]))
            assert picture.size == source.size
            assert result["figures"]["psnr"] > 0
    again = ask(stage, picture=png(source), encode="each", vaes=[stage.a, BUILTIN])[1]
    assert [one["picture"] for one in again["results"]] == [one["picture"] for one in answer["results"]]


def test_figures_and_words_are_against_the_one_in_use(stage: Stage) -> None:
    stage.picture()
    status, answer = ask(stage, vaes=[stage.b, stage.a])
    assert (status, answer["reference"]) == (200, stage.a)
    first, second = answer["results"]
    assert (first["vae"], first["figures"], first["words"]) == (stage.a, None, [])
    assert second["figures"]["psnr"] > 0
    assert second["words"]
    assert second["seconds"] > 0


@pytest.mark.usefixtures("bad_files")
def test_a_bad_candidate_is_told_and_stops_no_other(stage: Stage) -> None:
    shown = stage.picture()
    bad = sorted(stage.listed.intersection(bad.name for bad in BAD) - {"bad-locked.safetensors"})  # root may read it
    status, answer = ask(stage, vaes=[*bad, stage.b])
    assert status == 200, answer
    results = {result["vae"]: result for result in answer["results"]}
    assert Picture.of(base64.b64decode(results[stage.a]["picture"])).looks_like(shown)
    assert results[stage.b]["picture"] is not None
    assert [name for name in bad if not results[name]["error"]] == []
    assert all(len(results[name]["error"]) < 600 for name in bad)


def test_a_vae_that_is_not_there(stage: Stage) -> None:
    stage.picture()
    status, answer = ask(stage, vaes=["nowhere.safetensors"])
    assert status == 200
    assert answer["results"][1]["code"] == "not-listed"
    assert "nowhere.safetensors" in answer["results"][1]["error"]


def test_it_waits_for_a_running_generation(stage: Stage) -> None:
    long = stage.steps_of(3.0)
    shown = stage.picture()
    task = "task(comparison)"
    other = stage.another()
    thread = threading.Thread(target=lambda: other.picture(steps=long, force_task_id=task))
    thread.start()
    until(lambda: stage.webui.ask("/internal/progress", {"id_task": task})[1]["active"])
    found = compared(stage, [stage.b], infotext=shown.infotext)
    # The server's own word: the two answers reach this program in any order.
    generation = stage.webui.ask("/internal/progress", {"id_task": task})[1]
    thread.join()
    assert generation["completed"]
    assert not generation["active"]
    assert found[stage.a].looks_like(shown)


def test_two_at_once_take_their_turns(stage: Stage) -> None:
    stage.picture()
    answers: list[tuple[int, Any]] = []

    def asks(own: Stage) -> None:
        answers.append(ask(own, vaes=[own.b, own.c]))

    threads = [threading.Thread(target=asks, args=(stage.another(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 3
    shown = [[result["picture"] for result in answer["results"]] for _, answer in answers]
    assert shown[0] == shown[1] == shown[2]


def test_it_is_quick_to_say_no(stage: Stage) -> None:
    started = time.monotonic()
    for asked, wanted in (
        ({}, 400),
        ({"vaes": []}, 400),
        ({"vaes": "a"}, 400),
        ({"vaes": [1]}, 400),
        ({"vaes": ["None"], "encode": "twice"}, 400),
        ({"vaes": ["None"], "unknown": 1}, 400),
        ({"vaes": ["None"], "picture": "no picture"}, 400),
        ({"vaes": ["None"], "infotext": "no such"}, 404),
    ):
        status, answer = ask(stage, **asked)
        assert (status, list(answer)) == (wanted, ["error", "code"]), asked
    assert time.monotonic() - started < 10


def test_only_json_and_only_from_here(stage: Stage) -> None:
    session, url = stage.webui._session, stage.webui.url + PATH
    assert session.post(url, data='{"vaes": ["None"]}', headers={"Content-Type": "text/plain"}).status_code == 415
    assert session.post(url, data="{", headers={"Content-Type": "application/json"}).status_code == 400
    assert session.post(url, json={"vaes": ["None"]}, headers={"Origin": "http://elsewhere"}).status_code == 403
    assert session.post(url, json={"vaes": ["None"]}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert session.get(url).status_code == 405
