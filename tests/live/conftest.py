"""Options and fixtures of the live checks. Without `--webui` every one of them is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..hub import Hub, Link
from .catalogue import Offered, OwnCatalogue
from .files import write_sd1_vae
from .forge import ForgeWebUI, is_forge
from .page import LivePage, launch
from .webui import WebUI

RATE = 20_000_000
"""Bytes a second of the hub's line: 335 MB take some 17 seconds, in which a page opens on a slow machine too."""
OFFERED_SEED, OTHER_SEED = 7919, 7927
"""Seeds of files that are not in the VAE folder: the page would report a file of the same bytes as present."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live", "a running WebUI with the extension installed")
    group.addoption("--webui", metavar="URL", help="its address; without it these checks are skipped")
    group.addoption("--webui-dir", metavar="DIR", type=Path, help="its data folder, with models/ in it, here")
    group.addoption(
        "--webui-python", metavar="FILE", help="the Python of its environment, for Forge Neo's own detector"
    )
    group.addoption(
        "--restart-command",
        metavar="CMD",
        help="a shell command that kills the WebUI (kill -9), starts it again and returns once its model is loaded",
    )
    group.addoption("--webui-api-auth", metavar="NAME:PASSWORD", help="its --api-auth, for the check of the sign-in")
    group.addoption("--webui-log", metavar="FILE", type=Path, help="what it writes, begun anew at each start")
    group.addoption("--vae", metavar="FILE", type=Path, help="an SD 1.x VAE to serve; the default makes a random one")
    group.addoption("--entry", metavar="ID", default="live-vae", help="the id that it gets in the user's catalogue")
    group.addoption("--hub-port", metavar="PORT", type=int, default=0, help="of the loopback hub; 0 takes a free one")
    group.addoption("--starts", metavar="N", type=int, default=0, help="measure the start-up over N starts each way")
    group.addoption("--record-signatures", action="store_true", help="write tests/host/signatures-VERSION.json")
    group.addoption("--record-promises", action="store_true", help="write bench/results/promises-live.json")
    group.addoption(
        "--needs-files", metavar="DIR", type=Path, help="keep the made files of FLUX.1 here, on the disk of the WebUI"
    )
    group.addoption("--pictures", metavar="DIR", type=Path, help="keep screenshots in this folder")


def option(config: pytest.Config, name: str, default: Any = None) -> Any:
    """An option above; its default where this file was found too late for pytest to take its options."""
    return config.getoption(name, default)


@pytest.fixture(scope="session")
def webui(pytestconfig: pytest.Config) -> Iterator[WebUI]:
    """The running WebUI. Its settings are put back at the end."""
    url = option(pytestconfig, "--webui")
    if url is None:
        pytest.skip("needs a running WebUI: pytest tests/live --webui URL")
    kind = ForgeWebUI if is_forge(url) else WebUI
    running = kind(url, option(pytestconfig, "--webui-dir"), option(pytestconfig, "--restart-command"))
    before = running.options()
    yield running
    running.restore(before)


@pytest.fixture(scope="session")
def folder(webui: WebUI) -> Path:
    """The WebUI's data folder."""
    if webui.folder is None:
        pytest.skip("needs the WebUI's data folder: --webui-dir DIR")
    return webui.folder


@pytest.fixture(scope="session")
def vae_folder(folder: Path) -> Path:
    return folder / "models" / "VAE"


@pytest.fixture
def restart(webui: WebUI) -> None:
    """Skips what needs the WebUI to be restarted where nobody said how."""
    if webui.restart_command is None:
        pytest.skip("needs a way to restart the WebUI: --restart-command CMD")


@pytest.fixture(scope="session")
def offered_file(pytestconfig: pytest.Config, webui: WebUI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The VAE file that the hub serves: 335 MB of the true SD 1.x layout."""
    given: Path | None = option(pytestconfig, "--vae")
    return given or write_sd1_vae(tmp_path_factory.mktemp("offered") / "live-vae.safetensors", seed=OFFERED_SEED)


@pytest.fixture(scope="session")
def hub(pytestconfig: pytest.Config, offered_file: Path) -> Iterator[Hub]:
    """A hub on this machine, inside this process, so that a test sees what it was asked and what it sent."""
    with Hub(link=Link(rate_total=RATE), port=option(pytestconfig, "--hub-port", 0)) as running:
        running.add("live/vae", offered_file.name, offered_file)
        yield running


@pytest.fixture(scope="session")
def offered(
    pytestconfig: pytest.Config, webui: WebUI, folder: Path, vae_folder: Path, hub: Hub, offered_file: Path
) -> Iterator[Offered]:
    """The served file as an entry of the user's own catalogue, with the WebUI's endpoint set to the hub."""
    target = vae_folder / offered_file.name
    if target.exists():
        pytest.exit(f"{target} is there already; the checks would replace it. Move it away first.")
    catalogue = OwnCatalogue(folder / "vae-manager" / "catalogue.yaml")
    entry = catalogue.add(option(pytestconfig, "--entry", "live-vae"), "live/vae", offered_file)
    webui.set(vae_manager_endpoint=hub.endpoint)
    yield entry
    catalogue.restore()
    webui.choose("Automatic")
    _remove(vae_folder, entry)
    webui.refresh()


def _remove(vae_folder: Path, entry: Offered) -> None:
    """The served VAE and what an unfinished download of it has left."""
    for path in [vae_folder / entry.file_name, *vae_folder.glob(f".{entry.sha256[:16]}.vae-manager.*")]:
        path.unlink(missing_ok=True)


@pytest.fixture
def not_there(webui: WebUI, vae_folder: Path, offered: Offered) -> None:
    """The offered VAE is not in the VAE folder, nor a part of it, and the WebUI is at Automatic."""
    webui.choose("Automatic")
    _remove(vae_folder, offered)
    webui.refresh()


@pytest.fixture
def there(webui: WebUI, vae_folder: Path, offered: Offered, offered_file: Path) -> str:
    """The offered VAE lies in the VAE folder and is listed; its name."""
    _put(offered_file, vae_folder / offered.file_name)
    webui.refresh()
    return offered.file_name


@pytest.fixture(scope="session")
def other(webui: WebUI, vae_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Another VAE of the same family in the VAE folder; its name."""
    target = vae_folder / "live-other.safetensors"
    _put(write_sd1_vae(tmp_path_factory.mktemp("other") / target.name, seed=OTHER_SEED), target)
    webui.refresh()
    yield target.name
    webui.choose("Automatic")
    target.unlink(missing_ok=True)


def _put(source: Path, target: Path) -> None:
    if not target.exists():
        partial = target.with_name(f".{target.name}.copy")
        shutil.copyfile(source, partial)
        partial.rename(target)


@pytest.fixture(scope="session")
def browser(webui: WebUI) -> Iterator[Any]:
    """Chromium that can reach this machine and nothing else."""
    pytest.importorskip("playwright")
    with launch(os.environ.get("CHROMIUM") or shutil.which("chromium")) as running:
        yield running


@pytest.fixture
def page(browser: Any, webui: WebUI) -> Iterator[LivePage]:
    """The WebUI's page, English and light, freshly opened; any error of the extension's script fails the test."""
    opened = LivePage.open(browser, webui.url)
    yield opened
    opened.close()
    assert not opened.errors, opened.errors


@pytest.fixture(scope="session")
def pictures(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    given: Path | None = option(pytestconfig, "--pictures")
    chosen = given or tmp_path_factory.mktemp("pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen
