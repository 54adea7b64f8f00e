"""A comparison as a job of the service, and what is saved of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.failing import fails_with
from tests.webui.host import unfit
from tests.wording import templates, worded

pytest.importorskip("skimage")

from PIL import Image

from vae_manager.compare import Comparison, Encoder, State
from vae_manager.errors import DiskError, RefusedError
from vae_manager.messages import Message, msg
from vae_manager.service import Service
from vae_manager.webui.comparison_job import begin
from vae_manager.webui.hosts.host import ComparisonRequest
from vae_manager.webui.translation import Translator
from vae_manager.webui.ui.comparison_page import save, translator_of

from .comparing import INFOTEXT, PlainComparing, kept, slope

ENGLISH = Translator({})


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "data")


@pytest.fixture
def comparing(tmp_path: Path) -> PlainComparing:
    return PlainComparing(tmp_path / "saved", ["a.safetensors", "bad.safetensors"])


def done(comparing: PlainComparing, service: Service, wanted: ComparisonRequest) -> Comparison:
    id = begin(comparing, service, wanted, "a house")
    service.comparing.wait(id)
    found = service.comparisons.get(id)
    assert found is not None
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_results_figures_and_words(comparing: PlainComparing, service: Service) -> None:
    found = done(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors", "bad.safetensors"]))
    assert (found.state, found.error) == (State.DONE, None)
    own, other, bad = found.results
    assert [one.decoded.vae for one in found.results] == ["None", "a.safetensors", "bad.safetensors"]
    assert (own.figures, own.findings) == (None, ())
    assert other.figures is not None
    assert other.findings[0].code == "brighter"
    assert bad.decoded.error == unfit("bad.safetensors")
    assert other.infotext is not None
    assert "VAE: a.safetensors" in other.infotext


[OTHER_LATENTS] = templates("other-picture")
[REFERENCE_WRONG] = templates("reference-of-other-latents")
[ONE_OF_TWO] = templates("one-of-other-latents")
[NO_REFERENCE] = templates("no-reference")
UNFIT_REFERENCE = worded("other-latents")


def said_of(found: Comparison) -> dict[str, str]:
    return {result.decoded.vae: translator_of(result, found, ENGLISH) for result in found.results}


def test_a_wrong_vae_in_use_is_what_does_not_fit(tmp_path: Path, service: Service) -> None:
    vaes = ["foreign.safetensors", "None", "a.safetensors"]
    comparing = PlainComparing(tmp_path / "saved", vaes, in_use=vaes[0])
    found = done(comparing, service, ComparisonRequest(kept("1"), [vaes[0], "a.safetensors", "None"]))
    assert said_of(found) == {
        "foreign.safetensors": f"reference, {UNFIT_REFERENCE}",
        "a.safetensors": REFERENCE_WRONG,
        "None": REFERENCE_WRONG,
    }


def test_a_wrong_vae_among_others_is_what_does_not_fit(tmp_path: Path, service: Service) -> None:
    vaes = ["a.safetensors", "foreign.safetensors"]
    comparing = PlainComparing(tmp_path / "saved", vaes, in_use=vaes[0])
    found = said_of(done(comparing, service, ComparisonRequest(kept("1"), [vaes[0], "None", vaes[1]])))
    assert (found["a.safetensors"], found["foreign.safetensors"]) == ("reference", OTHER_LATENTS)
    assert OTHER_LATENTS not in found["None"]


@pytest.mark.parametrize("foreign", [None, msg("It is another checkpoint's.")])
def test_without_the_own_vae_of_the_checkpoint_nothing_tells_which_one_is_wrong(
    tmp_path: Path, service: Service, foreign: Message | None
) -> None:
    vaes = ["foreign.safetensors", "a.safetensors"]
    comparing = PlainComparing(tmp_path / "saved", vaes, in_use=vaes[0])
    comparing.foreign = foreign
    wanted = vaes if foreign is None else [*vaes, "None"]
    found = said_of(done(comparing, service, ComparisonRequest(kept("1"), wanted)))
    assert found["foreign.safetensors"] == "reference"
    assert found["a.safetensors"] == ONE_OF_TWO


def test_without_the_picture_of_the_one_in_use_nothing_is_measured(tmp_path: Path, service: Service) -> None:
    vaes = ["bad.safetensors", "a.safetensors", "b.safetensors"]
    comparing = PlainComparing(tmp_path / "saved", vaes, in_use="bad.safetensors")
    found = done(comparing, service, ComparisonRequest(kept("1"), vaes))
    assert (found.reference, found.lacks_reference) == ("bad.safetensors", True)
    for one in found.results[1:]:
        assert (one.figures, one.findings) == (None, ())
        assert translator_of(one, found, ENGLISH) == NO_REFERENCE


def test_an_original_is_the_reference(comparing: PlainComparing, service: Service) -> None:
    found = done(comparing, service, ComparisonRequest(Encoder(slope(40, 50), False), ["a.safetensors"]))
    [one] = found.results
    assert one.figures is not None
    assert found.original is not None
    assert one.infotext is None


def test_results_come_one_by_one_and_can_be_stopped(comparing: PlainComparing, service: Service) -> None:
    comparing.gate.clear()
    id = begin(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors"]), "a house")

    def now() -> Comparison:
        found = service.comparisons.get(id)
        assert found is not None
        return found

    until(lambda: now().step is not None)
    assert (now().state, now().results, now().step) == (State.RUNNING, (), (0, 2, "None"))
    service.comparing.stop(id)
    comparing.gate.set()
    service.comparing.wait(id)
    assert now().state is State.STOPPED


def test_the_second_says_what_it_waits_for(comparing: PlainComparing, service: Service) -> None:
    comparing.gate.clear()
    comparing.waiting_for = msg("Busy.")
    begin(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors"]), "first")
    second = begin(comparing, service, ComparisonRequest(kept("2"), ["a.safetensors"]), "second")
    found = service.comparisons.get(second)
    assert found is not None
    assert (found.state, found.waits_for and found.waits_for.code) == (State.WAITING, "comparison-before")
    service.comparing.stop(second)
    until(lambda: (seen := service.comparisons.get(second)) is not None and seen.state is State.STOPPED)
    comparing.gate.set()


def test_what_cannot_be_compared_says_so_at_once(comparing: PlainComparing, service: Service) -> None:
    with pytest.raises(RefusedError, match="inpainting"):
        begin(comparing, service, ComparisonRequest(kept("1", why_not=msg("inpainting")), ["a.safetensors"]), "a house")
    assert service.comparisons.all() == ()


def test_the_lane_holds_no_pictures(comparing: PlainComparing, service: Service) -> None:
    ids = [begin(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors"]), "a") for _ in range(12)]
    for id in ids:
        service.comparing.wait(id)
    assert [service.comparisons.get(id) is not None for id in ids] == [False] * 6 + [True] * 6
    for job in service.comparing._jobs.values():
        assert job.work.__self__._now.nbytes == 0  # type: ignore[attr-defined]


def test_saved_pixels_infotext_and_sheet(comparing: PlainComparing, service: Service, tmp_path: Path) -> None:
    found = done(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors", "bad.safetensors"]))
    paths = save(comparing, found, ENGLISH, "a house")
    assert [path.name for path in paths] == ["vae-00001-Built-in.png", "vae-00001-a.png", "vae-00001-comparison.png"]
    for path, result in zip(paths[:2], found.results, strict=False):
        with Image.open(path) as image:
            assert result.decoded.pixels is not None
            assert np.array_equal(np.asarray(image), result.decoded.pixels)
    with Image.open(paths[0]) as image:
        assert image.info["parameters"] == INFOTEXT
    with Image.open(paths[1]) as image:
        assert "Model: demo, VAE hash: 0123456789, VAE: a.safetensors, Version" in image.info["parameters"]
    assert save(comparing, found, ENGLISH, "a house")[0].name == "vae-00002-Built-in.png"


def test_files_of_vaes_with_one_name_are_told_apart(service: Service, tmp_path: Path) -> None:
    vaes = ["x.ckpt", "x.safetensors", "X.pt", "built-in.pt", "comparison.pt", "y.pt"]
    comparing = PlainComparing(tmp_path / "saved", vaes)
    found = done(comparing, service, ComparisonRequest(kept("1"), vaes))
    names = [path.name.removeprefix("vae-00001-") for path in save(comparing, found, ENGLISH, "a house")]
    expected = ["Built-in", *vaes[:-1], "y", "comparison"]
    assert names == [f"{name}.png" for name in expected]


def test_of_another_checkpoints_built_in_no_infotext_is_told(service: Service, tmp_path: Path) -> None:
    comparing = PlainComparing(tmp_path / "saved", ["a.safetensors"])
    comparing.foreign = msg("Not the VAE of {loaded}.", loaded="other.safetensors")
    found = done(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors"]))
    assert [one.infotext is None for one in found.results] == [True, False]
    paths = save(comparing, found, ENGLISH, "a house")
    with Image.open(paths[0]) as own, Image.open(paths[1]) as other:
        assert "parameters" not in own.info
        assert "VAE: a.safetensors" in other.info["parameters"]


def test_a_folder_that_cannot_be_written(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    comparing = PlainComparing(tmp_path / "file" / "saved", ["a.safetensors"])
    found = done(comparing, service, ComparisonRequest(kept("1"), ["a.safetensors"]))
    with fails_with(DiskError, "not-writable"):
        save(comparing, found, ENGLISH, "a house")
