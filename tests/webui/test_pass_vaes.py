"""The VAE of a single pass is removed after the pass, also after an error. The host is a stand-in that keeps a path."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from vae_manager.choice import Choice
from vae_manager.errors import RefusedError
from vae_manager.messages import msg
from vae_manager.webui.hosts.common.pass_vaes import PassVaes


class Broken(Exception):
    """Raised in the middle of a pass."""


def checkpoint(name: str) -> Any:
    """A new object each time, as after the WebUI has refreshed its list."""
    return SimpleNamespace(filename=f"/checkpoints/{name}")


class Host:
    """A model that holds the path of a VAE. `bad` cannot be put in."""

    def __init__(self) -> None:
        self.loaded = SimpleNamespace(sd_checkpoint_info=checkpoint("one"), path="/vae/base")
        self.vae = SimpleNamespace(path=lambda model: model.path)
        self.bad: set[str | None] = {"/vae/bad"}
        self.named: list[str | None] = []

    def model(self) -> Any:
        return self.loaded

    def path_of(self, choice: Choice) -> str:
        return f"/vae/{choice.word}"

    def put_for_picture(self, model: Any, path: str | None) -> None:
        if path in self.bad:
            raise RefusedError(msg("Cannot be put in.", code="cannot"))
        model.path = path

    def name_decoder(self, p: Any) -> None:
        p.sd_vae_name = self.loaded.path
        self.named.append(self.loaded.path)


def generation(**fields: Any) -> Any:
    p = SimpleNamespace(comments={}, extra_generation_params={}, sd_vae_name="base", sd_vae_hash=None, **fields)
    p.comment = lambda text: p.comments.update({text: 1})
    return p


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def passes(host: Host) -> PassVaes:
    return PassVaes(host)  # type: ignore[arg-type]  # its only parts that are used


def hires_pass(passes: PassVaes, p: Any) -> None:
    p.is_hr_pass = True
    with passes.hires(p), passes.decoding():
        pass
    p.is_hr_pass = False


def test_it_is_in_the_model_for_the_pass_alone(host: Host, passes: PassVaes) -> None:
    p = generation()
    passes.wish(p, "hires")
    with passes.generation(p):
        with passes.decoding():
            assert (host.loaded.path, passes.in_force) == ("/vae/base", False)
        with passes.hires(p):
            assert (host.loaded.path, passes.in_force) == ("/vae/hires", True)
        hires_pass(passes, p)
    assert (host.loaded.path, passes.in_force) == ("/vae/base", False)
    assert host.named == ["/vae/base", "/vae/hires", "/vae/hires"]
    assert passes.fields(p) == {"Base VAE": "base", "Hires VAE": "hires"}
    assert passes.named_before(p) == ("base", None)
    assert passes.named_before(p) is None


@pytest.mark.parametrize("part", ["hires", "decoding"])
def test_an_error_in_the_pass_takes_it_out(host: Host, passes: PassVaes, part: str) -> None:
    p = generation(is_hr_pass=True)
    passes.wish(p, "hires")
    with suppress(Broken), passes.generation(p), passes.hires(p) if part == "hires" else passes.decoding():
        assert host.loaded.path == "/vae/hires"
        raise Broken
    assert (host.loaded.path, passes.in_force) == ("/vae/base", False)
    with passes.decoding():  # of no generation
        assert host.loaded.path == "/vae/base"


def test_a_previous_vae_that_has_gone_makes_way_for_the_checkpoints_own(host: Host, passes: PassVaes) -> None:
    p = generation()
    passes.wish(p, "hires")
    with passes.hires(p):
        host.bad.add("/vae/base")
    assert host.loaded.path is None


def test_a_refused_one_is_told_once(host: Host, passes: PassVaes) -> None:
    p = generation()
    passes.wish(p, "bad")
    for _ in range(2):
        hires_pass(passes, p)
    assert host.loaded.path == "/vae/base"
    assert len(p.comments) == 1
    assert passes.fields(p) == {}


def test_another_checkpoint_keeps_what_came_with_it(host: Host, passes: PassVaes) -> None:
    p = generation(is_hr_pass=True, refiner_checkpoint_info=checkpoint("two"))
    passes.wish(p, "hires", "refiner")
    with passes.generation(p), passes.hires(p):
        host.loaded = SimpleNamespace(sd_checkpoint_info=checkpoint("two"), path="/vae/of-two")
        with passes.decoding():
            assert host.loaded.path == "/vae/hires", "the refiner has not taken over"
        p.extra_generation_params["Refiner"] = "two"
        with passes.decoding():
            assert host.loaded.path == "/vae/refiner"
    assert host.loaded.path == "/vae/of-two"
    assert passes.fields(p) == {"Base VAE": "base", "Hires VAE": "hires", "Refiner VAE": "refiner"}


def test_a_generation_inside_another_has_its_own(host: Host, passes: PassVaes) -> None:
    """As a detailer makes them, in the middle of hires fix or after it."""
    outer, inner = generation(is_hr_pass=True), generation(is_hr_pass=True)
    passes.wish(outer, "hires")
    with passes.generation(outer):
        with passes.generation(inner), passes.decoding():
            assert host.loaded.path == "/vae/base"
        with passes.decoding():
            assert host.loaded.path == "/vae/hires"
    assert passes.fields(inner) == {}


def test_an_upscaler_of_latents_leaves_the_picture_before_to_the_other_vae(host: Host, passes: PassVaes) -> None:
    p = generation(latent_scale_mode={"mode": "bilinear"}, is_hr_pass=True)
    passes.wish(p, "hires")
    with passes.generation(p), passes.hires(p):
        assert host.loaded.path == "/vae/base"
        with passes.decoding():
            assert host.loaded.path == "/vae/hires"
    assert host.loaded.path == "/vae/base"


def test_a_plots_next_cell_has_no_field_of_the_one_before(passes: PassVaes) -> None:
    """Cells share the dictionary of the fields."""
    p = generation()
    passes.wish(p, "hires")
    with passes.generation(p):
        hires_pass(passes, p)
    assert passes.fields(p) != {}
    passes.wish(p)
    assert passes.fields(p) == {}


def test_an_interrupted_batch_has_no_field_of_the_one_before(passes: PassVaes) -> None:
    p = generation(is_hr_pass=False)
    passes.wish(p, "hires")
    with passes.generation(p):
        hires_pass(passes, p)
        with passes.decoding():  # of what the first pass had got to
            pass
    assert passes.fields(p) == {}


def test_a_pass_whose_decode_is_not_seen_is_named_all_the_same(host: Host, passes: PassVaes) -> None:
    """As when the guards, and with them the patch of the decode, are removed meanwhile."""
    p = generation()
    passes.wish(p, "hires")
    with passes.hires(p):
        pass
    assert host.named == ["/vae/hires"]
    assert passes.fields(p) == {"Base VAE": "base", "Hires VAE": "hires"}
