"""How long a swap takes inside a running WebUI: its own way and this project's, in turn, on the same files.

    python tasks.py prove swap -- --webui URL --webui-dir FOLDER [--pairs N] [--vae NAME]…

The WebUI has this extension, a loaded checkpoint, and two VAE files or more that fit it; nothing else should use the
machine meanwhile. What measures (bench/swap_inside.py) runs in the WebUI's own process: it is put there as the script
of an extension, and taken away again. For either, the WebUI reloads its UI, by itself where it asks for no sign-in.

The result goes to bench/results/swap.json and .md, or to those of another name.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.results import write

INSIDE = Path(__file__).with_name("swap_inside.py")
EXTENSION = "vae-manager-bench"
RELOAD_BUTTON = "settings_restart_gradio"
SILENCE = 120
"""Seconds without any progress after which the WebUI is given up."""
BUSY = 0.3
"""Processors that something else may use before the figures are called rough."""

OURS, OURS_DEVICE = "ours", "ours, on the GPU"
HOSTS, HOSTS_CACHED = "host", "host, its RAM cache"
PLAIN, PLAIN_FRESH = "plain read", "plain read, fresh buffer"
TITLES = {
    OURS: "this project",
    OURS_DEVICE: "this project, two latest on the GPU",
    HOSTS: "the WebUI",
    HOSTS_CACHED: "the WebUI, its own RAM cache",
    PLAIN: "plain read, a buffer that was there",
    PLAIN_FRESH: "plain read, a fresh buffer",
}
Pair = dict[str, Any]
"""What one round gave: for each way `swap` and `then` in seconds, and how busy the machine was."""


def main() -> None:
    options = parser().parse_args()
    scripts = extension_folder(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the extension goes
    order = {
        "names": options.vae or [],
        "calm": options.calm,
        "minutes": options.minutes,
        "warm": options.pairs,
        "cold": options.pairs,
        "first decode": options.decodes,
        "parts, warm": options.decodes,
        "parts, cold": options.decodes,
    }
    with measuring_extension(scripts, order, options.webui):
        given = result_of(scripts)
    if "error" in given:
        sys.exit(f"It was not measured: {given['error']}")
    result = figures(given)
    text = as_text(result)
    print(f"\n{text}")
    write(options.result, result).with_suffix(".md").write_text(text, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove swap")
    options.add_argument("--webui", metavar="URL", help="where the WebUI answers")
    options.add_argument("--webui-dir", metavar="FOLDER", type=Path, help="the folder that it was started from")
    options.add_argument("--pairs", type=int, default=100, help="rounds, warm and cold each")
    options.add_argument("--decodes", type=int, default=30, help="rounds of the first decode, and of the parts")
    options.add_argument("--minutes", type=float, default=60, help="no round begins after that")
    options.add_argument(
        "--calm", type=float, default=3, help="seconds to wait, at most, for the machine to be idle before each round"
    )
    options.add_argument("--result", default="swap", help="its name below bench/results")
    options.add_argument("--vae", action="append", metavar="NAME", help="a file to use; else the first three that fit")
    return options


# -- into the WebUI and out of it ------------------------------------------------------------------------------------
def extension_folder(options: argparse.Namespace) -> Path:
    """Where the script goes; leaves with a sentence where that cannot be told."""
    if not options.webui or options.webui_dir is None:
        sys.exit("A running WebUI is needed: give its address (--webui URL) and its folder (--webui-dir FOLDER).")
    if not (options.webui_dir / "modules" / "sd_vae.py").is_file():
        sys.exit(f"There is no WebUI in {options.webui_dir}.")
    folder: Path = options.webui_dir / "extensions" / EXTENSION / "scripts"
    return folder


@contextmanager
def measuring_extension(scripts: Path, order: dict[str, Any], url: str) -> Iterator[None]:
    """An extension of the WebUI while this lasts."""
    shutil.rmtree(scripts.parent, ignore_errors=True)
    scripts.mkdir(parents=True)
    try:
        (scripts / "order.json").write_text(json.dumps(order), encoding="utf-8")
        shutil.copy(INSIDE, scripts / "measure.py")
        reload_ui(url)
        yield
    finally:
        gone = scripts.parent.rename(scripts.parent.with_name(f"{EXTENSION}-gone"))  # nothing is written there any more
        shutil.rmtree(gone)
        reload_ui(url)


def reload_ui(url: str) -> None:
    """Press the WebUI's own button. Nothing is asked of it after that: a request that comes early can end its start."""
    try:
        page = fetch(f"{url}/config")
        button = next(part["id"] for part in page["components"] if part["props"].get("elem_id") == RELOAD_BUTTON)
        number = next(at for at, event in enumerate(page["dependencies"]) if button in event["targets"])
        fetch(f"{url}/run/predict", {"fn_index": number, "data": [], "session_hash": "bench"})
    except (OSError, ValueError, KeyError, StopIteration) as error:
        print(f"The WebUI cannot be told to reload its UI ({error}): please press Reload UI in its settings.")


def fetch(url: str, content: dict[str, Any] | None = None) -> Any:
    data = json.dumps(content).encode() if content is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.loads(answer.read())


def result_of(scripts: Path) -> dict[str, Any]:
    """Wait for it, telling how far it is."""
    shown, since = "", time.monotonic()
    while not (scripts / "result.json").exists():
        progress = read(scripts / "progress.txt")
        if progress != shown:
            shown, since = progress, time.monotonic()
            print(f"\r{shown:40}", end="", flush=True)
        if time.monotonic() - since > SILENCE:
            return {"error": f"nothing has been heard from the WebUI for {SILENCE} seconds."}
        time.sleep(0.5)
    result: dict[str, Any] = json.loads((scripts / "result.json").read_text(encoding="utf-8"))
    return result


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


# -- figures ---------------------------------------------------------------------------------------------------------
def spread(values: Sequence[float], digits: int = 5) -> dict[str, float]:
    """Median, the tenths at either end, least and most."""
    tenths = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
    named = {
        "median": statistics.median(values),
        "p10": tenths[0],
        "p90": tenths[-1],
        "min": min(values),
        "max": max(values),
    }
    return {name: round(value, digits) for name, value in named.items()}


def figures(given: dict[str, Any]) -> dict[str, Any]:
    pairs = {name: given[name] for name in ("warm", "cold", "first decode")}
    everything = [pair for name in pairs for pair in pairs[name]]
    return {
        **{name: given[name] for name in ("webui", "torch", "device", "dtype", "threads", "file_bytes", "load")},
        "rounds": {name: len(pairs[name]) for name in pairs},
        "others_processors": spread([pair["others"] for pair in everything], 2),
        "resident_after_drop": max(pair["resident"] for pair in given["cold"]),
        "seconds": {name: by_way(pairs[name]) for name in pairs},
        "parts": {name: by_part(given[f"parts, {name}"]) for name in ("warm", "cold")},
        "wanted": wanted(given),
        "ratios": other_ratios(given),
    }


def by_way(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        way: {
            "swap": spread([pair[way]["swap"] for pair in pairs]),
            "then": spread([pair[way]["then"] for pair in pairs]),
            "both": spread([both(pair[way]) for pair in pairs]),
        }
        for way in TITLES
        if way in pairs[0]
    }


def by_part(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Medians, the largest first, "in all" last."""
    names = {name for run in runs for name in run} - {"others", "in all"}
    medians = {name: statistics.median(run.get(name, 0.0) for run in runs) for name in names}
    medians = dict(sorted(medians.items(), key=lambda item: -item[1]))
    medians["in all"] = statistics.median(run["in all"] for run in runs)
    return {name: round(value, 6) for name, value in medians.items()}


def both(sample: dict[str, float]) -> float:
    return sample["swap"] + sample["then"]


def swap(sample: dict[str, float]) -> float:
    return sample["swap"]


def ratio(pairs: Sequence[Pair], above: str, below: str, seconds: Callable[[dict[str, float]], float]) -> Any:
    """Of each pair; the spread of those."""
    return spread([seconds(pair[above]) / seconds(pair[below]) for pair in pairs], 2)


def wanted(given: dict[str, Any]) -> list[dict[str, Any]]:
    warm, cold = given["warm"], given["cold"]
    goals = [
        ("the WebUI / this project, warm", ratio(warm, HOSTS, OURS, swap), ">=", 10),
        ("… with each byte read after it", ratio(warm, HOSTS, OURS, both), ">=", 10),
        ("this project / plain read into a fresh buffer, cold", ratio(cold, OURS, PLAIN_FRESH, swap), "<=", 1.2),
        ("this project / plain read into a buffer that was there, cold", ratio(cold, OURS, PLAIN, swap), "<=", 1.2),
    ]
    return [
        {
            "what": what,
            **found,
            "wanted": f"{sign} {limit:g}",
            "met": found["median"] >= limit if sign == ">=" else found["median"] <= limit,
        }
        for what, found, sign, limit in goals
    ]


def other_ratios(given: dict[str, Any]) -> dict[str, Any]:
    warm, cold = given["warm"], given["cold"]
    found = {
        "the WebUI's RAM cache / this project, warm": ratio(warm, HOSTS_CACHED, OURS, swap),
        "… with each byte read after it (RAM cache)": ratio(warm, HOSTS_CACHED, OURS, both),
        "the WebUI / this project, cold": ratio(cold, HOSTS, OURS, swap),
        "… with each byte read after it (cold)": ratio(cold, HOSTS, OURS, both),
    }
    if OURS_DEVICE in warm[0]:
        found["the WebUI / this project, two latest on the GPU"] = ratio(warm, HOSTS, OURS_DEVICE, swap)
        found["… with each byte read after it (GPU)"] = ratio(warm, HOSTS, OURS_DEVICE, both)
    return found


# -- to read ---------------------------------------------------------------------------------------------------------
HEADS = {
    "warm": ("Warm: from RAM, the files' pages in memory", "reading each byte after it, ms"),
    "cold": ("Cold: the files' pages dropped, caches emptied", "reading each byte after it, ms"),
    "first decode": ("The first decode of an 8×8 latent, warm, nothing read before it", "decode, ms"),
}


def as_text(result: dict[str, Any]) -> str:
    """Markdown."""
    size = max(result["file_bytes"].values())
    rounds = result["rounds"]
    lines = [
        "# Swapping a VAE inside the WebUI, its own way and this project's",
        "",
        f"WebUI {result['webui']}, torch {result['torch']}, {result['device']}, {result['dtype']}, "
        f"{result['threads']} threads; files of {size:,} bytes. {rounds['warm']} rounds warm, {rounds['cold']} cold, "
        f"{rounds['first decode']} of the first decode; in each, every way brings the same file, in a new order. "
        "Clock: from the choice (the setting is written) to the return of `reload_vae_weights`. After each swap the "
        "weights were compared with the file: all were right. "
        "Medians, p10 – p90, min – max.",
    ]
    if result["device"] == "cpu":
        lines.append("No GPU was at hand: nothing here tells about one.")
    for name, rows in result["seconds"].items():
        title, then = HEADS[name]
        lines += ["", f"## {title}", "", f"| | swap, ms | | | {then} | both |", "|---|---:|---:|---:|---:|---:|"]
        lines += [row(TITLES[way], figure) for way, figure in rows.items()]
    lines += ["", "## What is wanted", "", "| ratio, of each round | median | p10 – p90 | min – max | wanted | met |"]
    lines += ["|---|---:|---:|---:|---:|---|"]
    lines += [ratio_row(entry["what"], entry, entry["wanted"], entry["met"]) for entry in result["wanted"]]
    lines += [ratio_row(what, entry) for what, entry in result["ratios"].items()]
    for name in ("warm", "cold"):
        lines += ["", f"## What this project's swap is made of, {name}", "", "| part | ms |", "|---|---:|"]
        lines += [
            f"| {part} | {1000 * seconds:.2f} |"
            for part, seconds in result["parts"][name].items()
            if seconds >= 0.000005
        ]
    lines += ["", disturbance(result)]
    return "\n".join(lines) + "\n"


def row(title: str, figure: dict[str, Any]) -> str:
    time, then, whole = (figure[name] for name in ("swap", "then", "both"))
    return (
        f"| {title} | {ms(time['median'])} | {ms(time['p10'])} – {ms(time['p90'])} "
        f"| {ms(time['min'])} – {ms(time['max'])} | {ms(then['median'])} | {ms(whole['median'])} |"
    )


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def ratio_row(what: str, entry: dict[str, Any], goal: str = "", met: bool | None = None) -> str:
    told = "" if met is None else "yes" if met else "no"
    return (
        f"| {what} | {entry['median']:.2f} | {entry['p10']:.2f} – {entry['p90']:.2f} "
        f"| {entry['min']:.2f} – {entry['max']:.2f} | {goal} | {told} |"
    )


def disturbance(result: dict[str, Any]) -> str:
    others = result["others_processors"]
    return ("The machine was busy: the figures are rough. " if others["median"] > BUSY else "") + (
        f"Of a dropped file at most {100 * result['resident_after_drop']:.1f} % was still in memory. Beside the "
        f"rounds, {others['median']:.2f} processors were busy with something else (median; p90 {others['p90']:.2f}, at "
        f"most {others['max']:.2f})."
    )


if __name__ == "__main__":
    main()
