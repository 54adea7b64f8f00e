"""Imitates Forge's modules/call_queue.py: an error of the main thread is told in the place of what came of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from modules_forge import main_thread

from tests.host.layers import underneath

webui = underneath(globals())


def wrap_gradio_call_no_job(
    func: Callable[..., Any], extra_outputs: list[Any] | None = None, add_stats: bool = False
) -> Callable[..., Any]:
    @functools.wraps(func)
    def told(*args: Any, **kwargs: Any) -> list[Any]:
        try:
            return list(func(*args, **kwargs))
        except Exception as error:
            raise main_thread.last_exception or error from None

    call: Callable[..., Any] = webui.wrap_gradio_call_no_job(told, extra_outputs, add_stats)
    return call
