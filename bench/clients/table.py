"""Runs as figures: medians, the ratios that are wanted, and a table to read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.clients.known import ALL_100, ALONE, CLIENTS, EACH_20, EACH_40, FREE, LINKS, Client
from bench.clients.run import Run

LINE = 100e6
"""Bytes a second, of the link that is limited in all."""
RIVALS = ("hf-transfer", "aria2c")
MOST_MEMORY = 64
"""MB above the idle process."""

Chosen = dict[tuple[str, str], Run]
"""The runs of one round that went well, by link and client."""


def summary(runs: Iterable[Run]) -> dict[str, Any]:
    """The figures of one client under one link; MB are millions of bytes."""
    all_runs = list(runs)
    good = [run for run in all_runs if run.error is None]
    if not good:
        return {"failed": sorted({run.error for run in all_runs if run.error})}
    above = [run.above_idle / 1e6 for run in good if run.above_idle is not None]
    given: dict[str, Any] = {
        "version": good[-1].version,
        "seconds": spread([run.seconds for run in good]),
        "processor_seconds": spread([run.processor for run in good]),
        "peak_mb": spread([run.peak / 1e6 for run in good], 1),
        "above_idle_mb": spread(above, 1) if above else None,
        "connections": max(run.connections for run in good),
        "sent_bytes": spread([run.sent for run in good], 0),
        "others_processors": spread([run.others for run in good], 2),
        "right": all(run.right is not False for run in good),
    }
    if any(run.fsync for run in good):
        given["fsync_seconds"] = spread([run.fsync for run in good])
    if len(good) < len(all_runs):
        given["failed"] = sorted({run.error for run in all_runs if run.error})
    return given


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def by_link(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Link, then client, then figures; the rows that use no link stand under "alone"."""
    given: dict[str, dict[str, Any]] = {}
    for run in runs:
        given.setdefault(run.link or "alone", {}).setdefault(run.client, None)
    for link, rows in given.items():
        for client in rows:
            rows[client] = summary(run for run in runs if (run.link or "alone", run.client) == (link, client))
    return given


# -- what is wanted --------------------------------------------------------------------------------------------------
def wanted(runs: Sequence[Run], size: int) -> list[dict[str, Any]]:
    """Every figure that has a goal: computed in each round, then the median of the rounds."""
    floor = size / LINE
    goals: list[tuple[str, Callable[[Chosen], float | None], str, float]] = [
        (f"this project / fastest of {' and '.join(RIVALS)}, {EACH_40.title}", rivals(EACH_40.name), "<=", 1.1),
        (f"this project / fastest of {' and '.join(RIVALS)}, {EACH_20.title}", rivals(EACH_20.name), "<=", 1.1),
        (f"huggingface_hub 0.36.2 / this project, {EACH_40.title}", over_hub, ">=", 10),
        ("this project / (max(curl, SHA-256 alone) + fsync alone), no limit", over_parts, "<=", 1.3),
        (f"this project / {floor:.2f} s, {ALL_100.title}", lambda got: over_floor(got, floor), "<=", 1.1),
        ("memory of this project above idle, MB, its most hungry link", memory, "<", MOST_MEMORY),
    ]
    return [goal(what, rounds_of(runs), value, sign, limit) for what, value, sign, limit in goals]


def goal(
    what: str, rounds: Iterable[Chosen], value: Callable[[Chosen], float | None], sign: str, limit: float
) -> dict[str, Any]:
    found = [number for got in rounds if (number := value(got)) is not None]
    if not found:
        return {"what": what, "wanted": f"{sign} {limit:g}", "met": None}
    median = statistics.median(found)
    met = {"<=": median <= limit, "<": median < limit, ">=": median >= limit}[sign]
    return {"what": what, **spread(found), "wanted": f"{sign} {limit:g}", "met": met}


def rounds_of(runs: Iterable[Run]) -> list[Chosen]:
    rounds: dict[int, Chosen] = {}
    for run in runs:
        got = rounds.setdefault(run.round, {})
        if run.error is None:
            got[run.link, run.client] = run
    return list(rounds.values())


def seconds(got: Chosen, link: str, client: str) -> float | None:
    run = got.get((link, client))
    return run.seconds if run else None


def ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def rivals(link: str) -> Callable[[Chosen], float | None]:
    def value(got: Chosen) -> float | None:
        times = [time for name in RIVALS if (time := seconds(got, link, name)) is not None]
        return ratio(seconds(got, link, "ours"), min(times, default=None))

    return value


def over_hub(got: Chosen) -> float | None:
    return ratio(seconds(got, EACH_40.name, "hub"), seconds(got, EACH_40.name, "ours"))


def over_parts(got: Chosen) -> float | None:
    curl, digest = seconds(got, FREE.name, "curl"), seconds(got, "", "hash-alone")
    written = got.get(("", "write-alone"))
    if curl is None or digest is None or written is None:
        return None
    return ratio(seconds(got, FREE.name, "ours"), max(curl, digest) + written.fsync)


def over_floor(got: Chosen, floor: float) -> float | None:
    return ratio(seconds(got, ALL_100.name, "ours"), floor)


def memory(got: Chosen) -> float | None:
    found = [run.above_idle / 1e6 for (_, name), run in got.items() if name == "ours" and run.above_idle is not None]
    return max(found, default=None)


# -- to read ---------------------------------------------------------------------------------------------------------
HEAD = (
    "| client | seconds | min – max | processor s | peak MB | above idle MB | connections | twice MB | others | right |"
)


def as_text(result: dict[str, Any]) -> str:
    """Markdown."""
    lines = ["# Fetching one file, by client and link", ""]
    lines += [f"{result['file_bytes']:,} bytes, {result['rounds']} rounds, medians. {result['note']}", ""]
    titles = {**{link.name: link.title for link in LINKS}, "alone": "For reference, without any link"}
    for link, rows in result["links"].items():
        lines += [f"## {titles[link][0].upper()}{titles[link][1:]}", "", HEAD, "|---|" + "---:|" * 9]
        known = [client for client in (*CLIENTS, *ALONE) if client.name in rows]
        lines += [row(client, rows[client.name], result["file_bytes"]) for client in known]
        lines.append("")
    lines += ["## What is wanted", "", "| figure | median | min – max | wanted | met |", "|---|---:|---:|---:|---|"]
    lines += [goal_row(entry) for entry in result["wanted"]]
    lines += ["", disturbance(result["links"])]
    lines += [f"\nSkipped: {name}, {why}." for name, why in result["skipped"].items()]
    return "\n".join(lines) + "\n"


def disturbance(links: dict[str, dict[str, Any]]) -> str:
    """How busy the machine was with something else: when it was, the figures say less."""
    found = [given["others_processors"] for rows in links.values() for given in rows.values() if "seconds" in given]
    if not found:
        return ""
    usual, most = statistics.median(one["median"] for one in found), max(one["max"] for one in found)
    return f"Beside the runs, {usual:.2f} processors were busy with something else (median; at most {most:.2f})."


def row(client: Client, given: dict[str, Any], size: int) -> str:
    if "seconds" not in given:
        return f"| {client.title} | failed: {'; '.join(given['failed'])} |" + " |" * 8
    time, above, twice = given["seconds"], given["above_idle_mb"], (given["sent_bytes"]["median"] - size) / 1e6
    fetched = bool(client.server)
    cells = [
        client.title + (f" (fsync {given['fsync_seconds']['median']:.2f} s)" if "fsync_seconds" in given else ""),
        f"{time['median']:.2f}",
        f"{time['min']:.2f} – {time['max']:.2f}",
        f"{given['processor_seconds']['median']:.2f}",
        f"{given['peak_mb']['median']:.0f}",
        f"{above['median']:.0f}" if above else "",
        str(given["connections"]) if fetched else "",
        f"{twice:.1f}" if fetched else "",
        f"{given['others_processors']['median']:.2f}",
        ("yes" if given["right"] else "NO") if fetched else "",
    ]
    return f"| {' | '.join(cells)} |" + (f" failed: {'; '.join(given['failed'])}" if "failed" in given else "")


def goal_row(entry: dict[str, Any]) -> str:
    if entry["met"] is None:
        return f"| {entry['what']} | | | {entry['wanted']} | not measured |"
    spread_of = f"{entry['min']:.2f} – {entry['max']:.2f}"
    met = "yes" if entry["met"] else "no"
    return f"| {entry['what']} | {entry['median']:.2f} | {spread_of} | {entry['wanted']} | {met} |"
