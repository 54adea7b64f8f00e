"""Imitates Neo's modules/cmd_args.py: lists of further folders, in the place of Forge's one."""

from __future__ import annotations

from typing import Any

from tests.host.layers import underneath

forge = underneath(globals())

parser: Any = forge.parser
for flag in ("ckpt-dirs", "vae-dirs", "text-encoder-dirs"):
    parser.add_argument(f"--{flag}", type=forge.normalized_filepath, action="append", default=[])
