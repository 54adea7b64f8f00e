"""The proofs of tests/guards that hold on Forge too."""

from __future__ import annotations

from ..guards.test_bad_files import *  # noqa: F403
from ..guards.test_changed_files import *  # noqa: F403
from ..guards.test_converted import *  # noqa: F403
from ..guards.test_hashes import *  # noqa: F403
from ..guards.test_history import *  # noqa: F403
from ..guards.test_overrides import *  # noqa: F403
from ..guards.test_pass_vaes import *  # noqa: F403
from ..guards.test_starts import *  # noqa: F403
from ..guards.test_tried_out import *  # noqa: F403
from ..guards.test_unpicklers import *  # noqa: F403
from ..guards.test_walk import *  # noqa: F403
