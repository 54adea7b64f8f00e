"""The proofs of tests/guards/test_comparison*.py against the running WebUI, which needs --api."""

from __future__ import annotations

import pytest

from ..guards.fixtures import *  # noqa: F403
from ..guards.test_comparison import *  # noqa: F403
from ..guards.test_comparison_cut_short import *  # noqa: F403
from .test_guards import stage  # noqa: F401

pytestmark = pytest.mark.live
