"""Neo's loader gets recognised text encoders and VAEs that were read, and never a pickle."""

from __future__ import annotations

from ..forge.test_what_is_handed import *  # noqa: F403
