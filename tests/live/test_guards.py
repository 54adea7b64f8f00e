"""The proofs of tests/guards against the running WebUI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..guards.fixtures import *  # noqa: F403
from ..guards.good_files import GOOD, write_sd1
from ..guards.stage import Stage
from ..guards.test_all_at_once import *  # noqa: F403
from ..guards.test_any_layout import *  # noqa: F403
from ..guards.test_bad_files import *  # noqa: F403
from ..guards.test_changed_files import *  # noqa: F403
from ..guards.test_converted import *  # noqa: F403
from ..guards.test_hashes import *  # noqa: F403
from ..guards.test_history import *  # noqa: F403
from ..guards.test_overrides import *  # noqa: F403
from ..guards.test_pass_vaes import *  # noqa: F403
from ..guards.test_starts import *  # noqa: F403
from ..guards.test_torch_files import *  # noqa: F403
from ..guards.test_tried_out import *  # noqa: F403
from ..guards.test_walk import *  # noqa: F403
from .webui import WebUI

pytestmark = pytest.mark.live


@pytest.fixture(scope="session")
def stage(webui: WebUI, folder: Path, vae_folder: Path) -> Iterator[Stage]:
    write_sd1(vae_folder)
    webui.refresh()
    before = webui.options()
    try:
        staged = Stage(webui, folder, GOOD, folder / "webui.log", size=64)
    except LookupError as error:
        pytest.skip(str(error))
    yield staged
    staged.put_back()
    webui.set(**{name: before[name] for name in ("sd_model_checkpoint", "sd_checkpoints_limit") if name in before})
    webui.choose("Automatic")
    for name in GOOD:
        (vae_folder / name).unlink(missing_ok=True)  # each module has a stage of its own, with the same files
    webui.refresh()


@pytest.fixture
def unhashed(stage: Stage) -> Stage:
    if not stage.webui.no_hashing():
        pytest.skip("this WebUI was started without --no-hashing")
    return stage
