"""The proofs of tests/neo against the running WebUI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..guards.fixtures import *  # noqa: F403
from ..guards.stage import Stage
from ..neo.test_overrides import *  # noqa: F403
from ..neo.test_presets import *  # noqa: F403
from .test_guards import stage as any_stage  # noqa: F401

pytestmark = pytest.mark.live


@pytest.fixture(scope="session")
def stage(any_stage: Stage) -> Iterator[Stage]:  # noqa: F811
    if not any_stage.is_neo:
        pytest.skip("this WebUI is no Forge Neo")
    yield any_stage
