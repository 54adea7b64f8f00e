"""Reload UI builds a new page: none of its events may be connected with the earlier page."""

from __future__ import annotations

from typing import Any

from ..live.webui import until
from .conftest import Stage


def unknown_components(config: dict[str, Any]) -> list[tuple[int, int]]:
    """Each component of an event that is not in the page, with the event's number."""
    known = {component["id"] for component in config["components"]}
    return [
        (number, id)
        for number, event in enumerate(config["dependencies"])
        for id in [*event["inputs"], *event["outputs"]]
        if id not in known
    ]


def row_follows(config: dict[str, Any]) -> bool:
    """Return True if the extension updates Forge's row."""
    ids = {one["props"].get("label"): one["id"] for one in config["components"]}
    ours = {one["id"] for one in config["components"] if one["props"].get("elem_id") == "vae_manager_txt2img_sync"}
    return any(
        ids["VAE / Text Encoder"] in event["outputs"] and not ours.isdisjoint(_targets(event))
        for event in config["dependencies"]
    )


def _targets(event: dict[str, Any]) -> list[int]:
    return [one[0] if isinstance(one, list) else one for one in event["targets"]]


def _first(config: dict[str, Any]) -> int:
    """The lowest number of a component; gradio counts on over all pages of a process."""
    return min(int(component["id"]) for component in config["components"])


def test_the_row_of_the_new_page_follows_the_choice(stage: Stage) -> None:
    webui = stage.webui
    before = webui.get("/config")
    assert row_follows(before)
    webui.act(do="reload")

    def config() -> dict[str, Any]:
        try:
            return dict(webui.another().get("/config"))
        except OSError:  # requests' errors
            return before

    after = until(config, lambda seen: _first(seen) > _first(before))
    webui.restart()
    assert unknown_components(after) == []
    assert row_follows(after)
