"""Imitates Forge's scripts/xyz_grid.py: one axis more. The one for VAEs sets an option that nobody reads."""

from __future__ import annotations

from tests.host.layers import underneath

webui = underneath(globals())

_place = webui.LABELS.index(("CFG Scale", "both")) + 1
LABELS = (*webui.LABELS[:_place], ("Distilled CFG Scale", "both"), *webui.LABELS[_place:])
