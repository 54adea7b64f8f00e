"""A final decode that fails on Forge is done again."""

from __future__ import annotations

from ..guards.test_rescue import *  # noqa: F403
