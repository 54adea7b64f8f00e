"""How long a change of VAE takes in a running WebUI: the host's own way against this extension's, in one run.

    python tasks.py prove change -- --webui URL --vae NAME --vae NAME [--rounds N]

The WebUI (or a Forge, or Neo) has this extension, --api, and a checkpoint that the two VAE files fit: without the
guards, a file that does not fit breaks it.
Nothing else should use the machine meanwhile. In each round, for the host's own way (the option *Guard the WebUI's own
ways of loading a VAE* off) and for the extension's (on), in turn:

    same     a picture of 64 × 64 with the VAE that is in use
    other    the next VAE is set, as an API client does it, and a picture is made with it

A change costs what `other` takes longer than `same`; where a host loads with the next picture, as Forge does, that is
in it. Besides: how long the extension says that its swap alone took. Each picture is held, bit for bit, against the one
that the host's own way has given with the same VAE. The result goes to bench/results/change-HOST.json.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.results import write

PATIENCE = 600
MODULES = "forge_additional_modules"
GUARDS = "vae_manager_guards"
ASKED = {"prompt": "a lighthouse", "seed": 7, "steps": 1, "sampler_name": "Euler", "width": 64, "height": 64}
WAYS = {"host": False, "extension": True}


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove change")
    options.add_argument("--webui", metavar="URL", help="where the WebUI answers")
    options.add_argument("--vae", action="append", metavar="NAME", default=[], help="one of two files")
    options.add_argument("--rounds", type=int, default=12)
    asked = options.parse_args()
    if not asked.webui or len(asked.vae) != 2:
        sys.exit("A running WebUI with --api is needed, and two VAE files: --webui URL --vae NAME --vae NAME.")
    webui = WebUI(asked.webui.rstrip("/"))
    try:
        result = measured(webui, asked.vae, asked.rounds)
    finally:
        webui.post("/sdapi/v1/options", {GUARDS: True})
        webui.choose(None)
    write(f"change-{webui.host}", result)
    print(json.dumps(result, indent=2))


class WebUI:
    def __init__(self, url: str) -> None:
        self.url = url
        options = self.get("/sdapi/v1/options")
        self.modules = {}
        if MODULES in options:
            self.modules = {Path(one["filename"]).name: one["filename"] for one in self.get("/sdapi/v1/sd-modules")}
        self.host = self._fork() if self.modules else "a1111" if "sd_unet" in options else "reforge"

    def _fork(self) -> str:
        """Forge, or Neo, whose row alone has an element id."""
        ids = [one["props"].get("elem_id") for one in self.get("/config")["components"]]
        return "neo" if "setting_sd_modules" in ids else "forge"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def choose(self, vae: str | None) -> None:
        """As a client of the API does; None: the checkpoint's own."""
        if self.modules:
            self.post("/sdapi/v1/options", {MODULES: [self.modules[vae]] if vae is not None else []})
        else:
            self.post("/sdapi/v1/options", {"sd_vae": vae if vae is not None else "None"})

    def picture(self) -> tuple[float, bytes]:
        """Seconds, and its PNG's pixels."""
        started = time.perf_counter()
        answer = self.post("/sdapi/v1/txt2img", ASKED)
        return time.perf_counter() - started, pixels(base64.b64decode(answer["images"][0]))

    def swapped_in(self) -> float | None:
        """Seconds of the last swap, as the page says it."""
        text = self.get("/vae-manager/state")["regions"]["status"]
        found = re.search(r"in ([\d.]+) ms", text)
        return float(found[1]) / 1000 if found else None


def pixels(png: bytes) -> bytes:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").tobytes()


def measured(webui: WebUI, vaes: list[str], rounds: int) -> dict[str, Any]:
    extra: dict[str, list[float]] = {way: [] for way in WAYS}
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    swaps: list[float] = []
    known: dict[str, bytes] = {}
    differing = 0
    for number in range(rounds + 1):  # the first one reads the files
        for way, guarded in WAYS.items():
            webui.post("/sdapi/v1/options", {GUARDS: guarded})
            first, second = vaes if number % 2 else reversed(vaes)
            webui.choose(first)
            webui.picture()
            same, _ = webui.picture()
            started = time.perf_counter()
            webui.choose(second)
            _, picture = webui.picture()
            other = time.perf_counter() - started
            if way == "host":
                known[second] = picture
            differing += picture != known[second]
            if number:
                extra[way].append(other - same)
                whole[way].append(other)
                swap = webui.swapped_in() if guarded else None
                swaps += [swap] if swap is not None else []
    ratios = [host / ours for host, ours in zip(extra["host"], extra["extension"], strict=True) if ours > 0]
    by_swap = [host / swap for host, swap in zip(extra["host"], swaps, strict=False)]
    return {
        "rounds": rounds,
        "vaes": vaes,
        "differing_pictures": differing,
        "change": {way: spread(extra[way]) for way in WAYS},
        "change_and_picture": {way: spread(whole[way]) for way in WAYS},
        "swap_alone": spread(swaps),
        "host_per_extension": spread(ratios),
        "host_per_swap_alone": spread(by_swap),
    }


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {"min": ordered[0], "median": statistics.median(ordered), "max": ordered[-1]}


if __name__ == "__main__":
    main()
