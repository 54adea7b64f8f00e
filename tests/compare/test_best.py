"""`python -m vae_manager best`, on a CPU, without a WebUI."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.cli.command import Result
from tests.compare.planted import Exact, samples
from tests.compare.test_cli import write_vae
from vae_manager.cli import main
from vae_manager.compare import Model, standalone_vae
from vae_manager.compare.chart import chart
from vae_manager.compare.pictures import drawable, letters_of, wrapped_lines
from vae_manager.compare.trial import Subject, Trial
from vae_manager.compare.trial import run as trial_run
from vae_manager.compare.trial_card import TEXT, card


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("best")
    vaes, pictures = folder / "vaes", folder / "pictures"
    vaes.mkdir()
    pictures.mkdir()
    for sample in samples(6, 64, seed=5):
        (pictures / sample.name).write_bytes(sample.read())
    first = write_vae(vaes / "a.safetensors", 1)
    write_vae(vaes / "b.safetensors", 2)
    write_vae(folder / "nan.safetensors", 3, **{"decoder.conv_out.bias": torch.full((3,), float("nan"))})
    unet = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3)}
    save_file(
        {**unet, **{f"first_stage_model.{name}": one for name, one in load_file(first).items()}},
        folder / "checkpoint.safetensors",
    )
    return folder


@pytest.fixture(autouse=True)
def small_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the chart: the whole takes most of the time of each of these VAEs."""
    monkeypatch.setattr("vae_manager.compare.trial.chart", lambda: chart()[256:320, :64])


class Run:
    """The command in this process: to import torch anew each time takes seconds."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Result:
        status = main(["best", *map(str, arguments)])
        said = self._capsys.readouterr()
        return Result(status, said.out, said.err)


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(work)
    return Run(capsys)


def test_a_ranking_and_a_card_without_pictures(run: Run, tmp_path: Path) -> None:
    given = run("pictures", "--dir", "vaes", "--out", tmp_path, "--json")
    assert (given.status, given.err) == (0, "")
    found = given.json
    assert (found["pictures"], len(found["ranking"]), found["failed"], found["left_out"]) == (6, 2, [], [])
    assert [row["vae"] for row in found["ranking"]] == sorted(
        ("a.safetensors", "b.safetensors"),
        key=lambda vae: next(r["distance"] for r in found["ranking"] if r["vae"] == vae),
    )
    with Image.open(found["card"]) as shown:
        numbers = json.loads(shown.text[TEXT])
    assert numbers["ranking"] == found["ranking"]
    assert "left_out" not in numbers, "a name of a picture is in no card"
    assert not any(name in str(numbers) for name in ("0.png", str(tmp_path)))


def test_a_second_run_measures_nothing_anew(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("pictures", "--dir", "vaes", "--out", tmp_path, "--json").json
    monkeypatch.setattr("vae_manager.compare.standalone_vae.model_of", None)
    assert run("pictures", "--dir", "vaes", "--out", tmp_path, "--json").json["ranking"] == first["ranking"]


def test_crops_only_when_asked_for(run: Run, tmp_path: Path) -> None:
    sizes = []
    for more in ((), ("--with-crops",)):
        given = run("pictures", "--vae", "vaes/a.safetensors", "--out", tmp_path, "--json", "--count", "2", *more)
        with Image.open(given.json["card"]) as shown:
            sizes.append(shown.size[1])
    assert sizes[1] > sizes[0]


def test_a_checkpoints_own_vae(run: Run) -> None:
    given = run("pictures", "--vae", "checkpoint.safetensors", "--vae", "vaes/a.safetensors", "--json", "--count", "6")
    first, second = given.json["ranking"]
    assert (first["distance"], first["measures"]) == (second["distance"], second["measures"]), given.err


def test_a_card_has_no_folder_of_the_machine(run: Run, work: Path, tmp_path: Path) -> None:
    """Neither for two files of one name, nor in the error of a file that is not there, nor in a crop's title."""
    for folder in ("one", "two"):
        (work / folder).mkdir()
    write_vae(work / "one" / "same.safetensors", 1)
    write_vae(work / "two" / "same.safetensors", 2)
    files = [work / "one" / "same.safetensors", work / "two" / "same.safetensors", work / "none" / "x.safetensors"]
    given = run(
        "pictures", *(part for file in files for part in ("--vae", file)), "--out", tmp_path, "--json", "--count", "1"
    ).json
    with Image.open(given["card"]) as shown:
        numbers = json.loads(shown.text[TEXT])
    assert str(work) not in str(numbers)
    assert len({row["vae"] for row in numbers["ranking"]}) == 2
    assert all(row["hash"][:10] in row["vae"] for row in numbers["ranking"])
    assert [one["vae"] for one in numbers["failed"]] == ["x.safetensors"]
    assert [one["code"] for one in numbers["failed"]] == ["no-such-file"]


def test_a_file_that_is_replaced_in_the_middle_is_left_out(
    run: Run, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_vae(tmp_path / "changed.safetensors", 1)
    model_of = standalone_vae.model_of

    def replaced(path: Path, *args: Any, **more: Any) -> Any:
        if path == file:
            write_vae(file, 4)
        return model_of(path, *args, **more)

    monkeypatch.setattr(standalone_vae, "model_of", replaced)
    given = run("pictures", "--vae", file, "--vae", "vaes/a.safetensors", "--out", tmp_path, "--json", "--count", "1")
    assert [one["code"] for one in given.json["failed"]] == ["changed-meanwhile"]
    assert [row["vae"] for row in given.json["ranking"]] == ["a.safetensors"]
    assert len((tmp_path / "best.jsonl").read_text("utf-8").splitlines()) == 2


def test_a_card_has_the_whole_sentence() -> None:
    """Also in a language without spaces, and no line is wider than its place."""
    subjects = [planted("one" * 60, 1.0), planted("二" * 120, 0.9)]
    found = trial_run(Trial({one.vae: one.hash for one in subjects}), subjects, samples(6, 64, seed=1))
    short = card(found, translate=lambda message: "一" * 10)
    long = card(found, translate=lambda message: "一" * 600)
    with Image.open(io.BytesIO(short)) as first, Image.open(io.BytesIO(long)) as second:
        assert second.size[1] > first.size[1]
    letters = letters_of(16, None)
    lines = wrapped_lines(["一" * 600 + " two words"], letters, 300)
    assert "".join(lines).replace(" ", "") == "一" * 600 + "twowords"
    assert max(letters.getlength(drawable(line, letters)) for line in lines) <= 300


def planted(name: str, contrast: float) -> Subject:
    vae = Exact(127)
    model = Model(vae, lambda z: vae.decode(z) * contrast, vae.encode, torch.device("cpu"))
    return Subject(name, name, lambda: model)


def test_the_card_is_none_of_the_pictures(run: Run, work: Path, tmp_path: Path) -> None:
    for sample in samples(2, 64, seed=6):
        (tmp_path / sample.name).write_bytes(sample.read())
    asked = (tmp_path, "--vae", "vaes/a.safetensors", "--out", tmp_path, "--json")
    assert [run(*asked).json["pictures"] for _ in range(2)] == [2, 2]


def test_a_broken_vae_is_told_and_stops_no_other(run: Run) -> None:
    given = run(
        "pictures", "--vae", "nan.safetensors", "--vae", "none.safetensors", "--vae", "vaes/a.safetensors", "--json"
    )
    assert given.status == 0
    assert {one["code"] for one in given.json["failed"]} == {"nan", "no-such-file"}
    alone = run("pictures", "--vae", "nan.safetensors")
    assert alone.status == 5


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("none", "--vae", "vaes/a.safetensors"), 3),
        (("vaes", "--vae", "vaes/a.safetensors"), 3),
        (("pictures", "--dir", "none"), 3),
        (("pictures", "--dir", "pictures"), 3),
        (("pictures", "--vae", "vaes/a.safetensors", "--device", "nonsense"), 2),
        (("pictures", "--vae", "vaes/a.safetensors", "--out", "nan.safetensors/x"), 6),
    ],
)
def test_statuses(run: Run, arguments: tuple[str, ...], status: int) -> None:
    assert run(*arguments).status == status
