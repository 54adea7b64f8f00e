"""Imitates Forge's modules/launch_utils.py: another version."""

from __future__ import annotations

from modules_forge import forge_version

from tests.host.layers import underneath

webui = underneath(globals())

TAG = "previous-669-gdfdcbab6"


def git_tag() -> str:
    return f"f{forge_version.version}-{TAG}"
