"""Imitates Forge's modules/cmd_args.py: one flag more."""

from __future__ import annotations

from typing import Any

from tests.host.layers import underneath

webui = underneath(globals())

parser: Any = webui.parser
parser.add_argument("--text-encoder-dir", type=webui.normalized_filepath, default=None)
