"""A final decode that fails is done again: the picture is that of an independent decode in 32 bits, and the model is as
it was."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.wording import says

from ..live.webui import Picture, until
from ..vaes import autoencoder
from .rescue_inside import install_rescue
from .stage import Stage

TOLERANCE = 1
"""Levels of 255: both decode in 32 bits, and a WebUI's own arithmetic may differ by a rounding."""
OPTION = "vae_manager_rescue"
NETWORKS = (autoencoder.TINY, autoencoder.SD1)
"""Those of the stand-ins' VAEs and of real ones."""
FIRST = "decoder.conv_in.weight"
DTYPES = {"torch.float16": "fp16", "torch.bfloat16": "bf16"}


@pytest.fixture(scope="module")
def here(
    starts_stage: Callable[[Path], AbstractContextManager[Stage]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A stage of these tests alone, since they break its model."""
    data = tmp_path_factory.mktemp("rescue")
    install_rescue(data)
    with starts_stage(data) as started:
        yield started


@pytest.fixture(autouse=True)
def at_rest(here: Stage) -> Iterator[None]:
    here.webui.set(sd_vae=here.a)
    here.webui.set(**{OPTION: True, "sd_vae_decode_method": "Full"})
    here.picture()
    _ = here.loads_any_layout  # found by a picture: here, not under a fault
    yield
    plant(here, "none")


def plant(stage: Stage, fault: str) -> dict[str, Any]:
    return dict(stage.webui.post("/rescue/plant", {"fault": fault}))


def expected(stage: Stage, file: Path | None = None) -> list[bytes]:
    """The pixels of each of the last latents, by a file or by the weights in the model, in 32 bits by the project's own
    network in this process."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.pt"
        stage.webui.post("/rescue/keep", {"file": str(kept)})
        latents, weights = torch.load(kept).values()
    if file is not None:
        weights = {name: tensor.float() for name, tensor in autoencoder.load_file(file).items()}
    network = autoencoder.AutoencoderKL(next(one for one in NETWORKS if one.widths[-1] == len(weights[FIRST])))
    network.load_state_dict(weights)
    with torch.no_grad():
        made = network.decode_raw(latents / autoencoder.SCALE)
    levels = 255.0 * torch.clamp((made + 1.0) / 2.0, min=0.0, max=1.0)
    return [one.tobytes() for one in levels.permute(0, 2, 3, 1).numpy().astype("uint8")]


def largest(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    return max(abs(ours - theirs) for ours, theirs in zip(one, other, strict=True))


def told(stage: Stage, code: str, **fields: object) -> bool:
    return says(stage.status(), code, **fields)


@pytest.fixture
def no_fallback(here: Stage) -> Iterator[None]:
    """A1111's own fallback after NaN is off: it raises."""
    if here.loads_any_layout:
        yield
        return
    here.webui.set(auto_vae_precision=False)
    yield
    here.webui.set(auto_vae_precision=True)


def test_good_pictures_are_the_same_with_and_without_it(here: Stage) -> None:
    plant(here, "none")
    on = [here.picture(), *pictures(here, batch_size=3)]
    here.webui.set(**{OPTION: False})
    off = [here.picture(), *pictures(here, batch_size=3)]
    assert [one.pixels for one in on] == [one.pixels for one in off]
    assert [one.infotext for one in on] == [one.infotext for one in off]


@pytest.mark.usefixtures("no_fallback")
def test_an_overflow_in_16_bits_is_decoded_in_32(here: Stage) -> None:
    before = plant(here, "overflow")
    shown = here.picture()
    assert largest(shown.pixels, expected(here)[0]) <= TOLERANCE
    assert len(set(shown.pixels)) > 20
    assert shown.vae == here.a
    assert here.webui.get("/rescue/state") == before
    assert told(here, "rescued", vae=here.a, before=DTYPES[before["dtypes"][0]], by=here.a, now="fp32")
    again = here.picture()
    assert again.looks_like(shown)
    plant(here, "none")
    here.picture()
    assert not told(here, "rescued")


@pytest.mark.usefixtures("no_fallback")
def test_each_picture_of_a_batch_is_decoded_in_32(here: Stage) -> None:
    plant(here, "overflow")
    shown = pictures(here, batch_size=2)
    assert max(largest(one.pixels, other) for one, other in zip(shown, expected(here), strict=True)) <= TOLERANCE
    assert [one.vae for one in shown] == [here.a, here.a]


@pytest.mark.usefixtures("no_fallback")
def test_an_overflow_of_img2img_is_decoded_in_32(here: Stage) -> None:
    source = here.picture()
    plant(here, "overflow")
    shown = here.webui.picture_from(source, width=source.size[0], height=source.size[1])
    assert largest(shown.pixels, expected(here)[0]) <= TOLERANCE
    assert (shown.vae, len(set(shown.pixels)) > 20) == (here.a, True)
    assert told(here, "rescued", vae=here.a, by=here.a, now="fp32")


@pytest.mark.usefixtures("no_fallback")
def test_both_decodes_of_hires_fix_are_done_in_32(here: Stage) -> None:
    small = here.picture()
    plant(here, "overflow")
    shown = hires(here)
    assert shown.size == tuple(2 * side for side in small.size)
    assert largest(shown.pixels, expected(here)[0]) <= TOLERANCE
    assert (shown.vae, len(set(shown.pixels)) > 20) == (here.a, True)


@pytest.mark.usefixtures("no_fallback")
def test_damaged_weights_in_the_model_are_read_anew(here: Stage) -> None:
    good = here.picture()
    before = plant(here, "nan-weight")
    shown = here.picture()
    assert largest(shown.pixels, good.pixels) <= TOLERANCE
    assert largest(shown.pixels, expected(here, here.vaes / here.a)[0]) <= TOLERANCE
    assert shown.vae == here.a
    assert here.webui.get("/rescue/state") == before


def test_a_black_picture_is_decoded_by_the_checkpoints_own_vae(here: Stage) -> None:
    builtin = here.picture(override_settings={"sd_vae": "None"})
    here.picture()
    before = plant(here, "black")
    shown = here.picture()
    assert largest(shown.pixels, builtin.pixels) <= TOLERANCE
    assert (shown.vae, shown.vae_hash) == (None, None)
    assert here.webui.get("/rescue/state") == before
    assert told(here, "rescued", vae=here.a, by="Built-in")
    for one in pictures(here, batch_size=2, n_iter=2):
        assert (one.vae, len(set(one.pixels)) > 20) == (None, True)
    plant(here, "none")
    good = here.picture()
    assert good.vae == here.a


def test_a_picture_that_is_black_by_right_stays(here: Stage) -> None:
    """By its own VAE, and under its name."""
    before = plant(here, "meant")
    shown = here.picture()
    assert set(shown.pixels) == {0}
    assert shown.vae == here.a
    assert not told(here, "rescued")
    assert here.webui.get("/rescue/state") == before


def test_nan_in_a_corner_is_nan(here: Stage) -> None:
    """A1111 looks at the first number alone. No VAE does better here, so its own result stands, with a sentence."""
    before = plant(here, "part")
    here.picture()
    assert told(here, "rescue-failed", vae=here.a)
    assert here.webui.get("/rescue/state") == before


def test_one_broken_picture_of_a_batch_is_decoded_again(here: Stage) -> None:
    asked = {"batch_size": 3, "n_iter": 2}
    good = pictures(here, **asked)
    before = plant(here, "once")
    shown = pictures(here, **asked)
    assert max(largest(one.pixels, other.pixels) for one, other in zip(shown[1:], good[1:], strict=True)) <= TOLERANCE
    assert [one.vae for one in shown] == [None, *[here.a] * 5]
    assert len(set(shown[0].pixels)) > 20
    assert here.webui.get("/rescue/state") == before


def test_an_error_in_the_middle_of_a_rescue_leaves_the_model_as_it_was(here: Stage) -> None:
    before = plant(here, "middle")
    here.picture()
    assert told(here, "broken-edge")
    assert here.webui.get("/rescue/state") == before
    plant(here, "none")
    assert len(set(here.picture().pixels)) > 20


def test_want_of_memory_is_over_at_the_second_try(here: Stage) -> None:
    good = here.picture()
    before = plant(here, "memory")
    shown = here.picture()
    assert shown.looks_like(good)
    assert here.webui.get("/rescue/state") == before
    assert told(here, "rescued", by=here.a)


def test_a_batch_for_which_the_memory_does_not_suffice(here: Stage) -> None:
    good = pictures(here, batch_size=3)
    plant(here, "batch")
    shown = pictures(here, batch_size=3)
    for one, other in zip(shown, good, strict=True):
        assert largest(one.pixels, other.pixels) <= TOLERANCE
        assert one.infotext == other.infotext
    if here.decodes_batches_at_once:
        assert told(here, "rescue-one-by-one")


def test_tiles_are_the_last_resort_for_memory(here: Stage) -> None:
    asked = {"width": 256, "height": 192}
    good = here.picture(**asked)
    before = plant(here, "no-memory")
    shown = here.picture(**asked)
    assert shown.size == (256, 192)
    mean = sum(abs(a - b) for a, b in zip(shown.pixels, good.pixels, strict=True)) / len(good.pixels)
    assert 0 < mean < 8
    assert here.webui.get("/rescue/state") == before
    assert told(here, "tiled")


@pytest.mark.usefixtures("no_fallback")
def test_a_latent_with_nan_is_not_decoded_again(here: Stage) -> None:
    before = plant(here, "latent")
    status, _ = here.try_picture()
    assert status == (200 if here.loads_any_layout else 500)
    assert told(here, "rescue-latent")
    assert here.webui.get("/rescue/state") == before


@pytest.mark.usefixtures("no_fallback")
def test_a_lost_latent_of_a_batch_costs_no_other_picture(here: Stage) -> None:
    asked = {"batch_size": 2}
    good = pictures(here, **asked)
    plant(here, "first")
    status, answer = here.try_picture(**asked)
    assert told(here, "rescue-latent")
    shown = [Picture.of(base64.b64decode(png)) for png in answer["images"][-2:]]
    assert (status, len(set(shown[0].pixels))) == (200, 1)
    assert shown[1].pixels == good[1].pixels


def test_a_fault_of_its_own_loses_no_picture(here: Stage) -> None:
    good = here.picture()
    plant(here, "own")
    assert here.picture().looks_like(good)
    assert told(here, "broken-edge")


def test_a_file_that_the_catalogue_knows_is_taken_where_the_checkpoints_own_vae_fails(here: Stage) -> None:
    file = here.vaes / here.b
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    lines = ("id: known-good", "name: Known", "family: sd1", f"sha256: {sha256}", f"source: hub:me/vaes/{here.b}")
    catalogue = here.folder / "vae-manager" / "catalogue.yaml"
    catalogue.write_text("- " + "\n  ".join(lines) + "\n", encoding="utf-8")
    other = here.picture(override_settings={"sd_vae": here.b})  # its hash becomes known
    until(lambda: here.picture(override_settings={"sd_vae": here.b}).vae_hash)
    here.webui.set(sd_vae="None")
    here.picture()
    plant(here, "black")
    shown = here.picture()
    assert (shown.vae, shown.vae_hash) == (here.b, sha256[:10])
    assert largest(shown.pixels, other.pixels) <= TOLERANCE
    assert told(here, "rescued", vae="Built-in", by=here.b)


def test_switched_off_the_picture_stays_black(here: Stage) -> None:
    here.webui.set(**{OPTION: False})
    plant(here, "black")
    assert len(set(here.picture().pixels)) == 1


@pytest.mark.usefixtures("no_fallback")
def test_switched_off_an_overflow_gives_no_picture(here: Stage) -> None:
    """A1111 raises, the others show one colour alone."""
    plant(here, "overflow")
    here.webui.set(**{OPTION: False})
    status, answer = here.try_picture()
    assert status == (200 if here.loads_any_layout else 500), answer
    if status == 200:
        assert len(set(Picture.of(base64.b64decode(answer["images"][0])).pixels)) == 1
    here.webui.set(**{OPTION: True})
    assert len(set(here.picture().pixels)) > 20


def test_an_interrupted_picture_is_left_alone(here: Stage) -> None:
    long = here.steps_of(3.0)
    plant(here, "black")
    task, other, shown = "task(rescue)", here.another(), []
    thread = threading.Thread(target=lambda: shown.append(other.picture(steps=long, force_task_id=task)))
    thread.start()
    until(lambda: here.webui.ask("/internal/progress", {"id_task": task})[1]["active"])
    here.webui.ask("/sdapi/v1/interrupt")
    thread.join()
    assert len(set(shown[0].pixels)) == 1
    assert not told(here, "rescued")


def test_a_picture_of_taesd_is_left_alone(here: Stage) -> None:
    """The NaN that TAESD gives for such a latent is an error of A1111's own, which no VAE is blamed for."""
    here.webui.set(sd_vae_decode_method="TAESD")
    try:
        plant(here, "latent")
        status, answer = here.try_picture()
        assert status == (200 if here.loads_any_layout else 500), answer
        if status == 500:
            assert (answer["error"], says(str(answer["errors"]), "nan-in-dtype")) == ("NansException", False)
        assert not told(here, "rescue-latent")
    finally:
        plant(here, "none")
        here.webui.set(sd_vae_decode_method="Full")


def test_the_first_pass_of_hires_fix_is_rescued_too(here: Stage) -> None:
    plant(here, "black")
    shown = hires(here)
    assert len(set(shown.pixels)) > 20
    assert shown.vae is None


def hires(stage: Stage) -> Picture:
    """A picture by hires fix with an upscaler of pictures: its first pass is decoded too."""
    asked = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 1, "denoising_strength": 0.7}
    return stage.picture(**asked, hr_upscaler="Lanczos" if "Lanczos" in stage.webui.upscalers() else "None")


def pictures(stage: Stage, **asked: Any) -> list[Picture]:
    """Those of a batch, without the grid."""
    names = stage.known_picture().names
    status, answer = stage.try_picture(**asked)
    assert status == 200, answer
    count, texts = asked["batch_size"] * asked.get("n_iter", 1), json.loads(answer["info"])["infotexts"]
    made = [Picture.of(base64.b64decode(png)) for png in answer["images"][-count:]]
    return [replace(one, infotext=text, names=names) for one, text in zip(made, texts[-count:], strict=True)]


@pytest.fixture
def by_hand(here: Stage) -> Iterator[None]:
    """Nothing is rescued unless somebody asks."""
    here.webui.set(**{OPTION: False})
    yield
    here.webui.set(**{OPTION: True})


def asked(here: Stage, **question: Any) -> list[dict[str, Any]]:
    status, answer = here.webui.ask("/vae-manager/v1/rescue", question)
    assert status == 200, answer
    return list(answer["results"])


@pytest.mark.usefixtures("by_hand")
def test_a_black_picture_is_rescued_when_asked_for(here: Stage) -> None:
    builtin = here.picture(override_settings={"sd_vae": "None"})
    before = plant(here, "black")
    black = here.picture()
    here.picture(seed=9)
    assert len(set(black.pixels)) == 1
    failed, rescued = asked(here, infotext=black.infotext)
    assert (failed["vae"], rescued["vae"]) == (here.a, "None")
    found = Picture.of(base64.b64decode(rescued["picture"]))
    assert largest(found.pixels, builtin.pixels) <= TOLERANCE
    assert found.vae is None
    assert here.webui.get("/rescue/state") == before


@pytest.mark.usefixtures("by_hand")
def test_damaged_weights_are_read_anew_when_asked_for(here: Stage) -> None:
    good = here.picture()
    before = plant(here, "nan-weight")
    [rescued] = asked(here)
    assert (rescued["vae"], rescued["error"]) == (here.a, None)
    assert largest(Picture.of(base64.b64decode(rescued["picture"])).pixels, good.pixels) <= TOLERANCE
    assert here.webui.get("/rescue/state") == before


@pytest.mark.usefixtures("by_hand")
def test_a_good_picture_stays_when_asked_for(here: Stage) -> None:
    good = here.picture()
    [rescued] = asked(here)
    assert Picture.of(base64.b64decode(rescued["picture"])).looks_like(good)


@pytest.mark.parametrize("question", [[], {"vaes": []}, {"infotext": 1}])
def test_a_wrong_question_is_refused(here: Stage, question: Any) -> None:
    assert here.webui.ask("/vae-manager/v1/rescue", question)[0] == 400
