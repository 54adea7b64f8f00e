"""A stand-in of the WebUI with this gradio's generation, and what it holds: routes and events of the extension."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("requests")

import requests

from tests.admission.programs import DATA, ENTRY
from tests.host import gradios
from tests.host.asking import GOOD, Picture, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import WebUI, start_webui
from tests.host.inside import inside, install_inside
from tests.hub import Hub

KEY = "akeyofsomebodyelse0123456789abcd"
MESSAGE = json.dumps({"do": "save-key", "key": KEY})

FOREIGN_PAGES = {
    "another origin": {"Origin": "https://evil.example"},
    "an opaque origin": {"Origin": "null"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"},
    "rebinding": {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    "a rebound proxy": {"X-Forwarded-Host": "evil.example"},
}
"""Headers of requests that no page of the WebUI has sent."""

GHOST = "ghostscript-was-started"
TWICE = "twice.safetensors"

EVENTS = """
    from modules import shared
    fns = shared.demo.fns
    pairs = fns.items() if isinstance(fns, dict) else enumerate(fns)
    answer = {
        str(number): f"{one.fn.__module__}.{one.fn.__qualname__}" for number, one in pairs
        if getattr(one.fn, "__module__", "").startswith("vae_manager")
    }
"""
ROUTES = """
    import inside_package
    answer = [
        [method, route.path] for route in inside_package.app.routes for method in getattr(route, "methods", None) or ()
        if route.path.startswith("/vae-manager")
    ]
"""


@dataclass
class Event:
    """One event of the extension."""

    number: int
    function: str
    inputs: list[str]
    """Element ids; empty for a component without one."""
    api_name: str

    def data(self) -> list[Any]:
        return [self._value(name) for name in self.inputs]

    def _value(self, name: str) -> Any:
        if name.endswith("_choice") and not name.endswith("_tab_choice"):
            return GOOD
        if name.endswith("_scope"):
            return "everywhere"
        if name.endswith("_own"):
            return None
        return MESSAGE if name == "" else ""


def state_of_disk(webui: WebUI) -> dict[str, str]:
    """Return hashes of all files that the extension and the settings keep.

    Those of the database are left out: it holds only what can be computed again, and background work writes to it.
    """
    folders = [webui.data / "vae-manager", webui.data / "models" / "VAE"]
    files = [webui.data / "config.json", *(path for folder in folders for path in sorted(folder.rglob("*")))]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and ".sqlite3" not in path.name
    }


class Target:
    """The WebUI under attack."""

    def __init__(self, webui: WebUI) -> None:
        self.webui = webui
        config = webui.call("/config")[1]
        names = {one["id"]: one["props"].get("elem_id") or "" for one in config["components"]}
        functions = inside(webui, EVENTS)
        dependencies = {str(one.get("id", place)): one for place, one in enumerate(config["dependencies"])}
        self.events = [
            Event(int(number), functions[number], [names[id] for id in one["inputs"]], str(one["api_name"]))
            for number, one in dependencies.items()
            if number in functions
        ]
        self.routes = [(method, path) for method, path in inside(webui, ROUTES)]

    def post(self, path: str, body: object, headers: Mapping[str, str]) -> requests.Response:
        """Send a POST; only `headers` can hold a content type."""
        return requests.post(self.webui.url + path, json.dumps(body).encode(), headers=headers, timeout=60)

    def acting(self) -> Event:
        """The event that brings messages of the tab "VAE"."""
        return next(one for one in self.events if one.function and one.inputs == [""])

    def state_of_disk(self) -> dict[str, str]:
        """Return the `state_of_disk` of its WebUI."""
        return state_of_disk(self.webui)

    @property
    def key_is_saved(self) -> bool:
        path = self.webui.data / "vae-manager" / "keys.json"
        return path.is_file() and KEY in path.read_text(encoding="utf-8")


def prepare(data: Path) -> None:
    make_data_dir(data, ["demo-a"])
    write_vaes(data / "models" / "VAE")
    install_inside(data)


def flags() -> list[str]:
    return ["--api", "--step-seconds", "0.001", *(["--as", "forge"] if gradios.IS_4 else [])]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("admission")
    prepare(data)
    programs = data / "programs"
    programs.mkdir()
    ghostscript = programs / "gs"  # Pillow starts it over an EPS
    ghostscript.write_text(f"#!/bin/sh\necho started >> '{data / GHOST}'\n", encoding="utf-8")
    ghostscript.chmod(0o755)
    with start_webui(data, *flags(), env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}) as started:
        yield Target(started)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One that was started for other machines to reach."""
    data = tmp_path_factory.mktemp("shared")
    prepare(data)
    for folder in ("a", "b"):  # two files of one name, which a message distinguishes by their paths
        place = data / "models" / "VAE" / folder / TWICE
        place.parent.mkdir()
        shutil.copy(data / "models" / "VAE" / GOOD, place)
    with start_webui(data, *flags(), "--listen") as started:
        yield Target(started)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        running.add("me/vaes", "mine.safetensors", DATA)
        yield running


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[WebUI]:
    """One that answers programs: with a picture made, and a catalogue of its owner's."""
    data = tmp_path_factory.mktemp("programs")
    prepare(data)
    (data / "vae-manager").mkdir(exist_ok=True)
    (data / "vae-manager" / "catalogue.yaml").write_text(ENTRY, encoding="utf-8")
    with start_webui(data, *flags(), env={"HF_ENDPOINT": hub.endpoint}) as started:
        assert Picture(started).status == 200  # Forge loads no model before
        yield started
