"""Imitates Neo's modules/ui_settings.py: the list of quick settings has its old name, and some are never applied."""

from __future__ import annotations

from tests.host.layers import underneath

forge = underneath(globals())

QUICKSETTINGS = "quicksettings_list"
