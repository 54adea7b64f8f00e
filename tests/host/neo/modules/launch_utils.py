"""Imitates Neo's modules/launch_utils.py: another version."""

from __future__ import annotations

from modules_forge import forge_version

from tests.host.layers import underneath

forge = underneath(globals())


def git_tag() -> str:
    return forge_version.version
