"""Imitates modules_forge/forge_version.py."""

from __future__ import annotations

version = "2.0.1v1.10.1"
