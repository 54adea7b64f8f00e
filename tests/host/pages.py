"""The events of a page in a browser, which the WebUI must have answered before the page is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, WebSocket


class EventSockets:
    """Tracks the WebSockets of a page: gradio 3 opens one for each event, and closes it with the answer.

    If a page goes before its event starts, gradio 3.41.2 never ends the event's handler, and the server waits for it:
    *Reload UI* then never returns (`join_queue` in gradio/routes.py, and `Queue.process_events`, which disconnects only
    the events of pages that are still there). The real WebUI does the same. Attach it before `page.goto`.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[WebSocket] = set()
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        self._open.add(socket)
        socket.on("close", lambda closed: self._open.discard(closed))

    def wait_until_idle(self) -> None:
        """Wait until no event of the page is waiting for its answer."""
        while self._open:
            self._page.wait_for_timeout(20)
