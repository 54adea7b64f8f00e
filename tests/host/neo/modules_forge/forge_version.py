"""Imitates modules_forge/forge_version.py."""

from __future__ import annotations

version = "neo-2.26"
