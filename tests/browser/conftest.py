"""The real extension in the stand-in WebUI, in headless Chromium; no name but loopback's resolves."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright import sync_api

from tests.host.fixtures import WebUI, start_webui
from tests.host.pages import EventSockets
from tests.hub import Hub
from tests.vaes import BASE, TUNED
from tests.wording import wording

PATIENCE_MS = 60_000
"""For a state to come: a busy machine needs far more than the usual 5 seconds."""
sync_api.expect.set_options(timeout=PATIENCE_MS)

GET_AND_USE = """[data-vae-do*='"use": true']"""
"""The button that fetches an offered VAE and uses it."""

ENTRY = """
- id: {id}
  name: {name}
  family: sd1
  purpose: for this test
  licence: MIT
  sha256: {sha256}
  size: {size}
  source: hub:owner/repo/{file}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Stage:
    """A WebUI that runs, its hub, and its data folder."""

    webui: WebUI
    hub: Hub

    @property
    def data(self) -> Path:
        return self.webui.data

    @property
    def vaes(self) -> Path:
        return self.data / "models" / "VAE"

    def option(self, name: str) -> object:
        return self.webui.call("/sdapi/v1/options")[1][name]

    def saved(self, name: str) -> object:
        """What config.json holds."""
        return json.loads((self.data / "config.json").read_text(encoding="utf-8")).get(name)


Stages = Callable[..., Stage]


@contextmanager
def stages_in(factory: pytest.TempPathFactory) -> Iterator[Stages]:
    started: list[Stage] = []

    def start(
        *flags: str,
        config: dict[str, object] | None = None,
        vaes: tuple[Path, ...] = (),
        hub: Hub | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Stage:
        data = factory.mktemp("webui")
        hub = hub or Hub().start()
        offer(data, hub, "mine", "Mine", TUNED)
        offer(data, hub, "lost", "Lost", BASE, there=False)
        (data / "config.json").write_text(json.dumps(config or {}), encoding="utf-8")
        folder = data / "models" / "VAE"
        folder.mkdir(parents=True)
        for path in vaes:
            shutil.copy(path, folder / path.name)
        environment = {"HF_ENDPOINT": hub.endpoint, **(env or {})}
        webui = start_webui(data, "--api", "--step-seconds", "0.01", *flags, env=environment)
        started.append(Stage(webui, hub))
        return started[-1]

    try:
        yield start
    finally:
        for stage in started:
            stage.webui.stop()
            stage.hub.stop()
    for stage in started:
        said = stage.webui.log.read_text(encoding="utf-8", errors="replace")
        assert "Error executing callback" not in said, said[-4000:]
        assert wording("broken-edge").search(said) is None, said[-4000:]


@pytest.fixture
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """Start a stage of the test's own: `stages("--listen", config={…}, vaes=[…])`."""
    with stages_in(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One for the whole module."""
    with stages_in(tmp_path_factory) as start:
        yield start()


def offer(data: Path, hub: Hub, entry: str, name: str, path: Path, *, there: bool = True) -> None:
    """Write an entry of the user's own catalogue, and put the file on the hub."""
    content = path.read_bytes()
    if there:
        hub.add("owner/repo", f"{entry}.safetensors", content)
    folder = data / "vae-manager"
    folder.mkdir(exist_ok=True)
    with (folder / "catalogue.yaml").open("a", encoding="utf-8") as catalogue:
        digest = hashlib.sha256(content).hexdigest()
        catalogue.write(
            ENTRY.format(id=entry, name=name, sha256=digest, size=len(content), file=f"{entry}.safetensors")
        )


@pytest.fixture
def open_page(browser: sync_api.Browser) -> Iterator[Callable[[Stage], sync_api.Page]]:
    """Open the page and the accordion of txt2img. An error in the page's scripts fails the test."""
    pages: list[sync_api.Page] = []
    errors: list[str] = []

    def open_it(stage: Stage, query: str = "", *, accordion: bool = True) -> sync_api.Page:
        page = browser.new_page(viewport={"width": 1300, "height": 1100})
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        events = EventSockets(page)
        page.goto(stage.webui.url + query, wait_until="domcontentloaded")
        page.wait_for_selector("#vae_manager_txt2img [data-vae-region=status] p", state="attached")
        if accordion:
            page.click("#vae_manager_txt2img > .label-wrap")
        events.wait_until_idle()
        pages.append(page)
        return page

    yield open_it
    for page in pages:
        page.close()
    assert errors == []
