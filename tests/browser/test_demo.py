"""The demo, in which the README's three steps are clicked exactly as they are written."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import GET_AND_USE
from tests.browser.test_main_job import ACCORDION, TITLE, generate
from tests.host.fixtures import ROOT
from tests.host.forking import PARENT
from tests.wording import worded

FT_MSE = "vae-ft-mse-840000-ema-pruned"
ROW = f"{ACCORDION} [data-vae-entry=ft-mse]"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Lines that the demo prints up to its address; the port that it wants is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        data = str(tmp_path_factory.mktemp("demo"))
        command = [sys.executable, "-m", "tests.host.demo", "--data", data, "--port", port, "--no-browser"]
        environment = {**os.environ, PARENT: str(os.getpid())}
        # A shell that runs the tests in the background lets its programs ignore Ctrl-C, and they hand that on.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        demo = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        signal.signal(signal.SIGINT, before)
        lines: list[str] = []
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                lines.append(line)
                if line.startswith("Open "):
                    break
            assert demo.poll() is None, lines
            yield [port, *lines]
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=120)


@pytest.fixture(scope="module")
def url(said: list[str]) -> str:
    found = re.search(r"http://\S+", said[-1])
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def page(browser: Browser, url: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1300, "height": 1100})
    opened.set_default_timeout(30_000)
    opened.goto(url, wait_until="domcontentloaded")
    yield opened
    opened.close()


def test_a_taken_port_is_left_alone(said: list[str], url: str) -> None:
    wanted, *lines = said
    assert not url.endswith(f":{wanted}")
    assert any(wanted in line for line in lines)


def test_the_three_steps_of_the_readme(page: Page) -> None:
    expect(page.locator(TITLE)).to_have_text(f"VAE — Built-in · SD 1.x / 2.x · {worded('none-by-name')}")
    page.click(f"{ACCORDION} > .label-wrap")

    row = page.locator(ROW)
    expect(row).to_contain_text("ft-MSE 840k")
    expect(row).to_contain_text("stand-in")
    row.locator(GET_AND_USE).click()
    expect(page.locator(TITLE)).to_contain_text(FT_MSE, timeout=60_000)
    expect(row).to_contain_text("✓ in use")

    assert f"VAE: {FT_MSE}.safetensors" in generate(page)


def test_every_vae_that_is_offered_can_be_had(page: Page) -> None:
    offered = page.locator(f"{ACCORDION} [data-vae-entry]")
    ids = [one.get_attribute("data-vae-entry") for one in offered.all()]
    assert ids == ["ft-mse", "ft-ema"]
    page.locator(f"{ACCORDION} [data-vae-entry=ft-ema] {GET_AND_USE}").click()
    expect(page.locator(TITLE)).to_contain_text("vae-ft-ema-560000-ema-pruned", timeout=60_000)
