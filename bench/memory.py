"""The WebUI's memory after many swaps and checkpoint switches, with the extension and without it.

    python tasks.py prove memory --webui URL --webui-dir DIR --restart-command CMD [--rounds N]

Each measurement begins with a restart. Six VAE files of 335 MB go in one after the other, twice, then the first two
checkpoints, six times each; every step makes a picture. Then, with the extension, one of the six files is deleted in
the page, and the limit is set to 0. The set-ups take turns, in another order each round: the WebUI alone (an empty
folder is in the extension's place), and the extension with its default limit, with a limit of 0 and with 3.2 GB.

The limit is written to config.json right before a restart, so CMD has to end the WebUI before it can save: kill -9.
Where the system has a trash, a deleted file stays there; from the extension's own it is restored.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from safetensors.torch import load_file, save_file

from bench.results import write
from tests.live.files import write_sd1_vae
from tests.live.webui import WebUI, until
from vae_manager.maintenance import key_of
from vae_manager.webui.hosts.common.options import MEMORY

ROOT = Path(__file__).resolve().parents[1]
FILES, SWAPS, SWITCHES = 6, 12, 12
SEED = 71
ALONE, DEFAULT, NONE_KEPT, LARGE = "without the extension", "default limit", "limit 0", "limit 3.2 GB"
LIMITS: Mapping[str, float | None] = {DEFAULT: None, NONE_KEPT: 0, LARGE: 3.2}
"""In GB; None: config.json holds none."""
SETUPS = (ALONE, *LIMITS)
MARGIN = 1.10
"""Times the memory of the WebUI alone that it may take if nothing is kept."""
FREED = 0.9
"""Part of what a deleted file took that has to come back."""

Reading = dict[str, int]
Round = dict[str, Any]


def main() -> None:
    options = parser().parse_args()
    webui = WebUI(options.webui, options.webui_dir, options.restart_command)
    bench = Bench(webui, options.webui_dir, half=options.half)
    setups = options.setup or SETUPS
    rounds: dict[str, list[Round]] = {setup: [] for setup in SETUPS}
    with bench.files(), bench.config_kept():
        for number in range(options.rounds):
            for setup in (*setups[number % len(setups) :], *setups[: number % len(setups)]):
                found = bench.measure(setup)
                rounds[setup].append(found)
                print(f"{setup}: {json.dumps(found)}", flush=True)
                save(options.result, bench, rounds)
    path = save(options.result, bench, rounds)
    print(path.read_text(encoding="utf-8"))
    if not all(goal["met"] for goal in wanted(rounds, bench.set_bytes)):
        sys.exit(1)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove memory")
    options.add_argument("--webui", metavar="URL", required=True, help="where the WebUI answers")
    options.add_argument("--webui-dir", metavar="DIR", type=Path, required=True, help="its folder, with models/ in it")
    options.add_argument(
        "--restart-command", metavar="CMD", required=True, help="kills it (kill -9) and starts it again"
    )
    options.add_argument("--setup", action="append", choices=SETUPS, help="measure this one; by default all")
    options.add_argument("--rounds", type=int, default=3, help="measurements of each set-up")
    options.add_argument(
        "--half", action="store_true", help="the files are of 16 bits, and are converted for the model"
    )
    options.add_argument("--result", default="memory", help="its name below bench/results")
    return options


class Bench:
    """The WebUI that is measured, and what is changed of it for a while."""

    def __init__(self, webui: WebUI, folder: Path, *, half: bool) -> None:
        self._webui = webui
        self.half = half
        self._folder = folder
        self._config = folder / "config.json"
        self._vaes = folder / "models" / "VAE"
        self._names = [f"memory-{number}.safetensors" for number in range(FILES)]
        self._checkpoints = [str(one["model_name"]) for one in webui.get("/sdapi/v1/sd-models")[:2]]
        if len(self._checkpoints) < 2:
            sys.exit("The WebUI needs two checkpoints.")
        links = [path for path in (folder / "extensions").iterdir() if path.resolve() == ROOT]
        if len(links) != 1:
            sys.exit(f"{ROOT} is to be in {folder / 'extensions'} once.")
        self._extension = links[0]
        self.settings = {
            name: webui.option(name)
            for name in ("sd_checkpoints_limit", "sd_vae_checkpoint_cache", "sd_checkpoint_cache")
        }
        self.set_bytes = 0
        """Bytes of one VAE in memory, in 32 bits. On a GPU the WebUI has to be started with --no-half."""

    @contextmanager
    def files(self) -> Iterator[None]:
        """The six files are in the VAE folder."""
        try:
            for number in range(FILES):
                self._write(number)
            yield
        finally:
            for name in self._names:
                (self._vaes / name).unlink(missing_ok=True)
            self._webui.restart()
            self._webui.refresh()

    def _write(self, number: int) -> None:
        target = self._vaes / self._names[number]
        if not target.exists():
            partial = target.with_suffix(".partial")
            write_sd1_vae(partial, seed=SEED + number)
            self.set_bytes = partial.stat().st_size
            if self.half:
                halve(partial)
            partial.rename(target)

    @contextmanager
    def config_kept(self) -> Iterator[None]:
        before = self._config.read_text(encoding="utf-8")
        try:
            yield
        finally:
            self._config.write_text(before, encoding="utf-8")

    @contextmanager
    def _without_extension(self) -> Iterator[None]:
        """An empty folder is in its place: a restart command may link what is missing."""
        away = self._folder / f"{self._extension.name}-away"
        self._extension.rename(away)
        self._extension.mkdir()
        try:
            yield
        finally:
            self._extension.rmdir()
            away.rename(self._extension)

    def measure(self, setup: str) -> Round:
        for number in range(FILES):  # one may have been deleted by the measurement before
            self._write(number)
        config = json.loads(self._config.read_text(encoding="utf-8"))
        config.pop(MEMORY, None)
        limit = LIMITS.get(setup)
        if limit is not None:
            config[MEMORY] = limit
        config["sd_vae"] = "None"
        self._config.write_text(json.dumps(config, indent=4), encoding="utf-8")
        if setup == ALONE:
            with self._without_extension():
                self._webui.restart_bare()
                return self._walk()
        self._webui.restart()
        found = self._walk()
        found["limit_bytes"] = round(float(self._webui.option(MEMORY)) * 1e9)
        found["after the deletion"] = self._after_deletion()
        self._webui.set(**{MEMORY: 0})
        found["once nothing is kept"] = memory(process_at(self._webui.url))
        return found

    def _walk(self) -> Round:
        """Take the steps; gives the memory between them."""
        webui, pid = self._webui, process_at(self._webui.url)
        webui.picture()
        found: Round = {"at first": memory(pid)}
        for number in range(SWAPS):
            webui.choose(self._names[number % FILES])
            assert webui.picture().vae == self._names[number % FILES]
        found["after the swaps"] = memory(pid)
        first, second = self._checkpoints
        for number in range(SWITCHES):
            webui.set(sd_model_checkpoint=first if number % 2 else second)
            webui.picture()
        found["after the switches"] = memory(pid)
        return found

    def _after_deletion(self) -> Reading:
        """Delete a file that was in use a moment ago: the one before the last."""
        path = self._vaes / self._names[(SWAPS - 2) % FILES]
        key = key_of(path)

        def state() -> dict[str, Any]:
            return self._webui.state(library="", file=key)

        until(state, lambda state: key in state["library"]["rows"] and not state["library"]["active"])
        self._webui.act(do="delete-file", file=key)
        until(path.exists, lambda there: not there)
        now = until(state, lambda state: key not in state["library"]["rows"] and not state["library"]["active"])
        found = memory(process_at(self._webui.url))
        listed = re.findall(r'data-vae-removed="([^"]+)">.*?<bdi>(.*?)</bdi>', now["library"]["regions"]["trash"])
        for entry, name in listed:
            if html.unescape(name) == path.name:
                self._webui.act(do="restore-file", entry=html.unescape(entry), name="")
        return found


def halve(path: Path) -> None:
    """Write the file's weights in 16 bits."""
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})


def process_at(url: str) -> int:
    """The process that listens at the port of `url`."""
    port = urlsplit(url).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid is not None:
            return connection.pid
    sys.exit(f"No process of this machine listens at {url}.")


def memory(pid: int) -> Reading:
    """Bytes: resident in all, those of no file, the share that is this process's own, and the most that ever were."""
    fields = {"VmRSS": "resident", "RssAnon": "of no file", "VmHWM": "most resident"}
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name in fields:
            found[fields[name]] = int(value.split()[0]) * 1024
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found["proportional"] = next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return found


# -- figures ---------------------------------------------------------------------------------------------------------
def median(rounds: Sequence[Round], moment: str, what: str = "resident") -> int:
    return round(statistics.median(one[moment][what] for one in rounds))


def wanted(rounds: Mapping[str, Sequence[Round]], set_bytes: int) -> list[dict[str, Any]]:
    """Return the goals that the figures so far decide."""
    if not all(rounds.values()):
        return []
    moment = "after the switches"
    alone = median(rounds[ALONE], moment)
    goals = [
        (f"{NONE_KEPT}: at most {MARGIN:.2f} times the WebUI alone", median(rounds[NONE_KEPT], moment), MARGIN * alone)
    ]
    for setup in (DEFAULT, LARGE):
        limit = statistics.median(one["limit_bytes"] for one in rounds[setup])
        goals.append((f"{setup}: at most the WebUI alone and the limit", median(rounds[setup], moment), alone + limit))
        before, after = (median(rounds[setup], when) for when in (moment, "after the deletion"))
        goals.append(
            (f"{setup}, then 0: as with a limit of 0", median(rounds[setup], "once nothing is kept"), MARGIN * alone)
        )
        goals.append((f"{setup}: what a deleted file left is dropped", after, before - FREED * set_bytes))
    return [
        {"what": what, "bytes": found, "at_most": round(limit), "met": found <= limit} for what, found, limit in goals
    ]


def save(name: str, bench: Bench, rounds: Mapping[str, list[Round]]) -> Path:
    """Write what is known by now: a run takes long, and may be cut off."""
    medians = {
        setup: {
            moment: {what: median(done, moment, what) for what in done[0][moment]}
            for moment in done[0]
            if isinstance(done[0][moment], dict)
        }
        for setup, done in rounds.items()
        if done
    }
    figures = {
        "webui": "stable-diffusion-webui",
        "settings": bench.settings,
        "files_of_16_bits": bench.half,
        "bytes_of_one_vae": bench.set_bytes,
        "files": FILES,
        "swaps": SWAPS,
        "switches": SWITCHES,
        "rounds": rounds,
        "medians": medians,
        "wanted": wanted(rounds, bench.set_bytes),
    }
    return write(name, figures)


if __name__ == "__main__":
    main()
