"""Imitates Neo's modules/initialize.py: options change nothing by themselves."""

from __future__ import annotations

from tests.host.layers import underneath

forge = underneath(globals())


def configure_opts_onchange() -> None:
    pass
