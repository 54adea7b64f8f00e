"""The components of a checkpoint go into the lists of Neo's presets."""

from __future__ import annotations

from ..forge.test_needs import *  # noqa: F403
