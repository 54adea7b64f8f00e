"""Inside reForge: whatever raises at whatever line, weights and book-keeping are those of before, or the new ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..host.asking import write_vaes
from ..host.data import make_data_dir
from ..host.fixtures import WebUI, start_webui
from ..swap.inside import install_inside
from ..swap.test_inside import test_interrupted_before_any_line_the_model_is_whole as test_interrupted_anywhere

__all__ = ["test_interrupted_anywhere"]


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("inside")
    write_vaes(data / "models" / "VAE")
    make_data_dir(data, ["demo-a"])
    install_inside(data)
    with start_webui(data, "--api", "--step-seconds", "0.001", "--as", "reforge", forked=False) as started:
        yield started


@pytest.fixture(autouse=True)
def set_up_anew_after_a_failure() -> None:
    """There is no stage here."""
