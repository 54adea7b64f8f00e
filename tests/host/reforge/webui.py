"""As webui.py of reForge: the page is served from another thread, and the main one waits for work."""

from __future__ import annotations

import signal
from threading import Thread

from modules import initialize
from modules_forge import main_thread

from tests.host.layers import underneath

underneath(globals())

_serve_api, _serve_page = api_only, webui  # noqa: F821  # A1111's


def api_only() -> None:
    _beside(_serve_api)


def webui() -> None:
    _beside(_serve_page)


def _beside(serve: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, initialize._leave)
    Thread(target=serve, daemon=True).start()  # type: ignore[arg-type]
    main_thread.loop()
