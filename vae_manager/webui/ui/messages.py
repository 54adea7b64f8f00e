"""What the browser asks for, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ...errors import UsageError
from ...files.json_text import parse_json
from ...sentences import say
from ...service import Service
from .actions import ACTIONS, Do
from .comparison.actions import COMPARISON_ACTIONS
from .library_actions import LIBRARY_ACTIONS

if TYPE_CHECKING:
    from ..hosts.host import Host

ALL: Final[Mapping[str, tuple[Do, dict[str, type]]]] = {**ACTIONS, **LIBRARY_ACTIONS, **COMPARISON_ACTIONS}


def perform(host: Host, service: Service, message: str) -> None:
    """Do what the browser asks: a JSON object with the action's name under `do`. Raises VaeManagerError."""
    try:
        action = parse_json(message.encode("utf-8", "surrogatepass"))
        do, fields = ALL[action["do"]]
        understood = all(type(action[name]) is kind for name, kind in fields.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        understood = False
    if not understood:
        raise UsageError(say("The page is out of date. Reload it."))
    do(host, service, action)
