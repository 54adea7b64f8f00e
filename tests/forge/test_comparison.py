"""A comparison on Forge gives the pictures that Forge makes with each VAE."""

from __future__ import annotations

from ..guards.test_comparison import *  # noqa: F403
