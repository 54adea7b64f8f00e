"""The hub's fixtures, for its own tests."""

from __future__ import annotations

from .fixtures import certificate, https_hub, hub

__all__ = ["certificate", "https_hub", "hub"]
