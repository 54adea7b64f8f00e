"""`convert`: the VAE of a file, written so that the WebUI can load it, or in another way."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from ..errors import UsageError
from ..files import inspect, sha256_of
from ..files.conversion import DTYPES, Converted, convert, described, find_twin, free_name, plan
from ..library import Folder, scan
from ..records import HashStore
from ..sentences import megabytes, say
from .shared import print_json, reading_bar, shown, stopped_by_ctrl_c


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, metavar="IN", help="a VAE in any layout, or a whole checkpoint")
    command.add_argument("target", type=Path, metavar="OUT", help="a new .safetensors file, or a folder for it")
    command.add_argument("--dtype", choices=list(DTYPES), help="the number format of the result (default: that of IN)")
    command.add_argument(
        "--layout",
        choices=["ldm", "diffusers"],
        default="ldm",
        help="the names of its tensors (default: ldm, the WebUI's)",
    )


def run(options: argparse.Namespace) -> int:
    source, target = options.source, options.target
    if options.dtype is not None and importlib.util.find_spec("numpy") is None:
        raise UsageError(say("--dtype needs numpy, which is not installed here."))
    hashes = HashStore()
    with stopped_by_ctrl_c() as stop, reading_bar(options) as bar:
        report = bar.of(source)
        planned = plan(inspect(source), dtype=options.dtype, layout=options.layout)
        there = [file.path for file in scan([Folder(target)])] if target.is_dir() else [target]
        twin = find_twin(source, planned, there, hashes, report=report, stop=stop)
        if twin is not None:
            sha256 = sha256_of(twin, stop=stop)
            made = Converted(twin, sha256, twin.stat().st_size, planned.done)
        else:
            path = free_name(target, source, planned.done) if target.is_dir() else target
            made = convert(
                source, path, dtype=options.dtype, layout=options.layout, hashes=hashes, report=report, stop=stop
            )
    if options.json:
        fields = {"path": str(made.target), "sha256": made.sha256, "size": made.size, "done": list(made.done)}
        print_json({**fields, "source": str(source), "already_there": twin is not None})
    else:
        done = "; ".join(map(str, described(made.done)))
        how = "is there already, " if twin is not None else ""
        print(shown(f"{made.target}: {how}{megabytes(made.size)}, {done}, SHA-256 {made.sha256}"))
    return 0
