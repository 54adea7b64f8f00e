"""Detection of an update of the extension while the WebUI runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wording import says
from vae_manager.webui import update
from vae_manager.webui.ui.page import Page
from vae_manager.webui.update import INTERVAL_S, ROOT, LoadedCode


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += INTERVAL_S
        return self.now


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    """A copy of the extension's files."""
    root = tmp_path / "sd-webui-vae-manager"
    for name in update.FOLDERS:
        shutil.copytree(ROOT / name, root / name)
    for name in update.FILES:
        shutil.copy2(ROOT / name, root / name)
    return root


@pytest.fixture
def loaded(extension: Path) -> LoadedCode:
    code = LoadedCode(extension, Clock())
    assert not code.is_outdated()
    return code


def append(path: Path, text: str = "\n# another line\n") -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def of_one_size(path: Path) -> None:
    """Other content of the same size under the same mtime."""
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-2] + b"#\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: append(root / "vae_manager" / "choice.py"),
        lambda root: append(root / "javascript" / "vae_manager.js", "//\n"),
        lambda root: append(root / "style.css", " "),
        lambda root: append(root / "vae_manager" / "webui" / "ui" / "templates" / "status.html"),
        lambda root: append(root / "vae_manager" / "catalogue" / "vaes.yaml"),
        lambda root: append(root / "install.py"),
        lambda root: (root / "vae_manager" / "new.py").write_text("x = 1"),
        lambda root: (root / "vae_manager" / "choice.py").unlink(),
        lambda root: (root / "vae_manager" / "choice.py").rename(root / "vae_manager" / "choices.py"),
        lambda root: of_one_size(root / "vae_manager" / "choice.py"),
    ],
)
def test_other_code_on_the_disk_is_an_update(
    extension: Path, loaded: LoadedCode, change: Callable[[Path], object]
) -> None:
    change(extension)
    assert loaded.is_outdated()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "vae_manager" / "__pycache__" / "choice.cpython-310.pyc").write_bytes(b"x"),
        lambda root: (root / "vae_manager" / "choice.py").touch(),
        lambda root: (root / "README.md").write_text("x"),
        lambda root: (root / "tests").mkdir(),
        lambda root: (root / "vae_manager" / "choice.py.orig").write_text("x"),
        lambda root: (root / "vae_manager" / ".mypy_cache").mkdir(),
        lambda root: os.utime(root / "style.css", ns=(5, 5)),
    ],
)
def test_the_same_code_is_no_update(extension: Path, loaded: LoadedCode, change: Callable[[Path], object]) -> None:
    (extension / "vae_manager" / "__pycache__").mkdir(exist_ok=True)
    change(extension)
    assert not loaded.is_outdated()


def test_a_change_that_is_taken_back_is_no_update(extension: Path, loaded: LoadedCode) -> None:
    path = extension / "vae_manager" / "choice.py"
    before = path.read_bytes()
    append(path)
    assert loaded.is_outdated()
    path.write_bytes(before)
    assert not loaded.is_outdated()


def test_a_change_before_the_first_question_counts(extension: Path) -> None:
    code = LoadedCode(extension, Clock())
    append(extension / "vae_manager" / "choice.py")
    assert code.is_outdated()


def test_a_removed_extension_is_no_update(extension: Path, loaded: LoadedCode) -> None:
    shutil.rmtree(extension)
    assert not loaded.is_outdated()


def test_a_pull_is_an_update_and_a_pull_of_documents_is_none(extension: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=extension, check=True, capture_output=True)

    (extension / "README.md").write_text("one")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    (extension / "README.md").write_text("two")
    git("commit", "-qam", "two")
    append(extension / "vae_manager" / "choice.py")
    git("commit", "-qam", "three")
    git("checkout", "-q", "HEAD~2")
    code = LoadedCode(extension, Clock())
    assert not code.is_outdated()
    git("reset", "--hard", "-q", "HEAD@{1}~1")
    assert (extension / "README.md").read_text() == "two"
    assert not code.is_outdated()
    git("reset", "--hard", "-q", "HEAD@{2}")
    assert code.is_outdated()


def test_the_page_names_the_update(page: Page, extension: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = LoadedCode(extension, Clock())
    monkeypatch.setattr("vae_manager.webui.ui.view_model.loaded_code", lambda: code)
    assert not says(page.state({})["regions"]["status"], "restart-needed")
    append(extension / "vae_manager" / "choice.py")
    assert says(page.state({})["regions"]["status"], "restart-needed")


def test_a_look_is_cheap_and_rare(extension: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = LoadedCode(extension)
    looks: list[Path] = []

    def look(root: Path) -> dict[str, object]:
        looks.append(root)
        return {}

    monkeypatch.setattr(update, "_stats_of", look)
    for _ in range(100):
        code.is_outdated()
    assert len(looks) == 1
