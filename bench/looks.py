"""What a look at a file before its download costs, beside the one request that says no more than its size.

    python tasks.py prove looks [--rounds N] [--latency MS] [--folder FOLDER]

The hub is that of the tests, on loopback, with a latency before each answer of both of its servers. Each round looks
at every file and, right before each look, sends a HEAD for the same file: the two figures of a pair meet the same
machine. Each look and each HEAD has connections of its own, as a new address has.

Files: the first 40 of the tests' corpus; a VAE of SD 1.x in 32 bits, the same as a zip of torch, and a checkpoint of
2 GB with that VAE in it. The large ones have zeros for weights, since a look reads none.

The result goes to bench/results/looks.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.results import write
from tests.files.corpus import CASES
from tests.files.network_names import Config, names
from tests.hub import Hub
from tests.hub.sending import Link
from vae_manager.catalogue.entry import HubSource
from vae_manager.errors import VaeManagerError
from vae_manager.transfer import Network, inspect_remote
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.sources import resolve_source

REPO = "bench/looks"
FULL = Config(widths=(128, 256, 512, 512))
"""The VAE of SD 1.x."""
CORPUS = 40
NETWORK_TENSORS, NETWORK_BYTES = 686, 1_720_000_000
"""Of SD 1.x's network in 16 bits."""

Shapes = Mapping[str, Sequence[int]]


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove looks")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--latency", type=float, default=30.0, help="milliseconds")
    options.add_argument("--folder", type=Path, help="for the large files; the system's temporary folder otherwise")
    asked = options.parse_args()
    link = Link(latency=asked.latency / 1000)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, Hub(link=link, api_link=link) as hub:
        files = {**corpus(hub), **large(hub, Path(folder))}
        rounds = [{name: pair(hub, source) for name, source in files.items()} for _ in range(asked.rounds)]
    figures = {name: summary([one[name] for one in rounds]) for name in files}
    of_corpus = [one for name, one in figures.items() if name.startswith("corpus ")]
    result = {
        "latency_ms": asked.latency,
        "rounds": asked.rounds,
        "corpus": {
            "files": len(of_corpus),
            "requests": spread([one["requests"] for one in of_corpus]),
            "received_bytes": spread([one["received_bytes"] for one in of_corpus]),
            "look_ms": spread([one["look_ms"] for one in of_corpus]),
            "head_ms": spread([one["head_ms"] for one in of_corpus]),
            "look_by_head": spread([one["look_by_head"] for one in of_corpus]),
            "not_looked_at": sorted(name for name, one in figures.items() if one["error"] is not None),
        },
        "large": {name: one for name, one in figures.items() if not name.startswith("corpus ")},
    }
    print(json.dumps(result, indent=2))
    write("looks", result)


# -- files ---------------------------------------------------------------------------------------------------------
def corpus(hub: Hub) -> dict[str, HubSource]:
    found = {}
    for number, case in enumerate(CASES[:CORPUS]):
        path = f"{number}/{case.name}"
        hub.add(REPO, path, case.data)
        found[f"corpus {case.id}"] = HubSource(REPO, path)
    return found


def large(hub: Hub, folder: Path) -> dict[str, HubSource]:
    vae = {name: shape for name, _, shape in names(FULL)}
    carried = {f"first_stage_model.{name}": shape for name, shape in vae.items()}
    size = NETWORK_BYTES // NETWORK_TENSORS // 4
    network = {
        f"model.diffusion_model.input_blocks.{number}.transformer_blocks.0.attn1.to_q.weight": (size, 1)
        for number in range(NETWORK_TENSORS)
    }
    torch.save({name: torch.zeros(*shape) for name, shape in vae.items()}, folder / "vae.pt")
    paths = {
        "VAE": sparse(folder / "vae.safetensors", vae),
        "VAE as a zip": folder / "vae.pt",
        "checkpoint": sparse(folder / "checkpoint.safetensors", {**network, **carried}),
    }
    for path in paths.values():
        hub.add(REPO, path.name, path)
    return {name: HubSource(REPO, path.name) for name, path in paths.items()}


def sparse(path: Path, shapes: Shapes) -> Path:
    """A safetensors file of zeros that takes no room on the disk."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * int(torch.Size(shape).numel())
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + end)
    return path


# -- measuring -----------------------------------------------------------------------------------------------------
def pair(hub: Hub, source: HubSource) -> dict[str, Any]:
    """The HEAD and the look of one file, one after the other."""
    network = Network(endpoint=hub.endpoint)
    head_s, _ = timed(lambda: head(source, network))
    hub.settle()
    before, sent = len(hub.requests), hub.api.sent() + hub.cdn.sent()
    look_s, error = timed(lambda: inspect_remote(source, network=network, stop=threading.Event()))
    hub.settle()
    return {
        "head_ms": 1000 * head_s,
        "look_ms": 1000 * look_s,
        "look_by_head": look_s / head_s,
        "requests": len(hub.requests) - before,
        "received_bytes": hub.api.sent() + hub.cdn.sent() - sent,
        "error": error,
    }


def head(source: HubSource, network: Network) -> None:
    client = HttpClient(network)
    try:
        resolve_source(source, client, hash_decides=False)
    finally:
        client.close()


def timed(work: Callable[[], object]) -> tuple[float, str | None]:
    """Seconds, and the code of the error that came instead of an answer."""
    began = time.perf_counter()
    try:
        work()
    except VaeManagerError as error:
        return time.perf_counter() - began, error.code
    return time.perf_counter() - began, None


def summary(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The medians of all rounds; requests, bytes and error are the same in each."""
    figures = {name: round(statistics.median(one[name] for one in pairs), 1) for name in ("head_ms", "look_ms")}
    ratio = round(statistics.median(one["look_by_head"] for one in pairs), 2)
    same = {name: max(one[name] for one in pairs) for name in ("requests", "received_bytes")}
    return {**figures, "look_by_head": ratio, **same, "error": pairs[0]["error"]}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 2), "min": min(values), "max": max(values)}


if __name__ == "__main__":
    main()
