"""install.py, run as the WebUI runs it: in a process of its own, in the WebUI's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "install.py"

PIP = """
import json, os, sys
from pathlib import Path
at = sys.argv.index("-c") + 1
asked = {"arguments": sys.argv[1:at] + sys.argv[at + 1:], "held": Path(sys.argv[at]).read_text().splitlines()}
Path(os.environ["ASKED"]).write_text(json.dumps(asked))
sys.exit(int(os.environ.get("PIP_STATUS", "0")))
"""
"""A pip that only writes down what it is asked."""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    builder = venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt")
    builder.create(folder)
    return Path(builder.ensure_directories(folder).env_exe)


@dataclass
class Host:
    """A WebUI's folder, and what is installed for its Python."""

    python: Path
    folder: Path
    """Where it is started."""
    packages: Path
    """Its packages."""
    asked_at: Path
    variables: Mapping[str, str]

    def add(self, name: str, version: str, folder: str = "", *, leftover: bool = False, place: str = "") -> None:
        """Put a package there; `place` is another folder of packages that comes later on the path."""
        packages = self.packages.with_name(place) if place else self.packages
        module = packages / (folder or name)
        module.mkdir(parents=True, exist_ok=True)
        (module / "__init__.py").write_text(f"version = {version!r}\n")
        info = packages / f"{'~' + name[1:] if leftover else name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text("")

    def fake_pip(self) -> None:
        (self.packages / "pip").mkdir()
        (self.packages / "pip" / "__init__.py").write_text("")
        (self.packages / "pip" / "__main__.py").write_text(PIP)

    def start(self, script: Path = SCRIPT, **variables: str) -> subprocess.CompletedProcess[str]:
        """As launch_utils.py run_extension_installer does."""
        path = os.pathsep.join(map(str, (self.folder, self.packages, self.packages.with_name("later"))))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        own = {"PYTHONPATH": path, "ASKED": str(self.asked_at), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [str(self.python), str(script)],
            cwd=self.folder,
            env={**kept, **own, **self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def asked(self) -> dict[str, list[str]] | None:
        """What pip was asked; None when it was not."""
        if not self.asked_at.exists():
            return None
        asked: dict[str, list[str]] = json.loads(self.asked_at.read_text())
        return asked


def host_of(python: Path, folder: Path, **variables: str) -> Host:
    webui, packages = folder / "webui", folder / "packages"
    webui.mkdir()
    packages.mkdir()
    return Host(python, webui, packages, folder / "asked.json", variables)


@pytest.fixture
def host(bare_python: Path, tmp_path: Path) -> Host:
    """A host without packages, whose pip only writes down what it is asked."""
    host = host_of(bare_python, tmp_path)
    host.fake_pip()
    return host


# -- nothing to do -------------------------------------------------------------------------------------------------
def test_nothing_is_done_or_said_when_all_is_there(host: Host) -> None:
    host.add("requests", "2.31.0")
    host.add("huggingface_hub", "0.36.2")
    result = host.start()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert host.asked is None
    assert list(host.folder.iterdir()) == []


def test_nor_in_the_environment_of_these_tests(tmp_path: Path) -> None:
    host = host_of(Path(sys.executable), tmp_path)
    host.fake_pip()
    result = host.start()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert host.asked is None


@pytest.mark.parametrize("version", ["0.10.0", "2.4.0"])
def test_a_version_is_never_changed(host: Host, version: str) -> None:
    """The host pins it; whether it is too old is told where it is used."""
    host.add("requests", "1.0")
    host.add("huggingface_hub", version)
    assert host.start().stdout == ""
    assert host.asked is None


def test_the_packages_are_looked_for_and_not_imported(host: Host) -> None:
    for name in ("requests", "huggingface_hub"):
        host.add(name, "1.0")
        (host.packages / name / "__init__.py").write_text("raise SystemExit('imported')")
    result = host.start()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# -- something is missing ------------------------------------------------------------------------------------------
def test_what_is_missing_is_asked_of_pip(host: Host) -> None:
    result = host.start()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "VAE Manager: installing requests, huggingface_hub>=0.16\n"
    assert host.asked == {"arguments": ["install", "-c", "requests", "huggingface_hub>=0.16"], "held": []}


def test_only_what_is_missing(host: Host) -> None:
    host.add("requests", "2.31.0")
    host.start()
    assert host.asked is not None
    assert host.asked["arguments"] == ["install", "-c", "huggingface_hub>=0.16"]


def test_every_package_of_the_host_is_held_at_its_version(host: Host) -> None:
    host.add("requests", "2.31.0")
    host.add("torch", "2.1.2+cu121")
    host.add("Pillow", "9.5.0", "PIL")
    host.add("gradio", "3.41.2")
    host.add("pre", "1.0rc1.post2.dev3")
    host.start()
    assert host.asked is not None
    assert sorted(host.asked["held"]) == [
        "Pillow==9.5.0",
        "gradio==3.41.2",
        "pre==1.0rc1.post2.dev3",
        "requests==2.31.0",
        "torch==2.1.2+cu121",
    ]


def test_of_two_versions_the_one_that_python_imports_is_held(host: Host) -> None:
    """A virtual environment above the system's packages, say: both at once could never be satisfied."""
    host.add("urllib3", "2.2.0")
    host.add("urllib3", "1.26.5", place="later")
    host.start()
    assert host.asked is not None
    assert host.asked["held"] == ["urllib3==2.2.0"]


def test_what_pip_left_behind_is_not_held(host: Host) -> None:
    host.add("urllib3", "2.2.0")
    host.add("urllib3", "1.26.5", leftover=True)
    host.add("gone", "1.0", leftover=True)
    host.start()
    assert host.asked is not None
    assert host.asked["held"] == ["urllib3==2.2.0"]


def test_a_damaged_dist_info_does_no_harm(host: Host) -> None:
    (host.packages / "broken-1.0.dist-info").mkdir()
    (host.packages / "half-1.0.dist-info").mkdir()
    (host.packages / "half-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: half\n")
    assert host.start().returncode == 0
    assert host.asked is not None
    assert host.asked["held"] == []


def test_when_pip_fails_the_webui_can_tell(host: Host) -> None:
    assert host.start(PIP_STATUS="1").returncode != 0


def test_the_list_is_that_of_the_project() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = "import install, json; print(json.dumps(install.requirements()))"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == project["dependencies"]


# -- with the real pip ---------------------------------------------------------------------------------------------
def wheel(folder: Path, name: str, version: str, *needs: str) -> None:
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        info = f"{name}-{version}.dist-info"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {need}" for need in needs]
        archive.writestr(f"{name}/__init__.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def shop(bare_python: Path, tmp_path: Path) -> tuple[Host, Path]:
    """A host with `requests` and `held` 1.0, and the real pip, which finds packages in one folder only."""
    pip = pytest.importorskip("pip")
    wheels, target = tmp_path / "wheels", tmp_path / "installed"
    wheels.mkdir()
    host = host_of(
        bare_python,
        tmp_path,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(wheels),
        PIP_CONFIG_FILE=os.devnull,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_CACHE_DIR="1",
        PIP_TARGET=str(target),
    )
    (host.packages / "pip").symlink_to(Path(pip.__file__).parent, target_is_directory=True)
    host.add("requests", "2.31.0")
    host.add("held", "1.0")
    host.add("system_package", "0.23ubuntu1")
    wheel(wheels, "held", "1.0")
    wheel(wheels, "held", "2.0")
    return host, wheels


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_newer_version_of_what_the_host_has_is_not_taken(shop: tuple[Host, Path], tmp_path: Path) -> None:
    host, wheels = shop
    wheel(wheels, "huggingface_hub", "0.30.0", "held")
    result = host.start()
    assert result.returncode == 0, result.stdout + result.stderr
    installed = tmp_path / "installed"
    assert (installed / "huggingface_hub").is_dir()
    assert (installed / "held" / "__init__.py").read_text() == "version = '1.0'\n"


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_what_needs_a_newer_one_is_not_installed(shop: tuple[Host, Path], tmp_path: Path) -> None:
    host, wheels = shop
    wheel(wheels, "huggingface_hub", "0.30.0", "held>=2")
    result = host.start()
    assert result.returncode != 0
    assert "held" in result.stderr
    assert not (tmp_path / "installed").exists()
    assert (host.packages / "held" / "__init__.py").read_text() == "version = '1.0'\n"
