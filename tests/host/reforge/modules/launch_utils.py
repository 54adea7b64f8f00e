from __future__ import annotations

from modules_forge import forge_version

from tests.host.layers import underneath

underneath(globals())

_git_tag = git_tag  # noqa: F821  # A1111's


def git_tag() -> str:
    return f"f{forge_version.version}-{_git_tag()}"
