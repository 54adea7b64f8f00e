"""Answers, and requests, of a page's events that come late."""

from __future__ import annotations

import json

from playwright.sync_api import APIResponse, Page, Route

from tests.browser.conftest import Stage


class Late:
    """Keeps the answers to events of some components on their way; with `requests`, what is sent to the server too.

    `endings` are those of the components' element ids.
    """

    def __init__(self, page: Page, stage: Stage, *endings: str, requests: bool = False) -> None:
        config = stage.webui.call("/config")[1]
        ids = {one["id"] for one in config["components"] if str(one["props"].get("elem_id")).endswith(endings)}
        self._events = {
            number
            for number, event in enumerate(config["dependencies"])
            if event["backend_fn"] and any((to[0] if isinstance(to, list) else to) in ids for to in event["targets"])
        }
        self._page, self._kept = page, list[tuple[Route, APIResponse | None]]()
        self._is_keeping, self._keeps_requests = True, requests
        page.evaluate("() => { window.lateAnswers = 0; }")
        page.route("**/run/predict*", self._keep)

    def _keep(self, route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}").get("fn_index")
        if asked not in self._events or not self._is_keeping:
            route.continue_()
            return
        self._kept.append((route, None if self._keeps_requests else route.fetch()))
        self._page.evaluate("() => { window.lateAnswers += 1; }")

    def wait_for(self, count: int) -> None:
        """Wait until so many are kept."""
        self._page.wait_for_function("count => window.lateAnswers >= count", arg=count)

    def come(self, *, first: bool = False) -> None:
        """Let all come, the newest before the older ones, and keep no more; or the `first` alone."""
        self._is_keeping = first
        kept, self._kept = (self._kept[:1], self._kept[1:]) if first else (self._kept[::-1], [])
        for route, answer in kept:
            route.continue_() if answer is None else route.fulfill(response=answer)
