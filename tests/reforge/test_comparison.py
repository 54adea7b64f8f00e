"""Comparisons on reForge."""

from __future__ import annotations

from ..guards.test_comparison import *  # noqa: F403
