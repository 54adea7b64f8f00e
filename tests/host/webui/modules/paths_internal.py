"""Imitates modules/paths_internal.py: folders, read from the command line before anything else."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

sys.argv += shlex.split(os.environ.get("COMMANDLINE_ARGS", ""))

cwd = str(Path.cwd())
modules_path = str(Path(__file__).resolve().parent)
script_path = str(Path(modules_path).parent)
sd_model_file = str(Path(script_path, "model.ckpt"))
default_sd_model_file = sd_model_file


def normalized_filepath(filepath: str) -> str:
    """Absolute, without following links."""
    return str(Path(filepath).absolute())


_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
_parser.add_argument("--data-dir", type=str, default=script_path)
_parser.add_argument("--models-dir", type=str, default=None)
cmd_opts_pre = _parser.parse_known_args()[0]

data_path: str = cmd_opts_pre.data_dir
models_path: str = cmd_opts_pre.models_dir or str(Path(data_path, "models"))
extensions_dir = str(Path(data_path, "extensions"))
extensions_builtin_dir = str(Path(script_path, "extensions-builtin"))
default_output_dir = str(Path(data_path, "outputs"))
