"""A thousand random swaps among good and bad VAEs, by all ways, with checkpoints switched in between.

    python tasks.py prove swaps [SWAPS] [--webui URL --webui-dir DIR]

Without a URL it starts the stand-in WebUI of the tests. Counted: pictures whose pixels or infotext are not those that
the same VAE and checkpoint gave at first, bad files about which nothing was said, and the memory of the process.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.results import write
from tests.guards.bad_files import BAD
from tests.guards.good_files import GOOD, write_sd1, write_tiny
from tests.guards.stage import Stage
from tests.guards.walk import Walk
from tests.live.webui import WebUI

SEED = 20261123
SETTLED = 0.2
"""The part of the walk after which every cache is full."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("swaps", type=int, nargs="?", default=1000)
    parser.add_argument("--webui", metavar="URL")
    parser.add_argument("--webui-dir", metavar="DIR", type=Path)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after these, with fewer swaps")
    parser.add_argument("--look-every", type=int, default=1, metavar="N", help="a plain picture after each N-th step")
    parser.add_argument("--result", default="swaps", help="its name below bench/results")
    options = parser.parse_args()
    running = live(options.webui, options.webui_dir) if options.webui else stand_in()
    with running as (stage, pid, kind), tempfile.TemporaryDirectory() as folder:
        marker = Path(folder) / "code-has-run"
        stage.lay(BAD, marker)
        try:
            figures = run(stage, pid, options.swaps, options.minutes * 60, options.look_every)
        finally:
            stage.clear(BAD)
        figures["hostile_code_ran"] = marker.exists()
    path = write(options.result, {"webui": kind, **figures})
    print(path.read_text(encoding="utf-8"))
    if figures["pictures_that_drifted"] or figures["refusals_not_told"] or figures["hostile_code_ran"]:
        sys.exit(1)


def run(stage: Stage, pid: int, swaps: int, seconds: float, look_every: int) -> dict[str, object]:
    walk = Walk(stage, SEED)
    began = time.monotonic()
    memory: list[tuple[int, int]] = [(0, resident(pid))]
    steps = 0
    while walk.swaps < swaps and time.monotonic() - began < seconds:
        steps += 1
        walk.step(look=steps % look_every == 0)
        memory.append((walk.swaps, resident(pid)))
        if steps % 20 == 0:
            print(f"{walk.swaps} swaps, {walk.pictures} pictures, {memory[-1][1] / 1e6:.0f} MB", flush=True)
    stage.webui.set(sd_checkpoints_limit=1, sd_vae="None")
    stage.checkpoint(stage.first)
    settled = [one for number, one in memory if number >= SETTLED * walk.swaps]
    half = len(settled) // 2
    return {
        "swaps": walk.swaps,
        "steps": dict(sorted(walk.done.items())),
        "pictures_compared": walk.pictures,
        "pictures_that_drifted": walk.drifted,
        "refusals_not_told": walk.untold,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "memory_bound_for_vaes_bytes": round(float(stage.webui.option("vae_manager_memory")) * 1e9),
        "bytes_of_one_vae": (stage.vaes / stage.a).stat().st_size,
        "resident_bytes": {
            "at_first": memory[0][1],
            "most": max(one for _, one in memory),
            "most_in_the_first_half_once_settled": max(settled[:half]),
            "most_in_the_second_half": max(settled[half:]),
            "at_the_end": memory[-1][1],
        },
    }


def resident(pid: int) -> int:
    """Bytes of RAM that are the process's own: pages of a checkpoint that it has mapped are the system's to take."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)[1])  # type: ignore[index]


@contextmanager
def live(url: str, folder: Path) -> Iterator[tuple[Stage, int, str]]:
    webui = WebUI(url, folder, None)
    before = webui.options()
    pid = int((folder / "webui.pid").read_text(encoding="ascii"))
    write_sd1(folder / "models" / "VAE")
    webui.refresh()
    stage = Stage(webui, folder, GOOD, folder / "webui.log", size=64)
    try:
        yield stage, pid, "stable-diffusion-webui"
    finally:
        stage.put_back()
        webui.restore(before)
        for name in GOOD:
            (folder / "models" / "VAE" / name).unlink()
        webui.refresh()


@contextmanager
def stand_in() -> Iterator[tuple[Stage, int, str]]:
    from tests.host.fixtures import start_webui

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_tiny(data / "models" / "VAE")
        with start_webui(data, "--api", "--step-seconds", "0.001", env={"OMP_NUM_THREADS": "1"}) as webui:
            driven = WebUI(webui.url, data, None)
            yield Stage(driven, data, GOOD, webui.log, size=32), webui.process.pid, "stand-in of the tests"


if __name__ == "__main__":
    main()
