"""Imitates modules/ui_extra_networks.py: the pages of cards, without their HTML.

What is kept there and here: a card is read once, when its page is made, and the editor writes back what was read then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modules import extra_networks, ui_extra_networks_user_metadata, util

extra_pages: list[ExtraNetworksPage] = []


def register_page(page: ExtraNetworksPage) -> None:
    extra_pages.append(page)


def initialize() -> None:
    extra_pages.clear()


def register_default_pages() -> None:
    from modules.ui_extra_networks_checkpoints import ExtraNetworksPageCheckpoints  # it needs this module

    register_page(ExtraNetworksPageCheckpoints())


class ExtraNetworksPage:
    """The things of one kind, as they were when the page was built: `items` is not looked up again."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.name = title.lower()
        self.extra_networks_tabname = self.name.replace(" ", "_")
        self.items: dict[str, dict[str, Any]] = {}
        self.lister = util.MassFileLister()

    def read_user_metadata(self, item: dict[str, Any], use_cache: bool = True) -> None:
        metadata = extra_networks.get_user_metadata(item["filename"], lister=self.lister if use_cache else None)
        item["description"] = metadata.get("description", item.get("description"))
        item["user_metadata"] = metadata

    def list_items(self) -> Iterator[dict[str, Any]]:
        raise NotImplementedError

    def read_items(self) -> None:
        """The part of `create_html` that is not HTML. The WebUI does it when a browser loads the page."""
        self.lister.reset()
        self.items = {item["name"]: item for item in self.list_items()}
        for item in self.items.values():
            self.read_user_metadata(item)

    def create_user_metadata_editor(self, ui: Any, tabname: str) -> Any:
        return ui_extra_networks_user_metadata.UserMetadataEditor(ui, tabname, self)


def create_ui(tabname: str) -> None:
    """The editors of all pages."""
    for page in extra_pages:
        page.create_user_metadata_editor(None, tabname).create_ui()
