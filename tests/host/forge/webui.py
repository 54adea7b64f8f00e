"""Imitates Forge's webui.py: the server lives in another thread, and the main one makes pictures."""

from __future__ import annotations

from threading import Thread

from modules import initialize
from modules_forge import main_thread

from tests.host.layers import underneath

of_the_webui = underneath(globals())


def api_only() -> None:
    initialize.initialize()
    Thread(target=of_the_webui.serve_the_api, daemon=True).start()
    main_thread.loop()


def webui() -> None:
    initialize.initialize()
    Thread(target=of_the_webui.serve_until_stopped, daemon=True).start()
    main_thread.loop()
