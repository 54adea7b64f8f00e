"""The VAE of a single pass on the running WebUI, against an independent decode and encode of what each pass received.

A small extension keeps what goes into each final decode and each encode, and what comes out. The project's own network
computes the same from the VAE file's weights, in 32 bits.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ..guards.fixtures import *  # noqa: F403
from ..guards.stage import FROM_BUILTIN, FROM_FILE, Stage
from ..guards.test_pass_vaes import field, latent, own, pixels, refined  # noqa: F401
from ..guards.ways import HIRES
from .test_guards import stage  # noqa: F401
from .webui import Picture, WebUI

pytestmark = pytest.mark.live

PROBE: Final = "a-vae-manager-live-probe"
"""The first extension by its name, so that its layers are the innermost."""
PROBE_SCRIPT: Final = """
import itertools
import pathlib
import torch
from modules import processing

kept = pathlib.Path(__file__).parents[1] / "kept"
numbers = itertools.count()

def keep(kind, taken, given):
    given = torch.stack([torch.as_tensor(one) for one in given]).float().cpu()
    values = {"kind": kind, "taken": taken.detach().float().cpu(), "given": given}
    partial = kept / "partial"
    torch.save(values, partial)
    partial.rename(kept / f"{next(numbers):06}.pt")

def wrap(name, kind, position):
    original = getattr(processing, name)
    def layer(*args, **kwargs):
        taken = args[position].clone()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            given = original(*args, **kwargs)
        keep(kind, taken, given)
        return given
    setattr(processing, name, layer)

wrap("decode_latent_batch", "decode", 1)
wrap("images_tensor_to_samples", "encode", 0)
"""
SEED: Final = 1234
"""An encode draws its latent at random; the extension makes it draw the same noise at each call."""
SCALE: Final = 0.18215
CLOSE: Final = 0.5 / 255
"""Of the floats of 0 … 1, before they are rounded to pixels."""


@dataclass(frozen=True)
class Call:
    """Input and output of a final decode (latents to pictures in -1 … 1) or an encode (in 0 … 1)."""

    kind: str
    taken: Any
    given: Any


@dataclass(frozen=True)
class Probe:
    stage: Stage
    kept: Path

    def picture(self, **asked: Any) -> tuple[Picture, list[Call]]:
        """A picture, and the calls in it."""
        import torch

        for path in self.kept.iterdir():
            path.unlink()
        picture = self.stage.picture(**asked)
        return picture, [Call(**torch.load(path)) for path in sorted(self.kept.glob("*.pt"))]

    def away(self, call: Call, vae: str) -> float:
        """The largest difference of the call's result from that of the file's weights: of a decode in parts of the
        whole range of a pixel, of an encode in standard deviations of the latents."""
        import torch

        from vae_manager.compare.standalone_vae import model_of

        network: Any = model_of(self.stage.vaes / vae, torch.device("cpu")).module
        with torch.inference_mode():
            if call.kind == "decode":
                expected = (network.decode_raw(call.taken / SCALE) / 2 + 0.5).clamp(0, 1)
                given = (call.given / 2 + 0.5).clamp(0, 1)
            else:
                noise = torch.Generator().manual_seed(SEED)
                expected = network.posterior(call.taken * 2 - 1).sample(noise) * SCALE
                given = call.given
        assert given.shape == expected.shape
        return float((given - expected).abs().max())

    def assert_made_by(self, call: Call, vae: str, *others: str) -> None:
        """Made with the file's weights, and not with those of the others."""
        away = self.away(call, vae)
        print(f"{call.kind} {tuple(call.taken.shape)} by {vae}: {255 * away:.4f}/255 away from the network's")
        assert away < CLOSE
        assert all(self.away(call, other) > 10 * CLOSE for other in others)

    def assert_shown(self, picture: Picture, call: Call) -> None:
        """The picture is that of this decode."""
        import numpy

        values = 255 * (call.given[-1] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
        seen = numpy.frombuffer(picture.pixels, "uint8").reshape(values.shape)
        assert numpy.abs(values - seen).max() <= 1
        assert seen.std() > 10


@pytest.fixture(scope="module")
def probe(stage: Stage, webui: WebUI, folder: Path) -> Iterator[Probe]:  # noqa: F811
    if webui.restart_command is None:
        pytest.skip("needs a way to restart the WebUI: --restart-command CMD")
    pytest.importorskip("torch")
    home = folder / "extensions" / PROBE
    script, kept = home / "scripts" / "probe.py", home / "kept"
    script.parent.mkdir(parents=True, exist_ok=True)
    kept.mkdir(exist_ok=True)
    script.write_text(PROBE_SCRIPT.replace("SEED", str(SEED)), encoding="utf-8")
    try:
        webui.restart()
        stage.unknown()
        yield Probe(stage, kept)
    finally:
        shutil.rmtree(home)
        webui.restart()
        stage.unknown()


def test_hires_fix_with_an_upscaler_of_pictures(probe: Probe, pixels: dict[str, Any]) -> None:  # noqa: F811
    """The base pass decodes by one VAE; the pass of hires fix encodes and decodes by the other."""
    a, b = probe.stage.a, probe.stage.b
    probe.stage.begin(FROM_FILE)
    picture, calls = probe.picture(**pixels, **own(hires=b))
    assert [call.kind for call in calls] == ["decode", "encode", "decode"]
    base, encode, final = calls
    probe.assert_made_by(base, a, b)
    probe.assert_made_by(encode, b, a)
    probe.assert_made_by(final, b, a)
    probe.assert_shown(picture, final)
    assert (picture.vae, field(picture, "Base VAE")) == (b, a)
    probe.stage.assert_as_before()


def test_hires_fix_with_an_upscaler_of_latents(probe: Probe, latent: dict[str, Any]) -> None:  # noqa: F811
    probe.stage.begin(FROM_FILE)
    picture, calls = probe.picture(**latent, **own(hires=probe.stage.b))
    assert [call.kind for call in calls] == ["decode"]
    probe.assert_made_by(calls[0], probe.stage.b, probe.stage.a)
    probe.assert_shown(picture, calls[0])
    probe.stage.assert_as_before()


@pytest.mark.parametrize("start", [FROM_FILE, FROM_BUILTIN])
def test_the_refiner(probe: Probe, start: str) -> None:
    probe.stage.begin(start)
    picture, calls = probe.picture(**refined(probe.stage), **own(refiner=probe.stage.b))
    assert [call.kind for call in calls] == ["decode"]
    probe.assert_made_by(calls[0], probe.stage.b, probe.stage.a)
    probe.assert_shown(picture, calls[0])
    probe.stage.assert_as_before()


def test_without_a_wish_the_chosen_vae_makes_all_passes(probe: Probe, pixels: dict[str, Any]) -> None:  # noqa: F811
    """Without a VAE for a pass, all calls use the same VAE: the comparison of the other tests is valid."""
    probe.stage.begin(FROM_FILE)
    picture, calls = probe.picture(**pixels)
    for call in calls:
        probe.assert_made_by(call, probe.stage.a, probe.stage.b)
    probe.assert_shown(picture, calls[-1])


def test_two_pictures_of_a_batch(probe: Probe) -> None:
    """Each of both batches has two pictures."""
    upscaler = "Lanczos" if "Lanczos" in probe.stage.webui.upscalers() else "None"
    probe.stage.begin(FROM_FILE)
    asked = {**HIRES, "hr_upscaler": upscaler, "batch_size": 2, "n_iter": 2}
    _, calls = probe.picture(**asked, **own(hires=probe.stage.b))
    assert [call.kind for call in calls] == ["decode", "encode", "decode"] * 2
    for base, _, final in (calls[:3], calls[3:]):
        assert len(base.taken) == len(final.taken) == 2
        probe.assert_made_by(base, probe.stage.a, probe.stage.b)
        probe.assert_made_by(final, probe.stage.b, probe.stage.a)
    probe.stage.assert_as_before()
