"""Networks that are not the open internet, from a fresh installation to a VAE in use or a sentence with the way out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import GET_AND_USE, Stage, Stages
from tests.browser.test_main_job import ACCORDION, TITLE
from tests.hub import Hub
from tests.hub.fixtures import certificate, https_hub
from tests.hub.proxy import Proxy
from tests.shown import coded
from tests.transfer.ordering import hosts_of

__all__ = ["certificate", "https_hub"]

Open = Callable[..., Page]
ROW = f"{ACCORDION} [data-vae-entry=mine]"
TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"
SIGNED_IN = {"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": TOKEN}
NO_BYPASS = {"NO_PROXY": "localhost", "no_proxy": "localhost"}
"""The hub is at 127.0.0.1, and gradio asks its own page at localhost."""


def get_and_use(page: Page) -> None:
    page.locator(ROW).locator(GET_AND_USE).click()


def expect_in_use(page: Page, stage: Stage) -> None:
    expect(page.locator(TITLE)).to_contain_text("mine")
    assert (stage.vaes / "mine.safetensors").exists()


def expect_reason(page: Page, code: str, *texts: str) -> None:
    """Expect the sentence with this code at the row that was clicked, on the screen, with the texts in it."""
    reason = page.locator(f"{ROW} {coded(code)}, {ROW}{coded(code)}").first
    expect(reason).to_be_visible()
    for text in texts:
        expect(reason).to_contain_text(text)


def test_a_private_mirror_with_a_token(stages: Stages, open_page: Open) -> None:
    without = stages(env=SIGNED_IN)
    without.hub.gate("owner/repo", TOKEN)
    [host] = hosts_of(without.hub)
    page = open_page(without)
    get_and_use(page)
    expect_reason(page, "token-kept-back", host)
    assert all(seen.authorization is None for seen in without.hub.requests)
    page.close()

    named = stages(hub=without.hub, env=SIGNED_IN, config={"vae_manager_token_hosts": f"other.example.org, {host}"})
    page = open_page(named)
    get_and_use(page)
    expect_in_use(page, named)


def test_a_proxy_with_a_password(stages: Stages, open_page: Open, https_hub: Hub, certificate: Path) -> None:
    with Proxy("jane", "swordfish") as proxy:
        trusting = {"REQUESTS_CA_BUNDLE": str(certificate), **NO_BYPASS}
        without = stages(hub=https_hub, env={**trusting, "HTTPS_PROXY": f"http://{proxy.address}"})
        page = open_page(without)
        get_and_use(page)
        expect_reason(page, "proxy-sign-in", "HTTPS_PROXY")
        assert (proxy.refused > 0, proxy.tunnels) == (True, [])
        page.close()

        signed_in = stages(hub=https_hub, env={**trusting, "HTTPS_PROXY": f"http://jane:swordfish@{proxy.address}"})
        page = open_page(signed_in)
        get_and_use(page)
        expect_in_use(page, signed_in)
        assert proxy.tunnels
        assert "swordfish" not in page.content()
        assert "swordfish" not in signed_in.webui.log.read_text(encoding="utf-8", errors="replace")


def test_a_hub_with_a_certificate_of_its_own(
    stages: Stages, open_page: Open, https_hub: Hub, certificate: Path
) -> None:
    strange = stages(hub=https_hub)
    page = open_page(strange)
    get_and_use(page)
    expect_reason(page, "bad-certificate", "REQUESTS_CA_BUNDLE")
    page.close()

    trusting = stages(hub=https_hub, env={"REQUESTS_CA_BUNDLE": str(certificate)})
    page = open_page(trusting)
    get_and_use(page)
    expect_in_use(page, trusting)


def test_no_network_at_all(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    """What the hub's own program has fetched earlier is taken; for the rest, the page says what to do."""
    online = Hub().start()
    cache = {"HF_HUB_CACHE": str(tmp_path), "HUGGINGFACE_HUB_CACHE": str(tmp_path)}
    empty = stages(hub=online, env={**cache, "HF_HUB_OFFLINE": "1"})
    page = open_page(empty)
    get_and_use(page)
    expect_reason(page, "offline", "HF_HUB_OFFLINE")
    page.close()

    download = "import huggingface_hub as h; h.hf_hub_download('owner/repo', 'mine.safetensors')"
    environment = {**cache, "HF_ENDPOINT": online.endpoint, "HF_HUB_DISABLE_TELEMETRY": "1", "PATH": ""}
    subprocess.run([sys.executable, "-c", download], env=environment, check=True, capture_output=True)
    asked = len(online.requests)
    filled = stages(hub=online, env={**cache, "HF_HUB_OFFLINE": "1"})
    page = open_page(filled)
    get_and_use(page)
    expect_in_use(page, filled)
    assert len(online.requests) == asked
