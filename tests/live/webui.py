"""A running WebUI, as its own API shows it."""

from __future__ import annotations

import base64
import builtins
import io
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import requests

Value = TypeVar("Value")

PATIENCE = 180.0
"""Seconds that anything here may take on a slow machine that does other work besides."""
ACT = "vae_manager_txt2img_act"
"""Takes what a button of the extension's page asks for."""
RESTORED = (
    "sd_vae",
    "sd_vae_overrides_per_model_preferences",
    "quicksettings_list",
    "localization",
    "vae_manager_endpoint",
    "disabled_extensions",
)
"""The settings that the checks change."""


def until(look: Callable[[], Value], wanted: Callable[[Value], bool] = bool, patience: float = PATIENCE) -> Value:
    """Look again and again until what is seen is as wanted; TimeoutError with what was seen last."""
    end = time.monotonic() + patience
    while not wanted(seen := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {patience:g} s still: {seen!r}")
        time.sleep(0.1)
    return seen


def _whole(text: str) -> bool:
    """Whether it is a document of JSON from beginning to end."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Picture:
    """What a generation gave."""

    size: tuple[int, int]
    pixels: bytes
    infotext: str
    info: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What the API tells about it besides."""
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Of a Forge, whose infotext names modules without their suffixes: stem and base name of each VAE file."""

    @classmethod
    def of(cls, png: bytes, infotext: str | None = None, info: Mapping[str, Any] | None = None) -> Picture:
        """Read a PNG; its own text where no other is given."""
        from PIL import Image

        with Image.open(io.BytesIO(png)) as image:
            text = infotext if infotext is not None else str(image.info.get("parameters", ""))
            return cls(image.size, image.convert("RGB").tobytes(), text, info or {})

    @property
    def vae(self) -> str | None:
        """The VAE that the infotext names; None where it names none (the checkpoint's own)."""
        found = re.search(r"(?:^|, |\n)VAE: ([^,\n]+)", self.infotext)
        if found is None and self.names:
            modules = re.findall(r"\bModule \d+: ([^,\n]+)", self.infotext)
            return next((self.names[stem] for stem in modules if stem in self.names), None)
        return found[1] if found else None

    @property
    def vae_hash(self) -> str | None:
        found = re.search(r"\bVAE hash: ([0-9a-f]+)", self.infotext)
        return found[1] if found else None

    def looks_like(self, other: Picture) -> bool:
        """Bit for bit the same pixels."""
        return (self.size, self.pixels) == (other.size, other.pixels)


class WebUI:
    """The running WebUI at `url`."""

    loads_with_a_picture = False
    """A checkpoint that is set is loaded with the next picture."""
    lacks: Mapping[str, str] = MappingProxyType({})
    """Ways in (tests/guards/ways.py), and parts of the page, that this WebUI has not, and why."""

    def __init__(self, url: str, folder: Path | None, restart_command: str | None) -> None:
        self.url = url.rstrip("/")
        self.folder = folder
        self.restart_command = restart_command
        self._session = requests.Session()
        self._session.trust_env = False
        self._events: dict[tuple[str, int, bool], int] = {}

    def another(self) -> WebUI:
        """The same, with connections of its own."""
        other = copy(self)
        other._session = requests.Session()
        other._session.trust_env = False
        return other

    def get(self, path: str, **params: str) -> Any:
        answer = self._session.get(self.url + path, params=params, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, data: Any = None) -> Any:
        answer = self._session.post(self.url + path, json=data, timeout=2 * PATIENCE)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def ask(self, path: str, data: Any = None) -> tuple[int, Any]:
        """Status and answer of a POST that may fail."""
        answer = self._session.post(self.url + path, json=data, timeout=2 * PATIENCE)
        return answer.status_code, answer.json()

    def fire(self, element: str, *data: Any, answers: bool = False) -> tuple[int, Any]:
        """An event of the page without a browser: the one with so many inputs that belongs to this element id, as what
        is clicked or as its first input.

        `answers`: whether it has outputs. Gradio 3.41 names no event by itself, so `/config` tells which one it is.
        """
        key = element, len(data), answers
        if key not in self._events:
            self._events[key] = self._event(*key)
        body = {"fn_index": self._events[key], "data": list(data), "session_hash": "tests"}
        return self.ask("/run/predict", body)

    def act(self, **action: Any) -> None:
        """As a button of the extension's page does."""
        status, answer = self.fire(ACT, json.dumps(action), answers=True)
        assert (status, answer["data"]) == (200, [""]), answer

    def _event(self, element: str, inputs: int, answers: bool) -> int:
        config = self.get("/config")
        ids = {one["id"] for one in config["components"] if one["props"].get("elem_id") == element}
        for number, event in enumerate(config["dependencies"]):
            fits = len(event["inputs"]) == inputs and bool(event["outputs"]) == answers and event["backend_fn"]
            targets = [one[0] if isinstance(one, list) else one for one in event["targets"]]  # gradio 4 says what event
            if fits and ids.intersection([*event["inputs"][:1], *targets]):
                return int(event.get("id", number))
        raise LookupError(f"the page has no event of {element} with {inputs} inputs")

    def options(self) -> dict[str, Any]:
        """As the API tells them; reForge's leaves out those of extensions, which config.json has."""
        return {**self._written(), **self.get("/sdapi/v1/options")}

    def _written(self) -> dict[str, Any]:
        """What config.json has. The WebUI writes it in place, so for a moment it is empty, or ends too early."""
        config = self.folder / "config.json" if self.folder is not None else None
        if config is None or not config.exists():
            return {}
        return json.loads(until(lambda: config.read_text(encoding="utf-8"), _whole))

    def option(self, name: str) -> Any:
        return self.options()[name]

    def set(self, **options: Any) -> None:
        """The host's own way of changing settings."""
        self.post("/sdapi/v1/options", options)

    def as_config(self, options: dict[str, Any]) -> dict[str, Any]:
        """The same options as they stand in config.json; None: not there."""
        return options

    def restore(self, before: dict[str, Any]) -> None:
        self.set(**{name: before[name] for name in RESTORED if name in before})

    def choose(self, word: str) -> None:
        """Set `sd_vae` the host's own way and make sure that it took."""
        self.set(sd_vae=word)
        assert self.option("sd_vae") == word

    def refresh(self) -> None:
        self.post("/sdapi/v1/refresh-vae")

    def upscalers(self) -> builtins.set[str]:
        """The names of its upscalers of latents and of pictures, as far as tests use them."""
        return {"Latent", "Lanczos"}

    def no_hashing(self) -> bool:
        """It was started with --no-hashing."""
        return bool(self.get("/sdapi/v1/cmd-flags")["no_hashing"])

    def listed(self) -> builtins.set[str]:
        """The VAE files in the WebUI's own list."""
        return {item["model_name"] for item in self.get("/sdapi/v1/sd-vae")}

    def state(self, **tab_choices: str) -> dict[str, Any]:
        """What the extension tells an open page."""
        return dict(self.get("/vae-manager/state", **tab_choices))

    def picture(self, *, seed: int = 7, steps: int = 2, prompt: str = "a lighthouse", **more: Any) -> Picture:
        """A txt2img of 64 × 64, small enough for a CPU."""
        return self._picture("txt2img", seed=seed, steps=steps, prompt=prompt, **more)

    def picture_from(self, source: Picture, *, seed: int = 7, steps: int = 2, **more: Any) -> Picture:
        """An img2img of 64 × 64."""
        from PIL import Image

        png = io.BytesIO()
        Image.frombytes("RGB", source.size, source.pixels).save(png, "PNG")
        init = base64.b64encode(png.getvalue()).decode()
        return self._picture("img2img", init_images=[init], seed=seed, steps=steps, prompt="a lighthouse", **more)

    def _picture(self, kind: str, **asked: Any) -> Picture:
        asked = {"width": 64, "height": 64, "sampler_name": "Euler", "cfg_scale": 7, "batch_size": 1, **asked}
        answer = self.post(f"/sdapi/v1/{kind}", asked)
        info = json.loads(answer["info"])
        return Picture.of(base64.b64decode(answer["images"][0]), info["infotexts"][0], info)

    def named(self, infotext: str) -> str | None:
        """The VAE that an infotext names."""
        return Picture((0, 0), b"", infotext).vae

    def busy(self) -> bool:
        """True while the WebUI makes a picture."""
        return bool(self.get("/sdapi/v1/progress", skip_current_image="true")["state"]["job_count"])

    def restart_bare(self) -> None:
        """End the process at once, as a power cut would, and start it again; not a request is sent to it after that."""
        assert self.restart_command is not None
        self._session.close()
        self._events.clear()  # another process may number them otherwise
        subprocess.run(self.restart_command, shell=True, check=True, timeout=2 * PATIENCE, stdout=subprocess.DEVNULL)

    def restart(self) -> None:
        """As above, and wait until the extension answers."""
        self.restart_bare()
        until(self._answers)

    def _answers(self) -> bool:
        try:
            self.state()
        except requests.RequestException:
            return False
        return True

    def start_profile(self) -> dict[str, float]:
        """Seconds of each part of the latest start, by the WebUI's own clock."""
        return dict(self.get("/internal/profile-startup")["records"])
