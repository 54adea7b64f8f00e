"""The proofs of tests/forge about the list of modules that hold on Neo too."""

from __future__ import annotations

from ..forge.test_modules import *  # noqa: F403
