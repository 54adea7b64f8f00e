"""The engine, the family and the text encoders of a checkpoint are those of Forge Neo's own detector and loader.

Needs Neo's folder (`--webui-dir`) and the Python of its environment (`--webui-python`); no WebUI has to run.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from vae_manager.catalogue.engines import ENGINES
from vae_manager.files import inspect
from vae_manager.files.checkpoint import carried, encoder_of, engine_of

from ..files.engines.cases import ENCODER_TABLES, Case, checkpoints, lookalikes, sparse, table
from .conftest import option

pytestmark = pytest.mark.live

ORACLE: Final = Path(__file__).with_name("neo_oracle.py")
MIN_TENSORS: Final = 16
"""A component of fewer is missing, for Neo's loader."""
GUESSES: Final = {
    "SD15": "sd1",
    "SDXL": "sdxl",
    "SDXLRefiner": "sdxl-refiner",
    "Mugen": "mugen",
    "Flux": "flux1-dev",
    "FluxSchnell": "flux1-schnell",
    "Chroma": "chroma",
    "Lumina2": "lumina2",
    "ZImage": "z-image",
    "Flux2K4B": "flux2-klein-4b",
    "Flux2K9B": "flux2-klein-9b",
    "ErnieImage": "ernie-image",
    "QwenImage": "qwen-image",
    "Krea2": "krea2",
    "Anima": "anima",
    "WAN21_T2V": "wan21",
    "WAN21_I2V": "wan21",
    "PiD": "pid",
}
"""Our engine, by the detector's class."""
LATENTS: Final = {
    "SD15": {"sd1"},
    "SDXL": {"sdxl"},
    "Flux": {"flux1"},
    "Flux2": {"flux2"},
    "SDXL_Flux2": {"flux2"},
    "Wan21": {"wan21", "qwen"},
    "RGB": {"sdxl", "flux1", "flux2", "qwen"},
}
"""Our families, by the class of the latents."""
VAES: Final = {"AutoencoderKLWan": "wan21", "AutoencoderKLQwenImage": "qwen"}
"""The family, by the class of the VAE, if the latents are Wan's."""
VAE_TABLES: Final = {"sd1": "vae-sd", "sdxl": "vae-sd", "flux1": "vae-flux1", "flux2": "vae-flux2"}


@dataclass(frozen=True)
class Oracle:
    python: str
    neo: Path
    folder: Path

    def ask(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked, answered = self.folder / "jobs.json", self.folder / "answers.json"
        asked.write_text(json.dumps(jobs), encoding="utf-8")
        subprocess.run([self.python, ORACLE, self.neo, asked, answered], check=True, capture_output=True)
        found: list[dict[str, Any]] = json.loads(answered.read_text(encoding="utf-8"))
        return found

    def file(self, name: str, tensors: Any) -> str:
        path = self.folder / f"{name}.safetensors"
        return str(path if path.exists() else sparse(path, tensors))


@pytest.fixture(scope="module")
def oracle(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    neo, python = option(pytestconfig, "--webui-dir"), option(pytestconfig, "--webui-python")
    if neo is None or python is None or not (neo / "modules_forge" / "packages" / "huggingface_guess").is_dir():
        pytest.skip("needs Forge Neo and its Python: --webui-dir DIR --webui-python FILE")
    return Oracle(python, neo.absolute(), tmp_path_factory.mktemp("oracle"))


@pytest.fixture(scope="module")
def files(oracle: Oracle) -> dict[str, tuple[Case, str]]:
    """The cases that are compared, each with its file, by their names."""
    cases = [case for case in checkpoints() if case.guess != ""]
    return {case.name: (case, oracle.file(f"checkpoint-{at}", case.tensors)) for at, case in enumerate(cases)}


@pytest.fixture(scope="module")
def taken(files: dict[str, tuple[Case, str]]) -> list[tuple[Case, str]]:
    """Those that Neo runs."""
    return [(case, file) for case, file in files.values() if case.guess is not None]


def test_the_engine_and_the_family_are_neos(oracle: Oracle, files: dict[str, tuple[Case, str]]) -> None:
    encoders = [oracle.file(kind, table(kind)) for kind in ENCODER_TABLES]  # Chroma is not split without one
    answers = oracle.ask([{"checkpoint": file, "modules": encoders} for _, file in files.values()])
    for (case, file), answer in zip(files.values(), answers, strict=True):
        found = engine_of(inspect(Path(file)).tensors)
        assert found is not None
        assert answer["guess"] == case.guess, (case.name, answer)
        if case.guess is None:
            assert "neo" not in found.engine.hosts, case.name
            continue
        assert GUESSES[answer["guess"]] == found.engine.id, case.name
        assert "neo" in found.engine.hosts, case.name
        by_vae = VAES.get(answer["parts"]["vae"][0])
        assert set(found.families) <= ({by_vae} if by_vae is not None else LATENTS[answer["latents"]]), case.name


def test_the_text_encoders_are_those_that_neos_loader_takes(oracle: Oracle, taken: list[tuple[Case, str]]) -> None:
    """Each kind is given alone: it belongs to an engine if a component gets more tensors by it."""
    kinds = (None, *ENCODER_TABLES)
    jobs = [
        {"checkpoint": file, "modules": [oracle.file(kind, table(kind))] if kind is not None else []}
        for _, file in taken
        for kind in kinds
    ]
    answers = iter(oracle.ask(jobs))
    for case, _ in taken:
        parts = {kind: next(answers)["parts"] for kind in kinds}
        expected = {kind for kind in ENGINES[case.engine or ""].encoders if kind in kinds and kind not in case.carries}
        if parts[None] is None:  # the loader fails without a text encoder at all
            assert {kind for kind in kinds if parts[kind] is not None} == expected, case.name
            continue
        gaining = {kind for kind in kinds if kind is not None and _is_more(parts[kind], parts[None])}
        assert gaining == expected, case.name


def _is_more(parts: dict[str, Any], bare: dict[str, Any]) -> bool:
    return any(count > bare[name][1] for name, (_, count) in parts.items())


def test_a_checkpoint_lacks_what_neos_loader_misses(oracle: Oracle, taken: list[tuple[Case, str]]) -> None:
    """With the components that the table names no component is missing; without any of them, one is."""
    jobs, is_whole = [], []
    for case, file in taken:
        held = carried(inspect(Path(file)).tensors)
        lacking = [kind for kind in ENGINES[case.engine or ""].needed("neo") if kind not in held.kinds]
        vae = [] if held.has_vae else [VAE_TABLES.get(case.families[0], "vae-wan")]
        modules = [oracle.file(name, table(name)) for name in (*lacking, *vae)]
        chosen = [modules, *([one for one in modules if one != left] for left in modules)]
        jobs += [{"checkpoint": file, "modules": some} for some in chosen]
        is_whole += [some is modules for some in chosen]
    for job, whole, answer in zip(jobs, is_whole, oracle.ask(jobs), strict=True):
        parts = answer["parts"]
        missing = parts is None or any(_is_missing(kind, count) for kind, count in parts.values())
        assert missing != whole, (job, answer)


def _is_missing(kind: str, tensors: int) -> bool:
    """Return True for too few; 118 tensors of Anima's text encoder are its adapter, which is in the checkpoint."""
    return tensors <= (118 if kind == "Qwen3Model" else MIN_TENSORS)


def test_text_encoders_are_known(oracle: Oracle) -> None:
    for kind in ENCODER_TABLES:
        found = encoder_of(inspect(Path(oracle.file(kind, table(kind)))).tensors)
        assert found is not None
        assert found.kind == kind


def test_no_lookalike_has_an_engine(oracle: Oracle) -> None:
    """Neo's detector takes some for an engine, by a single tensor; none that it refuses has an engine here."""
    cases = lookalikes()
    files = [oracle.file(f"lookalike-{number}", case.tensors) for number, case in enumerate(cases)]
    answers = oracle.ask([{"checkpoint": file, "modules": []} for file in files])
    assert all(engine_of(inspect(Path(file)).tensors) is None for file in files)
    refused = [case.name for case, answer in zip(cases, answers, strict=True) if answer["guess"] is None]
    assert {"a LoRA", "a ControlNet", "an upscaler", "Kolors", "HunyuanVideo", "Cosmos Predict2"} <= set(refused)
