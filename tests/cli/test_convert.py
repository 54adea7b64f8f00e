"""`convert`: a second file that the WebUI can load."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.files.samples import encode, header_of, ldm
from tests.files.whole_vaes import Tensor, read, renamed, vae, write
from tests.wording import worded
from vae_manager.messages import megabytes

from .command import Cli, finished, sha256, until
from .test_inspect import opened_by


@pytest.fixture
def theirs(cli: Cli) -> Path:
    return write(cli.work / "theirs.safetensors", renamed(vae()))


def test_a_file_that_the_webui_can_load(cli: Cli, theirs: Path) -> None:
    target = cli.work / "ours.safetensors"
    result = cli("convert", theirs, target)
    assert (result.status, result.err) == (0, "")
    digest = sha256(target.read_bytes())
    size = megabytes(target.stat().st_size)
    assert result.out == f"{target}: {size}, {worded('names-changed')}, SHA-256 {digest}\n"
    assert read(target) == vae()
    assert cli.names(cli.work) == ["ours.safetensors", "theirs.safetensors"]


def test_as_json(cli: Cli, theirs: Path) -> None:
    pytest.importorskip("numpy")
    target = cli.work / "ours.safetensors"
    result = cli("convert", theirs, target, "--dtype", "fp16", "--json")
    assert (result.status, result.err) == (0, "")
    assert result.json == {
        "path": str(target),
        "sha256": sha256(target.read_bytes()),
        "size": target.stat().st_size,
        "done": ["from-diffusers", "fp16"],
        "source": str(theirs),
        "already_there": False,
    }


def test_into_a_folder_under_a_name_that_is_free(cli: Cli, theirs: Path) -> None:
    cli.folder.mkdir()
    (cli.folder / "theirs.safetensors").write_bytes(b"of another kind")
    assert cli("convert", theirs, cli.folder).status == 0
    assert cli.names() == ["theirs-2.safetensors", "theirs.safetensors"]


def test_the_twin_is_named_and_nothing_is_written(cli: Cli, theirs: Path) -> None:
    cli.folder.mkdir()
    first, second, third = (
        cli("convert", theirs, target, "--json").json
        for target in (cli.folder, cli.folder, cli.folder / "theirs.safetensors")
    )
    assert (first["already_there"], second["already_there"], third["already_there"]) == (False, True, True)
    assert second == third == {**first, "already_there": True}
    assert cli.names() == ["theirs.safetensors"]
    assert cli("convert", theirs, cli.folder, "--dtype", "fp16").status == 0, "other numbers are another conversion"
    assert cli.names() == ["theirs-fp16.safetensors", "theirs.safetensors"]


def test_the_other_way(cli: Cli) -> None:
    ours = write(cli.work / "ours.safetensors", vae())
    assert cli("convert", ours, "theirs.safetensors", "--layout", "diffusers").status == 0
    assert read(cli.work / "theirs.safetensors") == renamed(vae())


def test_exit_statuses(cli: Cli, theirs: Path) -> None:
    ours = write(cli.work / "ours.safetensors", vae())
    damaged = write(cli.work / "damaged.safetensors", {**vae(), "quant_conv.bias": Tensor("F32", (8,), b"\xff" * 32)})
    new = cli.work / "new.safetensors"
    refused: list[tuple[int, str, tuple[str | Path, ...]]] = [
        (2, "not-safetensors", (theirs, "x.ckpt")),
        (3, "no-such-file", (cli.work / "none", new)),
        (5, "nan", (damaged, new, "--dtype", "fp16")),
        (6, "not-a-folder", (theirs, cli.work / "none" / "x.safetensors")),
        (7, "nothing-to-convert", (ours, new)),
        (7, "name-taken", (theirs, ours)),
    ]
    for status, code, arguments in refused:
        assert cli("convert", *arguments).status == status
        answer = cli("convert", *arguments, "--json")
        assert (answer.status, answer.json["status"], answer.json["code"]) == (status, status, code), answer
    assert cli("convert", theirs, new, "--dtype", "int8").status == 2
    assert not new.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs signals, and a look at another process")
def test_ctrl_c_leaves_nothing(cli: Cli) -> None:
    path = cli.work / "huge.safetensors"
    header, size = header_of({"model.diffusion_model.x": (10_000, 10_000_000), **ldm(prefix="first_stage_model.")})
    path.write_bytes(encode(header))
    os.truncate(path, path.stat().st_size + size)  # 400 GB of nothing: minutes to hash
    process = cli.begin("convert", path, "new.safetensors")
    until(lambda: path in opened_by(process.pid))
    process.send_signal(signal.SIGINT)
    result = finished(process)
    assert result.status == 130
    assert "was stopped" in result.message
    assert cli.names(cli.work) == ["huge.safetensors"]
