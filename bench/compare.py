"""How long a comparison takes in a running WebUI: against the WebUI's X/Y/Z grid, and against bare decodes.

    python tasks.py prove compare -- --webui URL [--vae NAME]… [--size N] [--steps N] [--rounds N] [--hires]

The WebUI has this extension, --api, a loaded checkpoint, and three VAE files or more that fit it; the checkpoint's own
is the fourth. Nothing else should use the machine meanwhile. In each round, in turn:

    comparison   the last picture by four VAEs: until the last picture is there (as the extension counts it, from its
                 turn on), and until the answer with figures and PNGs has come
    bare         four times the decode by the VAE in use alone, nothing being lent, read or compared: what the extension
                 counts around the WebUI's own decode, summed
    grid         X/Y/Z over the four, which samples for each

What the comparison gives is held, bit for bit, against pictures made with each VAE chosen and the same seed. The first
comparison of all, which reads the files, is told apart. The result goes to bench/results/compare.json, that
with hires fix to compare-hires.json.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from bench.results import write

PATIENCE = 3600
"""Seconds for one answer: a CPU takes its time."""
WANTED = 1.15
"""Of the time of bare decodes."""
BUILTIN = "None"


def main() -> None:
    options = parser().parse_args()
    if not options.webui:
        sys.exit("A running WebUI with --api is needed: give its address (--webui URL).")
    webui = WebUI(options.webui.rstrip("/"), asked_for(options))
    vaes = four(webui, options.vae or [])
    before = webui.get("/sdapi/v1/options")["sd_vae"]
    try:
        result = measured(webui, vaes, options.rounds)
    finally:
        webui.post("/sdapi/v1/options", {"sd_vae": before})
    write("compare-hires" if options.hires else "compare", {"asked": asked_for(options), "vaes": vaes, **result})
    print(json.dumps({name: result[name] for name in ("bit_identical", "medians", "ratios")}, indent=2))


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove compare")
    options.add_argument("--webui", metavar="URL", help="where the WebUI answers")
    options.add_argument("--vae", action="append", metavar="NAME", help="a file to use; else the first three that fit")
    options.add_argument("--size", type=int, default=512, help="pixels along each side")
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--hires", action="store_true", help="with hires fix, by an upscaler of latents")
    return options


def asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """A picture, as the API asks for it."""
    asked = {
        "prompt": "a lighthouse",
        "seed": 7,
        "steps": options.steps,
        "sampler_name": "Euler",
        "width": options.size,
        "height": options.size,
    }
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
    return {**asked, **hires} if options.hires else asked


class WebUI:
    """What is asked of it."""

    def __init__(self, url: str, picture: dict[str, Any]) -> None:
        self.url, self._picture = url, picture
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        return self._answer(urllib.request.Request(self.url + path))

    def post(self, path: str, content: dict[str, Any]) -> Any:
        data = json.dumps(content).encode()
        return self._answer(urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}))

    def _answer(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            sys.exit(f"{request.full_url}: {error.code} {error.read().decode('utf-8', 'replace')[:500]}")

    def generate(self, **more: Any) -> list[str]:
        """PNGs in base64."""
        return list(self.post("/sdapi/v1/txt2img", {**self._picture, **more})["images"])

    def compare(self, vaes: Sequence[str]) -> Any:
        return self.post("/vae-manager/api/compare", {"vaes": list(vaes)})

    def grid_axis(self) -> int:
        for script in self.get("/sdapi/v1/script-info"):
            if script["name"] == "x/y/z plot" and not script["is_img2img"]:
                return int(script["args"][0]["choices"].index("VAE"))
        sys.exit("This WebUI has no X/Y/Z plot.")


def four(webui: WebUI, names: Sequence[str]) -> list[str]:
    """The checkpoint's own and three files that decode; the first of these is put into use."""
    candidates = list(names) or [one["model_name"] for one in webui.get("/sdapi/v1/sd-vae")]
    webui.generate(steps=1, width=64, height=64, enable_hr=False)
    results = webui.compare(candidates)["results"]
    fitting = [one["vae"] for one in results if one["error"] is None and one["vae"] in candidates][:3]
    if len(fitting) < 3:
        sys.exit(f"Three VAE files that fit the loaded checkpoint are needed; there are {len(fitting)}.")
    webui.post("/sdapi/v1/options", {"sd_vae": fitting[0]})
    return [*fitting, BUILTIN]


def measured(webui: WebUI, vaes: Sequence[str], rounds: int) -> dict[str, Any]:
    axis = webui.grid_axis()
    expected = {vae: pixels(webui.generate(override_settings={"sd_vae": vae})[-1]) for vae in vaes}
    webui.generate()
    first = timed(lambda: webui.compare(vaes))
    found = {one["vae"]: pixels(one["picture"]) for one in first[1]["results"] if one["picture"] is not None}
    times: dict[str, list[float]] = {"comparison": [], "comparison, answered": [], "bare decodes": [], "grid": []}
    for _ in range(rounds):
        answered, answer = timed(lambda: webui.compare(vaes))
        times["comparison"].append(answer["seconds"])
        times["comparison, answered"].append(answered)
        times["bare decodes"].append(sum(webui.compare(vaes[:1])["results"][0]["seconds"] for _ in vaes))
        times["grid"].append(timed(lambda: webui.generate(**grid(axis, vaes)))[0])
        webui.generate()  # the grid's last cell is the newest picture otherwise
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "bit_identical": {vae: found.get(vae) == expected[vae] for vae in vaes},
        "first_comparison": {"pictures": first[1]["seconds"], "answered": first[0]},
        "times": times,
        "medians": medians,
        "ratios": {
            "to bare decodes": round(medians["comparison"] / medians["bare decodes"], 3),
            "wanted at most": WANTED,
            "grid to comparison": round(medians["grid"] / medians["comparison"], 2),
        },
    }


def grid(axis: int, vaes: Sequence[str]) -> dict[str, Any]:
    """The script and its arguments, in the WebUI's order: three axes, then what is drawn and kept."""
    axes = [axis, ", ".join(vaes), list(vaes), 0, "", [], 0, "", []]
    return {
        "script_name": "X/Y/Z plot",
        "script_args": [*axes, False, True, False, False, False, False, False, 0, False],
    }


def pixels(png: str) -> tuple[tuple[int, int], bytes]:
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return image.size, image.convert("RGB").tobytes()


def timed(work: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    given = work()
    return time.perf_counter() - started, given


if __name__ == "__main__":
    main()
