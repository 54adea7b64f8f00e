"""The tab "VAE" as a browser gets it, read as people read it."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from tests.shown import shows
from tests.webui.test_page import wait_for
from vae_manager.maintenance import key_of
from vae_manager.service import Service
from vae_manager.webui.ui.page import Page

ENTRY = """
- id: mine
  name: Mine
  family: {family}
  sha256: {sha256}
"""


def library(page: Page, stamp: str = "", selected: Path | None = None) -> Any:
    """What a browser that has `stamp` gets, once all files have been looked at."""
    key = key_of(selected) if selected is not None else ""
    wait_for(lambda: "not-scanned-yet" not in json.dumps(page.state({}, ("", key))["library"]["rows"]))
    return json.loads(json.dumps(page.state({}, (stamp, key))["library"]))


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html.replace("<wbr>", "")))).strip()


def row(page: Page, path: Path) -> str:
    return plain(library(page)["rows"][key_of(path)])


def details(page: Page, path: Path) -> str:
    return plain(library(page, selected=path)["regions"]["file"])


def row_shows(page: Page, path: Path, code: str, *texts: str) -> bool:
    return shows(library(page)["rows"][key_of(path)], code, *texts)


def details_show(page: Page, path: Path, code: str, *texts: str) -> bool:
    return shows(library(page, selected=path)["regions"]["file"], code, *texts)


def bar_shows(page: Page, code: str, *texts: str) -> bool:
    return shows(library(page)["regions"]["library-bar"], code, *texts)


def bar(page: Page) -> str:
    return plain(library(page)["regions"]["library-bar"])


def finish(service: Service, page: Page) -> None:
    wait_for(lambda: all(job.state.ended for job in service.maintenance.views()))
