"""`python -m vae_manager compare`, on a CPU, without a WebUI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.cli.command import Result, finished
from tests.vaes.pictures import pictures
from vae_manager.cli import main
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.network import AutoencoderKL, Config
from vae_manager.files.layouts import diffusers_name as in_diffusers
from vae_manager.files.layouts import up_levels

ROOT = Path(__file__).parents[2]
SMALL = Config(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1)


def write_vae(path: Path, seed: int, **changed: Any) -> Path:
    torch.manual_seed(seed)
    tensors = {name: tensor.detach().clone() for name, tensor in AutoencoderKL(SMALL).state_dict().items()}
    save_file({**tensors, **changed}, path)
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    Image.fromarray(to_pixels(pictures(1, 64, seed=5)[0])[:60]).save(folder / "in.png")
    first = write_vae(folder / "a.safetensors", 1)
    write_vae(folder / "b.safetensors", 2)
    write_vae(folder / "nan.safetensors", 3, **{"decoder.conv_out.bias": torch.full((3,), float("nan"))})
    save_file({"loss.x": torch.zeros(1), "encoder.conv_in.weight": torch.zeros(1)}, folder / "odd.safetensors")
    tensors = load_file(first)
    names = {name: in_diffusers(name, up_levels(tensors)) for name in tensors}
    renamed = {theirs: tensors[name] for name, theirs in names.items() if theirs is not None}
    assert len(renamed) == len(tensors)
    save_file(renamed, folder / "diffusers.safetensors")
    (folder / "page.safetensors").write_text("<!DOCTYPE html><html></html>")
    return folder


class Run:
    """The command in this process: to import torch anew each time takes seconds."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Result:
        status = main(["compare", *map(str, arguments)])
        said = self._capsys.readouterr()
        return Result(status, said.out, said.err)


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(work)
    return Run(capsys)


def test_as_a_program(work: Path, tmp_path: Path) -> None:
    given = ("in.png", "--vae", "a.safetensors", "--out", str(tmp_path))
    command = [sys.executable, "-m", "vae_manager", "compare", *given]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = finished(subprocess.Popen(command, cwd=work, env=environment, text=True, **pipes))
    assert (done.status, done.err) == (0, "")
    assert "a.safetensors: " in done.out


def test_pictures_figures_and_a_sheet(run: Run, tmp_path: Path) -> None:
    given = run("in.png", "--vae", "a.safetensors", "--vae", "b.safetensors", "--out", tmp_path, "--json")
    assert given.status == 0, given.err
    rows = given.json["results"]
    assert [Path(row["file"]).name for row in rows] == ["1-a.png", "2-b.png"]
    for row in rows:
        with Image.open(row["file"]) as image:
            assert image.size == (64, 60)
        assert row["figures"]["psnr"] > 3
        assert row["words"]
    with Image.open(given.json["sheet"]) as sheet:
        assert min(sheet.size) > 120


def test_the_picture_is_that_of_the_network(run: Run, work: Path, tmp_path: Path) -> None:
    assert run("in.png", "--vae", "a.safetensors", "--out", tmp_path).status == 0
    vae = AutoencoderKL(SMALL)
    vae.load_state_dict(load_file(work / "a.safetensors"))
    with Image.open(work / "in.png") as image, torch.no_grad():
        tensor = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        padded = torch.nn.functional.pad(tensor, (0, 0, 0, 4), mode="replicate")
        expected = to_pixels(vae.decode_raw(vae.encode(padded))[0])
    with Image.open(tmp_path / "1-a.png") as image:
        assert np.abs(np.asarray(image).astype(int) - expected[:60]).max() <= 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("page.safetensors", "web-page"),
        ("nan.safetensors", "nan"),
        ("odd.safetensors", "no-vae"),
        ("nowhere.safetensors", "no-such-file"),
    ],
)
def test_what_cannot_be_used_is_told_and_stops_no_other(run: Run, tmp_path: Path, name: str, code: str) -> None:
    given = run("in.png", "--vae", name, "--vae", "a.safetensors", "--out", tmp_path, "--json")
    assert given.status == 0
    first, second = given.json["results"]
    assert (first["code"], name in first["error"]) == (code, True)
    assert (first["file"], second["error"]) == (None, None)
    alone = run("in.png", "--vae", name, "--out", tmp_path)
    assert alone.status == 5
    assert first["error"] in alone.err


def test_a_vae_of_another_layout_is_read_as_it_is(run: Run, tmp_path: Path) -> None:
    given = run("in.png", "--vae", "a.safetensors", "--vae", "diffusers.safetensors", "--out", tmp_path, "--json")
    one, other = (Image.open(result["file"]) for result in given.json["results"])
    assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_said_once(run: Run, tmp_path: Path, device: str) -> None:
    command = ("in.png", "--vae", "a.safetensors", "--vae", "b.safetensors", "--out", tmp_path, "--device", device)
    given = run(*command)
    assert given.status == 2
    assert given.err.count(device) >= 1
    assert (given.out, list(tmp_path.iterdir())) == ("", [])
    answer = run(*command, "--json").json
    assert (answer["status"], answer["code"]) == (2, "bad-device")
    assert given.err == f"vae_manager: {answer['error']}\n", "it is said once"


def test_no_picture(run: Run, work: Path, tmp_path: Path) -> None:
    assert run("none.png", "--vae", "a.safetensors", "--out", tmp_path).status == 3
    assert run("page.safetensors", "--vae", "a.safetensors", "--out", tmp_path).status == 5
    nowhere = run("in.png", "--vae", "a.safetensors", "--out", work / "in.png" / "x")
    assert nowhere.status == 6


@pytest.mark.parametrize("package", ["torch", "skimage"])
def test_where_a_package_is_missing(run: Run, tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    given = run("in.png", "--vae", "a.safetensors", "--out", tmp_path)
    name = {"skimage": "scikit-image"}.get(package, package)
    assert given.status == 2
    assert given.message.endswith(f" pip install {name}")
    answer = run("in.png", "--vae", "x", "--out", "y", "--json").json
    assert (answer["status"], answer["code"], answer["error"]) == (2, "missing-packages", given.message)
