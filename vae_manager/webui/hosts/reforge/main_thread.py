"""The thread in which reForge makes its pictures and loads its checkpoints (modules_forge/main_thread.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from modules_forge import main_thread

Result = TypeVar("Result")


def there(work: Callable[[], Result]) -> Result:
    """What `work` gives, done in that thread; what it raises is raised here, where the WebUI's own call goes on.

    In that thread itself nothing is waited for, since that would last for ever.
    """
    if threading.current_thread() is threading.main_thread():
        return work()
    results: list[Result] = []
    errors: list[Exception] = []

    def kept() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - it goes to who waits for it
            errors.append(error)

    main_thread.run_and_wait_result(kept)
    if errors:
        raise errors[0]
    return results[0]
