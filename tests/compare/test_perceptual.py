"""LPIPS is told where its package and its weights are, and nothing is fetched, nor imported, where they are not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from vae_manager.compare.metrics import _network, compare, distance, measure

WEIGHTS = "alexnet-owt-7be5be79.pth"
LPIPS = dedent("""
    class LPIPS:
        \"\"\"Takes what the real one is given, and nothing else; gives how far apart two pictures are on average.\"\"\"

        def __init__(self, *, net, verbose):
            assert (net, verbose) == ("alex", False)

        def __call__(self, first, second):
            for one in (first, second):
                assert one.shape[:2] == (1, 3) and one.dtype.is_floating_point, one
                assert -1 <= one.min() and one.max() <= 1
            return (first - second).abs().mean().reshape(1, 1, 1, 1)
""")
MODELS = dedent("""
    class AlexNet_Weights:
        class IMAGENET1K_V1:
            url = "https://nowhere.example/models/alexnet-owt-7be5be79.pth"
""")
DARK, BRIGHT = (np.full((64, 80, 3), level, np.uint8) for level in (0, 255))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with both packages, first among those that are imported from; torch keeps its files there too."""
    texts = {"lpips/__init__.py": LPIPS, "torchvision/__init__.py": "", "torchvision/models.py": MODELS}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("lpips", "torchvision")}
    for name in before:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    _network.cache_clear()
    yield tmp_path
    _network.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] in ("lpips", "torchvision")]:
        del sys.modules[name]
    sys.modules.update(before)


def fetched(packages: Path, name: str = WEIGHTS) -> None:
    folder = packages / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"")


def test_told_where_all_is_there(packages: Path) -> None:
    fetched(packages)
    assert distance(DARK, BRIGHT) == 2
    assert compare(measure(DARK), measure(BRIGHT)).lpips == 2
    assert compare(measure(DARK), measure(DARK)).lpips is None, "nothing is measured between equal pictures"
    assert distance(DARK[:63], BRIGHT[:63]) is None, "too small for what it was made for"


@pytest.mark.parametrize("name", [None, "alexnet-owt-4df8aa71.pth", "vgg16-397923af.pth"])
def test_nothing_is_made_that_would_fetch_its_weights(packages: Path, name: str | None) -> None:
    """Neither without the file nor with that of another version."""
    if name is not None:
        fetched(packages, name)
    assert distance(DARK, BRIGHT) is None
    assert "lpips" not in sys.modules


@pytest.mark.parametrize("missing", ["lpips", "torchvision"])
def test_nothing_is_imported_where_a_package_lacks(
    packages: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, where nobody else has imported them."""
    fetched(packages)
    (packages / missing).rename(packages / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    code = (
        "import sys, numpy; from vae_manager.compare.metrics import compare, measure; "
        f"sys.modules['{missing}'] = None; "  # as if it were not installed, whoever runs this
        "a, b = (measure(numpy.full((64, 80, 3), n, 'uint8')) for n in (0, 255)); print(compare(a, b).lpips); "
        "print([name for name in ('lpips', 'torchvision') if sys.modules.get(name)])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ended.stdout.split("\n")[:2] == ["None", "[]"], ended.stderr


def test_packages_that_do_not_work_are_left_out(packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    fetched(packages)
    (packages / "torchvision" / "models.py").write_text("raise RuntimeError('operator nms does not exist')")
    assert distance(DARK, BRIGHT) is None
    assert distance(DARK, BRIGHT) is None
    assert [record.getMessage() for record in caplog.records] == [
        "LPIPS is left out: RuntimeError: operator nms does not exist"
    ]
