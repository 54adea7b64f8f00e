"""Forge that lacks a name which the extension uses."""

from ..host.test_missing_names import *  # noqa: F403
