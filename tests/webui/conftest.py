from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.fixtures import hub as hub  # a fixture
from tests.library.vaes import vae
from tests.webui.host import PlainHost
from vae_manager.service import Service
from vae_manager.webui.ui.page import Page


@pytest.fixture
def host(tmp_path: Path) -> PlainHost:
    return PlainHost(tmp_path)


@pytest.fixture
def service(host: PlainHost) -> Service:
    return Service(host.data_folder)


@pytest.fixture
def page(host: PlainHost, service: Service) -> Page:
    return Page(host, service)


@pytest.fixture
def own(host: PlainHost) -> Path:
    path = vae(host.vaes / "own.safetensors")
    host.refresh()
    return path
