"""`report`: what it holds, what it must not hold, and the WebUI that it finds."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path

import pytest

import vae_manager
from tests.files.samples import diffusers, ldm, safetensors
from tests.files.torch_files import write_zip
from tests.host.layers import HERE, WEBUI
from vae_manager.cli.installation_commands import commit_of, find_installation, installation_at

from .command import DATA, ROOT, Cli, sha256

COMMIT = "82a973c04367123ae98bd9abdf80d9eda9b910e2"
VERSIONS = {"reforge": "1.0.0v2-v1.10.1RC", "forge": "2.0.1v1.10.1", "neo": "2.26", "a1111": "1.10.1"}


def install(folder: Path, host: str) -> Path:
    """Put the files of a WebUI there, which are those of the stand-ins."""
    shutil.copytree(WEBUI, folder, ignore=shutil.ignore_patterns("__pycache__"))
    layer = HERE / {"neo": "forge"}.get(host, host)
    if layer.is_dir():
        shutil.copytree(layer, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    if host == "neo":
        (folder / "backend" / "nn" / "wan_vae.py").touch()
        (folder / "modules_forge" / "forge_version.py").write_text('version = "neo"\nrelease = "2.26"\n')
    (folder / "CHANGELOG.md").write_text("## 1.10.1\n\n### Bug Fixes:\n\n## 1.10.0\n")
    return folder


def fill(folder: Path) -> Path:
    """Make a VAE folder with a file of each kind."""
    (folder / "sub").mkdir(parents=True)
    safetensors(folder / "good.safetensors", ldm(), "F16")
    safetensors(folder / "sub" / "good.safetensors", diffusers())
    write_zip(folder / "pickle.pt", ldm(), "BFloat16")
    (folder / "page.safetensors").write_text("<!DOCTYPE html><html></html>")
    return folder


# -- what it holds -------------------------------------------------------------------------------------------------
def test_report_has_the_versions_and_the_system(cli: Cli) -> None:
    report = cli("report", "--json").json
    assert report["vae_manager"]["version"] == vae_manager.__version__
    assert report["python"] == platform.python_version()
    assert set(report["packages"]) == {"torch", "gradio", "huggingface_hub", "safetensors"}
    assert report["packages"]["huggingface_hub"] is not None
    assert report["system"]["name"] == platform.system()


@pytest.mark.parametrize("name", ["torch", "gradio", "safetensors"])
def test_report_imports_no_heavy_package(cli: Cli, name: str) -> None:
    """The folder in which a command runs comes first in sys.path."""
    (cli.work / f"{name}.py").write_text("raise SystemExit(99)")
    assert cli("report").status == 0


@pytest.mark.parametrize("host", ["a1111", "reforge", "forge", "neo"])
def test_report_judges_as_list_does_for_the_webui_that_it_finds(cli: Cli, host: str) -> None:
    webui = install(cli.home / "webui", host)
    folder = fill(webui / "models" / "VAE")
    report = cli("report", "--dir", folder, "--json").json
    assert report["webui"] == {"id": host, "name": report["webui"]["name"], "version": VERSIONS[host], "commit": None}
    assert report["judged_for"] == host
    listed = cli("list", "--dir", folder, "--host", host, "--json").json
    shared = ("size", "container", "layout", "family", "latent_channels", "dtype", "sha256", "verdict", "code")
    assert len(listed) == 4
    assert [{key: row[key] for key in shared} for row in report["files"]] == [
        {key: row[key] for key in shared} for row in listed
    ]
    assert [row["name"] for row in report["files"]] == [Path(row["path"]).name for row in listed]
    assert [row["duplicate_name"] for row in report["files"]] == [bool(row["same_name_as"]) for row in listed]


def test_report_names_each_file_with_size_format_family_and_verdict(cli: Cli) -> None:
    folder = fill(cli.folder)
    (folder / "known.safetensors").write_bytes(DATA)
    result = cli("report", "--dir", folder, "--host", "a1111")
    assert (result.status, result.err) == (0, "")
    lines = [line for line in result.out.splitlines() if line.startswith("  ")]
    assert len(lines) == 5
    assert sum("duplicate name" in line for line in lines) == 2
    assert sum("other-factor" in line for line in lines) == 4
    assert sum("pickle" in line and "bf16" in line for line in lines) == 1
    assert sum("web-page" in line for line in lines) == 1


def test_report_knows_what_the_data_folder_remembers(cli: Cli) -> None:
    cli.folder.mkdir()
    safetensors(cli.folder / "mine.safetensors", ldm())
    data = cli.work / "data"
    data.mkdir()
    command = ("--dir", cli.folder, "--data", data, "--json")
    assert cli("report", *command).json["files"][0]["sha256"] is None
    assert cli("verify", *command).status == 0
    expected = sha256((cli.folder / "mine.safetensors").read_bytes())
    assert cli("report", *command).json["files"][0]["sha256"] == expected


def test_report_of_an_empty_machine(cli: Cli) -> None:
    report = cli("report", "--webui", cli.home, "--json").json
    assert (report["webui"], report["judged_for"], report["files"]) == (None, "a1111", None)
    assert cli("report", "--webui", cli.home).status == 0


@pytest.mark.parametrize("option", ["--webui", "--dir"])
def test_report_of_a_folder_that_is_not_there(cli: Cli, option: str) -> None:
    assert cli("report", option, cli.home / "nothing").status == 3


# -- what it does not hold -----------------------------------------------------------------------------------------
@pytest.fixture
def private(cli: Cli) -> Path:
    """A machine on which every kind of secret can be met; returns its VAE folder."""
    webui = install(cli.home / "alice-example" / "webui", "a1111")
    folder = fill(webui / "models" / "VAE")
    metadata = {"from": "https://alice:hunter2@example.org/x?token=hunter2", "at": str(folder)}
    safetensors(folder / "told.safetensors", ldm(), **metadata)
    data = webui / "vae-manager"
    data.mkdir()
    (data / "keys.json").write_text(json.dumps({"civitai.com": "hunter2-civitai-key"}))
    (data / "records.sqlite3").write_bytes(b"SQLite format 3\0" + b"hunter2" * 1000)
    (data / "families.json").write_text("{hunter2")
    broken = cli.home / "alice-example" / "catalogue.yaml"
    broken.write_text("- {id: bad, family: hunter2}\n")
    secrets = {"HF_TOKEN": "hf_hunter2", "CIVITAI_API_KEY": "hunter2-civitai-key", "USER": "alice-example"}
    cli.variables.update({**secrets, "LOGNAME": "alice-example", "VAE_MANAGER_CATALOGUE": str(broken)})
    return folder


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_report_holds_nothing_private(cli: Cli, private: Path, form: tuple[str, ...]) -> None:
    result = cli("report", "--dir", private, *form)
    assert result.status == 0
    assert result.err == ""
    home = Path(cli.environment["HOME"])
    for secret in ("hunter2", "alice", "example.org", "://", cli.hub.endpoint, *map(str, (home, private, ROOT))):
        assert secret not in result.out
    assert platform.node() not in result.out.split()


def test_report_says_that_something_could_not_be_read(cli: Cli, private: Path) -> None:
    report = cli("report", "--dir", private, "--json").json
    assert report["damaged"] == ["families.json", "records.sqlite3"]
    assert report["catalogue_problems"] > 0
    assert len(report["files"]) == 5


def test_report_shows_names_that_could_move_a_cursor_escaped(cli: Cli) -> None:
    cli.folder.mkdir()
    safetensors(cli.folder / "a\x1b[2Jb.safetensors", ldm())
    assert "\x1b" not in cli("report", "--dir", cli.folder).out


# -- the WebUI around a folder -------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", VERSIONS)
def test_installation_is_told_by_its_files(tmp_path: Path, host: str) -> None:
    webui = install(tmp_path / "any name", host)
    found = find_installation([webui / "extensions" / "vae-manager"])
    assert found is not None
    assert (found.folder, found.id, found.version) == (webui, host, VERSIONS[host])


@pytest.mark.parametrize("gone", ["modules/launch_utils.py", "modules/sd_vae.py"])
def test_installation_without_the_files_of_an_adapter_has_none(tmp_path: Path, gone: str) -> None:
    webui = install(tmp_path / "webui", "a1111")
    (webui / gone).unlink()
    found = installation_at(webui)
    assert found is not None
    assert found.id is None


def test_installation_is_not_any_folder(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    assert installation_at(tmp_path) is None
    assert installation_at(tmp_path / "nothing") is None


@pytest.mark.parametrize("text", ["/home/alice/webui", "https://example.org", "a b", "", "x" * 41])
def test_installation_takes_no_version_that_is_none(tmp_path: Path, text: str) -> None:
    webui = install(tmp_path / "webui", "a1111")
    (webui / "CHANGELOG.md").write_text(f"## {text}\n")
    found = installation_at(webui)
    assert found is not None
    assert found.version in (None, "a")


def test_commit_is_read_from_the_git_folder(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/master\n")
    assert commit_of(tmp_path) is None
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'0' * 40} refs/heads/dev\n{COMMIT} refs/heads/master\n"
    )
    assert commit_of(tmp_path) == COMMIT[:8]
    (git / "refs" / "heads" / "master").write_text(f"{'1' * 40}\n")
    assert commit_of(tmp_path) == "1" * 8
    (git / "HEAD").write_text(COMMIT)
    assert commit_of(tmp_path) == COMMIT[:8]
    (tmp_path / "secret").write_text(COMMIT)
    (git / "HEAD").write_text("ref: ../secret\n")
    assert commit_of(tmp_path) is None


def test_report_finds_the_webui_that_the_extension_is_in(cli: Cli) -> None:
    webui = install(cli.home / "webui", "forge")
    extension = webui / "extensions" / "vae-manager"
    extension.mkdir(parents=True)
    (extension / "vae_manager").symlink_to(ROOT / "vae_manager", target_is_directory=True)
    cli.variables["PYTHONPATH"] = str(extension)
    fill(webui / "models" / "VAE")
    report = cli("report", "--json").json
    assert (report["webui"]["id"], len(report["files"])) == ("forge", 4)
