"""Only the project's own reader unpickles a VAE file, on every path.

The tests use a separate WebUI, in which each unpickler records its input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ..files.hostile import HOSTILE
from ..host.inside import install_inside
from .bad_files import layout_of, shown_by
from .good_files import TORCH_FORMS
from .stage import FROM_FILE, Stage, assert_told
from .test_torch_files import torch_file
from .ways import WAYS

WATCH = """
import sys
import inside_package

if not hasattr(inside_package, "unpickled"):
    import torch
    from modules import sd_models

    inside_package.unpickled = []

    def noting(owner, name):
        original = getattr(owner, name)

        def noted(file, *args, **kwargs):
            if str(file).endswith((".pt", ".ckpt", ".bin")):
                inside_package.unpickled.append(f"{name} {file}")
            return original(file, *args, **kwargs)

        setattr(owner, name, noted)

    noting(torch, "load")
    if hasattr(sd_models, "read_state_dict"):
        noting(sd_models, "read_state_dict")
    if "backend.utils" in sys.modules:
        noting(sys.modules["backend.utils"], "load_torch_file")

    def hear(event, arguments):
        if event == "pickle.find_class":
            inside_package.unpickled.append(f"{event} {arguments}")

    sys.addaudithook(hear)
answer, inside_package.unpickled = inside_package.unpickled, []
"""
HOSTILE_NAME = "hostile.pt"


def unpickled(stage: Stage) -> list[str]:
    """Return the inputs of unpicklers since the last call."""
    status, answer = stage.webui.ask("/inside", {"lines": WATCH})
    assert status == 200, answer
    found: list[str] = answer
    return found


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, starts_stage: Callable[[Path], AbstractContextManager[Stage]]
) -> Iterator[Stage]:
    data = tmp_path_factory.mktemp("watched")
    install_inside(data)
    with starts_stage(data) as started:
        unpickled(started)
        yield started


@pytest.fixture(scope="module", params=HOSTILE)
def hostile(request: pytest.FixtureRequest, watched: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Put a hostile file in the VAE folder; yield the marker that it would write."""
    marker = tmp_path_factory.mktemp("marker") / "code-has-run"
    path = watched.vaes / HOSTILE_NAME
    path.write_bytes(HOSTILE[request.param](shown_by(watched.vaes / watched.a), f"touch '{marker}'"))
    watched.webui.refresh()
    yield marker
    path.unlink()
    watched.unknown()


@pytest.mark.parametrize("way", [way for way in WAYS if way != "switch, near name"])
def test_a_file_that_can_be_read_in_two_ways_changes_nothing(watched: Stage, hostile: Path, way: str) -> None:
    if way in watched.webui.lacks:
        pytest.skip(watched.webui.lacks[way])
    tried = WAYS[way]
    if tried.switches:
        _ = watched.second_builtin  # to compare with
    watched.begin(FROM_FILE, by_card=tried.by_card, in_memory=tried.in_memory)
    unpickled(watched)
    told = tried.go(watched, HOSTILE_NAME)
    watched.assert_as_before()
    if told is not None:
        assert_told(told, HOSTILE_NAME)
    assert not hostile.exists()
    assert unpickled(watched) == []


@pytest.mark.parametrize("kind", TORCH_FORMS)
def test_a_good_pickle_goes_in_without_an_unpickler(watched: Stage, kind: str) -> None:
    with torch_file(watched, kind) as name:
        watched.begin(FROM_FILE)
        unpickled(watched)
        watched.picture(override_settings={"sd_vae": name})
        watched.webui.choose(name)
        assert watched.picture().vae == name
        assert unpickled(watched) == []


def test_the_checkpoint_mergers_way_to_a_file_is_guarded(watched: Stage) -> None:
    if "merger" in watched.webui.lacks or watched.webui.loads_with_a_picture:
        pytest.skip("this WebUI has no such way")
    with torch_file(watched, "legacy") as name:
        unpickled(watched)
        lines = f"""
from modules import sd_vae
answer = sorted(sd_vae.load_vae_dict({str(watched.vaes / name)!r}, map_location="cpu"))
"""
        status, names = watched.webui.ask("/inside", {"lines": lines})
        assert status == 200
        assert names == sorted(layout_of(watched.vaes / watched.b))
        assert unpickled(watched) == []
