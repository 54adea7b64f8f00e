"""Imitates Neo's modules/scripts.py: with Neo's own scripts in the place of Forge's."""

from __future__ import annotations

from tests.host.layers import underneath

forge = underneath(globals())
