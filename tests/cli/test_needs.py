"""`needs`: what a checkpoint lacks, and its download."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.engines.small import chroma, flux_vae, t5
from tests.files.samples import safetensors
from tests.hub import Hub
from tests.library.vaes import sha256

from .command import REPO, Cli


@pytest.fixture
def checkpoint(cli: Cli) -> Path:
    return chroma(cli.work / "any name.safetensors")


@pytest.fixture
def catalogue(hub: Hub, cli: Cli) -> Path:
    """A catalogue of the two files that Chroma needs, which the hub has."""
    vae, encoder = flux_vae(cli.home / "vae"), t5(cli.home / "t5")
    hub.add(REPO, "vae.safetensors", vae.read_bytes())
    hub.add(REPO, "t5.safetensors", encoder.read_bytes())
    path = cli.home / "built-in.yaml"
    path.write_text(
        f"- {{id: my-vae, name: My VAE, family: flux1, offered: true, sha256: {sha256(vae)},"
        f" source: 'hub:{REPO}/vae.safetensors', licence: MIT}}\n"
        f"- {{id: my-t5, name: My T5, encoder: t5xxl, offered: true, sha256: {sha256(encoder)},"
        f" source: 'hub:{REPO}/t5.safetensors', licence: Gemma Terms of Use}}\n",
        encoding="utf-8",
    )
    cli.variables["VAE_MANAGER_CATALOGUE"] = str(path)
    vae.unlink()
    encoder.unlink()
    return path


def states(answer: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    return {one["role"]: one["state"] for one in answer["components"]}


def test_what_is_missing_is_named_and_the_status_says_so(cli: Cli, checkpoint: Path, catalogue: Path) -> None:
    result = cli("needs", checkpoint, "--host", "neo", "--dir", cli.folder, "--json")
    assert result.status == 1
    answer = result.json
    assert (answer["engine"], answer["families"], answer["complete"]) == ("chroma", ["flux1"], False)
    assert states(answer) == {"vae": "missing", "t5xxl": "missing"}
    assert [one["entries"] for one in answer["components"]] == [["my-vae"], ["my-t5"]]


def test_get_brings_each_to_its_folder_once_the_terms_are_accepted(
    hub: Hub, cli: Cli, checkpoint: Path, catalogue: Path
) -> None:
    command = ("needs", checkpoint, "--host", "neo", "--dir", cli.folder, "--get", "--json")
    refused = cli(*command)
    assert (refused.status, refused.json["code"]) == (7, "terms-not-accepted")
    assert hub.cdn.sent() == 0, "the terms of one are read before any is downloaded"
    result = cli(*command, "--accept-terms")
    assert result.status == 0
    assert states(result.json) == {"vae": "here", "t5xxl": "here"}
    assert [one["proven"] for one in result.json["fetched"]] == [True, True]
    assert (cli.folder / "vae.safetensors").is_file()
    assert (cli.folder.parent / "text_encoder" / "t5.safetensors").is_file()


def test_the_same_files_under_odd_names_are_enough(hub: Hub, cli: Cli, checkpoint: Path, catalogue: Path) -> None:
    flux_vae(cli.folder / "sub" / "holiday.safetensors")
    t5(cli.home / "elsewhere" / "what is this.safetensors", fill=b"\x02")
    result = cli("needs", checkpoint, "--host", "neo", "--dir", cli.folder, "--encoders", cli.home / "elsewhere",
                 "--get", "--json")  # fmt: skip
    assert result.status == 0
    assert states(result.json) == {"vae": "here", "t5xxl": "here"}
    assert result.json["fetched"] == []
    assert hub.requests == []


def test_as_text(cli: Cli, checkpoint: Path, catalogue: Path) -> None:
    result = cli("needs", checkpoint, "--host", "neo", "--dir", cli.folder)
    first, vae, encoder = result.out.splitlines()
    assert "any name.safetensors" in first and "Chroma" in first and "bf16" in first
    assert vae.split()[:2] == ["VAE", "(FLUX.1)"] and "My VAE" in vae
    assert "T5-XXL" in encoder and "Gemma Terms of Use" in encoder


@pytest.mark.parametrize(("host", "status", "code"), [("a1111", 7, "engine-not-run"), ("reforge", 7, "engine-not-run")])
def test_a_webui_that_does_not_run_it(cli: Cli, checkpoint: Path, host: str, status: int, code: str) -> None:
    result = cli("needs", checkpoint, "--host", host, "--json")
    assert (result.status, result.json["code"]) == (status, code)


def test_an_unknown_file(cli: Cli) -> None:
    path = safetensors(cli.work / "x.safetensors", {"a": (4,)})
    result = cli("needs", path, "--host", "neo", "--json")
    assert (result.status, result.json["code"]) == (3, "unknown-engine")
    assert cli("needs", cli.work / "nothing.safetensors", "--json").status == 3
