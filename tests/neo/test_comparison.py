"""A comparison on Neo gives the pictures that Neo makes with each VAE, tiled ones too."""

from __future__ import annotations

from ..guards.test_comparison import *  # noqa: F403
