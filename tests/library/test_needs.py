"""The components that a checkpoint needs, by headers alone: published engines and encoders, under odd names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.engines.cases import Case, below, checkpoints, table
from tests.files.engines.test_engines import gguf
from tests.files.test_gguf import whole
from vae_manager.catalogue import Catalogue, load
from vae_manager.catalogue.engines import ENGINES
from vae_manager.catalogue.entry import FamilyGuess
from vae_manager.files import inspect
from vae_manager.files.headers import TensorSpec, TensorTable
from vae_manager.files.record import FileRecord, Problem
from vae_manager.library.needs import VAE, Component, Needs, encoder_files, needs_of
from vae_manager.messages import msg

CASES = {case.name: case for case in checkpoints()}
UNKNOWN_SHA256 = "12" * 32


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def record(name: str, tensors: Mapping[str, TensorSpec], **facts: object) -> FileRecord:
    made = FileRecord(Path("/models", name), 1000, "safetensors", TensorTable.of(tensors))
    return replace(made, **facts)  # type: ignore[arg-type]


def of(case: str, host: str, catalogue: Catalogue, *here: FileRecord, chosen: tuple[Path, ...] = ()) -> Needs:
    """`here` are the files of both kinds of folders."""
    checkpoint = record("model.safetensors", CASES[case].tensors)
    return needs_of(checkpoint, host, files=here, catalogue=catalogue, chosen=chosen)


def component(needs: Needs, role: str) -> Component:
    return next(one for one in needs.components if one.role == role)


CLIP_L = record("odd name.safetensors", table("clip-l"))
T5 = record("b.safetensors", table("t5xxl"))
FLUX_VAE = record("c.safetensors", table("vae-flux1"), family=FamilyGuess("flux1", "hash", sure=True))


def test_a_bare_flux_checkpoint_lacks_all_three(catalogue: Catalogue) -> None:
    needs = of("FLUX.1 dev", "neo", catalogue)
    assert [one.role for one in needs.missing] == [VAE, "clip-l", "t5xxl"]
    first = [one.entries[0].id for one in needs.missing]
    assert first == ["flux1-ae", "clip-l", "t5xxl-fp8-scaled"]


def test_files_under_odd_names_are_found_by_content(catalogue: Catalogue) -> None:
    needs = of("FLUX.1 dev", "neo", catalogue, CLIP_L, T5, FLUX_VAE)
    assert needs.missing == ()
    assert component(needs, "t5xxl").here == (T5,)
    assert component(needs, VAE).here == (FLUX_VAE,)


def test_a_whole_checkpoint_lacks_nothing(catalogue: Catalogue) -> None:
    for case in ("FLUX.1 dev, whole, fp8", "SD 1.x", "SDXL", "Lumina 2"):
        needs = of(case, "neo", catalogue)
        assert needs.missing == (), case
        assert all(one.is_carried for one in needs.components), case


def test_sdxl_without_a_vae_lacks_one_on_a1111_too(catalogue: Catalogue) -> None:
    [missing] = of("SDXL without VAE", "a1111", catalogue).missing
    assert (missing.role, missing.entries[0].id) == (VAE, "sdxl-fp16-fix")


def test_an_engine_that_the_webui_does_not_run_is_named_so(catalogue: Catalogue) -> None:
    assert not of("Z-Image", "forge", catalogue).runs
    assert of("Z-Image", "neo", catalogue).runs


def test_nothing_is_said_of_an_unknown_engine(catalogue: Catalogue) -> None:
    checkpoint = record("x.safetensors", {"a.weight": TensorSpec("F16", (4, 4))})
    needs = needs_of(checkpoint, "neo", files=[FLUX_VAE, T5], catalogue=catalogue)
    assert (needs.facts, needs.components, needs.runs) == (None, (), False)


def test_a_vae_of_a_look_alike_family_does_not_serve_until_its_hash_is_known(catalogue: Catalogue) -> None:
    """FLUX.1's and SD 3's VAEs have the same shapes; Forge runs both."""
    unsure = FamilyGuess(candidates=("sd3", "flux1"))
    known = replace(FLUX_VAE, family=unsure, sha256=UNKNOWN_SHA256)
    unknown = replace(FLUX_VAE, family=unsure)
    needs = of("FLUX.1 dev", "forge", catalogue, CLIP_L, T5, known, unknown)
    assert [one.role for one in needs.missing] == [VAE]
    assert needs.undecided == (unknown,), "the hash of the other one is known, and decides nothing"
    assert component(of("FLUX.1 dev", "neo", catalogue, unknown), VAE).here == (unknown,), "Neo runs no SD 3"


@pytest.mark.parametrize(
    "facts",
    [
        {"family": FamilyGuess("sd1", "hash", sure=True)},
        {"family": FamilyGuess()},
        {"is_arriving": True},
        {"problems": (Problem("truncated", msg("broken", code="truncated")),)},
    ],
    ids=["other family", "no family", "arriving", "broken"],
)
def test_a_vae_that_does_not_serve(catalogue: Catalogue, facts: dict[str, object]) -> None:
    found = component(of("FLUX.1 dev", "neo", catalogue, replace(FLUX_VAE, **facts)), VAE)  # type: ignore[arg-type]
    assert (found.here, found.undecided) == ((), ())


def test_broken_and_arriving_encoders_do_not_serve(catalogue: Catalogue) -> None:
    broken = replace(T5, problems=(Problem("truncated", msg("broken", code="truncated")),))
    assert component(of("Chroma", "neo", catalogue, broken, replace(T5, is_arriving=True)), "t5xxl").is_missing


def test_the_chosen_file_comes_first_then_published_ones_then_the_largest(catalogue: Catalogue) -> None:
    published = replace(T5, path=Path("/models/p"), sha256=catalogue.offered_encoders("t5xxl", "chroma")[0].sha256)
    large, small = replace(T5, path=Path("/models/l"), size=9000), replace(T5, path=Path("/models/s"))
    chosen = replace(T5, path=Path("/models/c"))
    needs = of("Chroma", "neo", catalogue, small, large, published, chosen, chosen=(chosen.path,))
    assert component(needs, "t5xxl").here == (chosen, published, large, small)


def test_an_optional_encoder_is_not_missing(catalogue: Catalogue) -> None:
    needs = of("SD 3", "a1111", catalogue)
    assert [one.role for one in needs.components if one.is_optional] == ["t5xxl"]
    assert needs.missing == ()
    assert [one.role for one in of("SD 3", "forge", catalogue).missing] == ["t5xxl"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("host", ["a1111", "reforge", "forge", "neo"])
def test_each_missing_component_of_each_engine_that_runs_can_be_downloaded(
    catalogue: Catalogue, case: Case, host: str
) -> None:
    needs = of(case.name, host, catalogue)
    assert needs.facts is not None and needs.facts.engine.id == case.engine
    if needs.runs and needs.facts.engine.id not in ENCODERS_IN_CHECKPOINTS:
        gated = [VAE] if needs.facts.engine.id == "sd35" else []  # its publisher asks for a sign-in
        assert [one.role for one in needs.missing if not one.entries] == gated


ENCODERS_IN_CHECKPOINTS = ("sd1", "sd2", "sdxl", "sdxl-refiner", "ssd-1b", "sdxl-small", "mugen")
"""Engines whose text encoders are published within checkpoints; a network alone is for other programs."""


def test_encoder_files_are_found_below_their_folders(tmp_path: Path) -> None:
    for name in ("a.safetensors", "sub/b.gguf", "c.txt", "sub/d.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = encoder_files([tmp_path, tmp_path / "sub", tmp_path / "nowhere"])
    assert [path.name for path in found] == ["a.safetensors", "b.gguf"]


def test_an_encoder_under_names_that_no_loader_takes_does_not_count(catalogue: Catalogue) -> None:
    inside = record("x.safetensors", below("text_encoders.t5xxl.transformer.", table("t5xxl")))
    assert component(of("Chroma", "neo", catalogue, inside), "t5xxl").is_missing


@pytest.mark.parametrize("kind", ["clip-l", "clip-g", "t5xxl", "umt5-xxl", "gemma2-2b", "qwen3-0.6b", "qwen3-4b",
                                  "qwen3-8b", "qwen2.5-vl-7b", "qwen3-vl-4b", "ministral3-3b"])  # fmt: skip
def test_each_encoder_as_published_counts(catalogue: Catalogue, kind: str) -> None:
    published = record("x.safetensors", table(kind))
    case = next(
        case
        for case in CASES.values()
        if case.engine is not None
        and kind in (engine := ENGINES[case.engine]).encoders
        and "neo" in engine.hosts
        and kind not in case.carries
    )
    found = of(case.name, "neo", catalogue, published)
    assert component(found, kind).here == (published,)


def test_a_chosen_vae_of_an_undecided_family_serves(catalogue: Catalogue) -> None:
    own = replace(FLUX_VAE, family=FamilyGuess(candidates=("sd3", "flux1")), sha256=UNKNOWN_SHA256)
    assert component(of("FLUX.1 dev", "forge", catalogue, own), VAE).is_missing
    assert component(of("FLUX.1 dev", "forge", catalogue, own, chosen=(own.path,)), VAE).here == (own,)


def test_weights_that_are_published_for_another_engine_do_not_serve(catalogue: Catalogue) -> None:
    pid = catalogue.offered_encoders("gemma2-2b", "pid")[0]
    gemma = record("g.safetensors", table("gemma2-2b"), sha256=pid.sha256)
    bare = record("l.safetensors", table("lumina2"))
    needs = needs_of(bare, "neo", files=[gemma], catalogue=catalogue)
    assert component(needs, "gemma2-2b").is_missing
    assert component(of("PiD for FLUX.2", "neo", catalogue, gemma), "gemma2-2b").here == (gemma,)


def test_an_incomplete_vae_in_the_checkpoint_is_none(catalogue: Catalogue) -> None:
    tensors = {name: spec for name, spec in CASES["SDXL"].tensors.items() if "decoder.mid.block_1" not in name}
    needs = needs_of(record("x.safetensors", tensors), "a1111", files=[], catalogue=catalogue)
    assert component(needs, VAE).is_missing


@pytest.mark.parametrize("host", ["forge", "reforge"])
def test_a_network_in_the_layout_of_diffusers_runs_on_neo_alone(catalogue: Catalogue, host: str) -> None:
    assert not of("FLUX.1 dev, diffusers", host, catalogue).runs
    assert of("FLUX.1 dev, diffusers", "neo", catalogue).runs


def test_folders_that_cannot_be_read_leave_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.safetensors").write_bytes(b"x")
    (tmp_path / "b").mkdir()
    scandir = os.scandir

    def failing(path: str) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    assert [path.name for path in encoder_files([tmp_path])] == ["x.safetensors"]


def test_other_files_do_not_hide_an_encoder(tmp_path: Path) -> None:
    for number in range(2100):
        (tmp_path / f"{number}.json").touch()
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / "mine.sft").touch()
    assert [path.name for path in encoder_files([tmp_path])] == ["mine.sft"]


def test_a_quantised_encoder_in_gguf_counts_and_a_damaged_one_does_not(catalogue: Catalogue, tmp_path: Path) -> None:
    raw, size = whole(gguf("qwen3-4b"))
    path = tmp_path / "any.gguf"
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(size)
    found = inspect(path)
    assert component(of("Z-Image", "neo", catalogue, found), "qwen3-4b").here == (found,)
    with path.open("r+b") as file:
        file.truncate(size // 2)
    assert component(of("Z-Image", "neo", catalogue, inspect(path)), "qwen3-4b").is_missing
